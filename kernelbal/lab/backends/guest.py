"""Running a guest as a process: its pipes, its time limit, its end."""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import subprocess
import tempfile
import termios
import threading
import tty
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from kernelbal.lab import process
from kernelbal.lab.backends.init_script import EXIT_FILE, SCRIPT_FILE, render_init
from kernelbal.lab.errors import GuestFailed, GuestTimeout

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from kernelbal.lab.backends.base import GuestCommand, StandardStreams
    from kernelbal.lab.backends.init_script import Machine

LOG_FILE: Final = "console"
"""Name in the exchange directory of what the guest's kernel and the program that runs it say."""
_CHUNK_BYTES: Final = 65536
ENDS_WITH_ITS_PARENT: Final = ("setpriv", "--pdeathsig", "TERM")
"""Prefix, from util-linux: no guest outlives a back end that was killed."""
_QUOTED_LINES: Final = 15


@dataclass(frozen=True, slots=True)
class Channels:
    """File descriptors that the guest's program inherits: where its terminals are connected to."""

    stdin: int | None
    stdout: int
    stderr: int

    def inherited(self) -> tuple[int, ...]:
        """Return all of them."""
        return tuple(fd for fd in (self.stdin, self.stdout, self.stderr) if fd is not None)


@dataclass(frozen=True, slots=True)
class Launch:
    """The program that runs a guest, its arguments and environment."""

    argv: Sequence[str]
    env: Mapping[str, str]


@contextlib.contextmanager
def exchange_directory() -> Iterator[Path]:
    """Make the directory that back end and guest share; it is gone after the block."""
    path = Path(tempfile.mkdtemp(prefix="kernelbal-lab-"))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def run_guest(
    command: GuestCommand,
    streams: StandardStreams,
    machine: Machine,
    launch: Callable[[Path, Channels], Launch],
) -> int:
    """Boot a guest, run the command in it, and return the command's exit status.

    Args:
        command: what to run.
        streams: where its output goes, while it runs.
        machine: the kind of guest.
        launch: gives the guest's program for an exchange directory and channels.

    Raises:
        GuestFailed: the guest ended without an exit status.
        GuestTimeout: the command outlived its limit.
    """
    with exchange_directory() as exchange:
        write_init(command, machine, exchange)
        with _terminal(streams.stdin, command.interactive):
            _boot_and_wait(command, streams, exchange, launch)
        return _exit_status(exchange)


def write_init(command: GuestCommand, machine: Machine, exchange: Path) -> None:
    """Write the script that a guest boots into its exchange directory."""
    size = shutil.get_terminal_size()
    script = exchange / SCRIPT_FILE
    script.write_text(
        render_init(command, machine, exchange, size=(size.lines, size.columns)), encoding="utf-8"
    )
    script.chmod(0o755)


@contextlib.contextmanager
def _terminal(descriptor: int, interactive: bool) -> Iterator[None]:
    """Hand every key to the guest, and restore the terminal afterwards."""
    if not (interactive and os.isatty(descriptor)):
        yield
        return
    before = termios.tcgetattr(descriptor)
    tty.setraw(descriptor, termios.TCSADRAIN)  # what has been typed already counts
    try:
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


def _boot_and_wait(
    command: GuestCommand,
    streams: StandardStreams,
    exchange: Path,
    launch: Callable[[Path, Channels], Launch],
) -> None:
    with contextlib.ExitStack() as stack:
        stdin = _outgoing(stack, streams.stdin) if command.interactive else None
        stdout, pump_stdout = _incoming(streams.stdout)
        stderr, pump_stderr = _incoming(streams.stderr)
        channels = Channels(stdin, stdout, stderr)
        try:
            started = _start(launch(exchange, channels), channels, exchange)
        finally:
            for descriptor in channels.inherited():
                os.close(descriptor)
        try:
            wait_for(started, command)
        finally:
            end_guest(started)
            pump_stdout.join()
            pump_stderr.join()


def wait_for(started: subprocess.Popen[str], command: GuestCommand) -> None:
    """Wait for the end of the program that runs a command.

    Raises:
        GuestTimeout: the command outlived its limit.
        GuestFailed: it was stopped.
    """
    if process.wait(started, command.timeout_s, command.stop_descriptor):
        return
    shown = " ".join(command.argv)
    if command.stop_descriptor is not None and select.select([command.stop_descriptor], [], [], 0)[0]:
        raise GuestFailed(f"`{shown}` was stopped")
    raise GuestTimeout(f"`{shown}` did not end within {command.timeout_s} s")


def _start(launch: Launch, channels: Channels, exchange: Path) -> subprocess.Popen[str]:
    with (exchange / LOG_FILE).open("w", encoding="utf-8") as log:
        return process.start(
            [*ENDS_WITH_ITS_PARENT, *launch.argv],
            stdout=log,
            stderr=subprocess.STDOUT,
            env=launch.env,
            pass_fds=channels.inherited(),
            # Keys such as Ctrl-C reach us alone, and its helper processes can be ended together with it.
            new_session=True,
        )


def end_guest(started: subprocess.Popen[str]) -> None:
    """End a guest's program with all its helper processes, politely first."""
    process.stop(started)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(started.pid, signal.SIGKILL)


def _incoming(target: int) -> tuple[int, threading.Thread]:
    """Return a descriptor to write to and the thread that copies what comes to `target`."""
    reading, writing = os.pipe()
    thread = threading.Thread(target=_copy, args=(reading, target), name="guest-output", daemon=True)
    thread.start()
    return writing, thread


def _copy(source: int, target: int) -> None:
    broken = False  # go on reading when nobody listens: a full pipe would stop the guest
    with os.fdopen(source, "rb", buffering=0) as reader:
        while data := reader.read(_CHUNK_BYTES):
            while data and not broken:
                try:
                    data = data[os.write(target, data) :]
                except BrokenPipeError:
                    broken = True


def _outgoing(stack: contextlib.ExitStack, source: int) -> int:
    """Return a descriptor to read from that gets what `source` says until the stack is unwound."""
    reading, writing = os.pipe()
    awake_reading, awake_writing = os.pipe()
    thread = threading.Thread(target=_copy_until, args=(source, writing, awake_reading), daemon=True)
    thread.start()
    stack.callback(os.close, awake_reading)
    stack.callback(thread.join)
    stack.callback(os.close, awake_writing)
    return reading


def _copy_until(source: int, target: int, stop: int) -> None:
    with os.fdopen(target, "wb", buffering=0) as writer, contextlib.suppress(BrokenPipeError):
        while True:
            ready, _, _ = select.select([source, stop], [], [])
            if stop in ready:
                return
            data = os.read(source, _CHUNK_BYTES)
            if not data:
                return
            writer.write(data)


def _exit_status(exchange: Path) -> int:
    try:
        return int((exchange / EXIT_FILE).read_text(encoding="ascii"))
    except (OSError, ValueError):
        said = (exchange / LOG_FILE).read_text(encoding="utf-8", errors="replace").splitlines()
        quoted = "\n".join(said[-_QUOTED_LINES:]) or "(nothing)"
        raise GuestFailed(f"the guest ended without a result; its console said:\n{quoted}") from None
