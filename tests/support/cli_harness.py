"""The real commands in this process: on a kernel or a host in memory, or against a daemon in a thread."""

import asyncio
import errno
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from kernelbal.cli.app import run
from kernelbal.cli.exit_codes import ExitCode
from kernelbal.kernel import linux
from kernelbal.model.node import ApiSettings
from kernelbal.plan.action import Action
from kernelbal.plan.kinds.services import IPVS, IpvsInfo
from kernelbal.runtime.api.server import ApiServer
from kernelbal.store import boot
from kernelbal.store.state import StateDirectory
from tests.support.builders import link, real, route, service
from tests.support.fake_control import FakeControl
from tests.support.fake_kernel import FakeKernel
from tests.support.realserver_host import Programs

WEB, TLS = service("192.0.2.10", 80), service("192.0.2.10", 443)
A, B = real("10.0.0.11"), real("10.0.0.12")
SITE = """\
virtual_services:
  - name: web
    address: 192.0.2.10
    ports: 80
    forwarding: nat
    scheduler: wlc
    drain: 20s
    real_servers: [{address: 10.0.0.12}, {address: 10.0.0.11, weight: 50}]
"""
WITHOUT_SECOND = SITE.replace("{address: 10.0.0.12}, ", "")
NODE = "name: lb1\ninterfaces: {outside: eth0, inside: eth1}\n"
SYSCTLS = {
    "net/ipv4/ip_forward": "0",
    "net/ipv4/conf/all/send_redirects": "0",
    "net/ipv4/conf/eth0/send_redirects": "0",
    "net/ipv4/conf/eth1/send_redirects": "0",
    "net/ipv4/vs/conntrack": "0",
    "net/ipv4/vs/conn_reuse_mode": "1",
    "net/ipv4/vs/expire_nodest_conn": "1",
    "net/ipv4/vs/expire_quiescent_template": "1",
}
"""A kernel that routes nothing yet and has all but one sysctl (`snat_reroute`) as a site wants them."""


class CommandResult(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """The JSON document on standard output, which then holds nothing else."""
        parsed: dict[str, Any] = json.loads(self.out)
        return parsed


def run_cli(capsys: pytest.CaptureFixture[str], *command: str) -> CommandResult:
    """Run a command and take what it printed."""
    code = run(list(command))
    return CommandResult(code, *capsys.readouterr())


class Watcher:
    """Stands in for the process that rolls back: it does no more than watch, until it is killed."""

    def __init__(self, store: StateDirectory) -> None:
        self._watching = ExitStack()
        self._watching.enter_context(store.watching())

    def poll(self) -> None:
        """It never ends by itself."""

    def kill(self) -> None:
        """It watches no longer."""
        self._watching.close()


@dataclass
class DirectorCli:
    """Documents, a state directory, a kernel and a clock; sleeping moves the clock."""

    folder: Path
    capsys: pytest.CaptureFixture[str]
    kernel: FakeKernel
    now: float = 1000.0
    watcher: Watcher | None = None

    def start_watcher(self, *_: object, **__: object) -> Watcher:
        """Stand in for `subprocess.Popen`; an earlier watcher has nothing left to do."""
        if self.watcher is not None:
            self.watcher.kill()
        self.watcher = Watcher(self.store)
        return self.watcher

    def write(self, site: str) -> None:
        """Replace the site document."""
        self.site.write_text(site)

    @property
    def site(self) -> Path:
        return self.folder / "site.yaml"

    @property
    def node(self) -> Path:
        return self.folder / "node.yaml"

    @property
    def state_dir(self) -> Path:
        return self.folder / "state"

    @property
    def store(self) -> StateDirectory:
        return StateDirectory(self.state_dir)

    def run(self, command: str, *options: str) -> CommandResult:
        """Run a command."""
        documents = (
            (str(self.site), "--node", str(self.node)) if command in ("plan", "apply", "status") else ()
        )
        return run_cli(self.capsys, command, *documents, "--state-dir", str(self.state_dir), *options)

    def apply(self, site: str) -> None:
        """Apply a site that is right, and forget what was done."""
        self.write(site)
        done = self.run("apply", "--no-wait")
        assert done.code == ExitCode.OK, done.err
        self.kernel.performed.clear()

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds

    def open(self) -> AbstractContextManager[FakeKernel]:
        """Stand in for `LinuxKernel`."""
        return nullcontext(self.kernel)

    def forbid(self, kind: type[Action], error: int = errno.EINVAL) -> None:
        """Let the kernel say beforehand that it would refuse every action of a kind."""
        self.kernel.forbid = lambda action: error if isinstance(action, kind) else 0

    def refuse(self, kind: type[Action], error: int = errno.EINVAL) -> None:
        """Let the kernel refuse every action of a kind."""
        self.kernel.refuse = lambda action: error if isinstance(action, kind) else 0


def director_cli(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> DirectorCli:
    """A director whose kernel holds two devices with their routes."""
    kernel = FakeKernel(
        links={"eth0": link("eth0"), "eth1": link("eth1")},
        routes=(route("192.0.2.0/24", "eth0"), route("10.0.0.0/24", "eth1")),
        sysctls=dict(SYSCTLS),
    )
    cli = DirectorCli(folder, capsys, kernel)
    cli.node.write_text(NODE)
    cli.write(SITE)
    monkeypatch.setattr(linux, "LinuxKernel", cli.open)
    monkeypatch.setattr(boot, "boot_clock_s", lambda: cli.now)
    monkeypatch.setattr(time, "sleep", cli.sleep)
    monkeypatch.setenv("NO_COLOR", "1")
    return cli


def without_ipvs(cli: DirectorCli, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the kernel know nothing of IPVS."""
    observe = FakeKernel.observe
    monkeypatch.setattr(
        FakeKernel,
        "observe",
        lambda self, *args: observe(self, *args).having(IPVS, IpvsInfo(available=False)),
    )
    monkeypatch.setattr(FakeKernel, "read_counters", lambda *_: pytest.fail("there is nothing to count"))


@dataclass
class RealServerCli:
    """A host, a state directory, and commands on it."""

    host: FakeKernel
    programs: Programs
    folder: Path
    capsys: pytest.CaptureFixture[str]

    def run(self, command: str, *options: str) -> CommandResult:
        """Run a command."""
        return run_cli(self.capsys, "realserver", command, "--state-dir", str(self.folder), *options)


@dataclass
class DaemonCli:
    """The real API server over a stand-in for the director, its socket, and commands that ask it."""

    socket: Path
    control: FakeControl
    loop: asyncio.AbstractEventLoop
    capsys: pytest.CaptureFixture[str]
    slept: list[float] = field(default_factory=list)

    def run(self, *command: str) -> CommandResult:
        """Run a command against this daemon."""
        return run_cli(self.capsys, *command, "--socket", str(self.socket))

    def do(self, what: Callable[[], None]) -> None:
        """Let something happen in the daemon."""
        self.loop.call_soon_threadsafe(what)


@contextmanager
def running_daemon(folder: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[DaemonCli]:
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
        yield DaemonCli(path, control, loop, capsys)
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join(20)
        assert not thread.is_alive()
