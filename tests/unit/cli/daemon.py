"""A daemon to speak to: the real API server, in a thread, over a stand-in for the director."""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from kernelbal.cli.app import run
from kernelbal.model.node import ApiSettings
from kernelbal.runtime.api.server import ApiServer
from tests.support.fake_control import FakeControl
from tests.unit.cli.desk import Said


@dataclass
class Daemon:
    """The stand-in, its socket, and somebody at the command line."""

    socket: Path
    control: FakeControl
    loop: asyncio.AbstractEventLoop
    capsys: pytest.CaptureFixture[str]
    slept: list[float] = field(default_factory=list)

    def say(self, *command: str) -> Said:
        """Run a command against this daemon."""
        code = run([*command, "--socket", str(self.socket)])
        captured = self.capsys.readouterr()
        return Said(code, captured.out, captured.err)

    def do(self, what: Callable[[], None]) -> None:
        """Let something happen in the daemon."""
        self.loop.call_soon_threadsafe(what)


@contextlib.contextmanager
def running(folder: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Daemon]:
    """Run a daemon."""
    path, up, made = folder / "control.sock", threading.Event(), []

    async def serve() -> None:
        control, over = FakeControl(), asyncio.Event()
        server = ApiServer(control, ApiSettings(socket=str(path)))
        await server.start()
        made.append((control, asyncio.get_running_loop(), over))
        up.set()
        await over.wait()
        await server.stop()

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    assert up.wait(20)
    control, loop, over = made[0]
    try:
        yield Daemon(path, control, loop, capsys)
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join(20)
        assert not thread.is_alive()
