"""The process that holds a lab which stays up: how it is started, awaited and ended."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from kernelbal.lab import process
from kernelbal.lab.backends.base import Up
from kernelbal.lab.errors import GuestFailed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

READY_FILE: Final = "ready"
LOG_FILE: Final = "log"
CONSOLES: Final = 6
"""How many shells and programs may run in a guest at the same time."""
_STOP_LIMIT_S: Final = 5.0
_POLL_S: Final = 0.02
_QUOTED_LINES: Final = 15


def agent_command(topology: str, directory: Path, serve: Sequence[str]) -> tuple[str, ...]:
    """Return the command that builds a topology and answers where the options `serve` say."""
    ready = str(directory / READY_FILE)
    return (sys.executable, "-m", "kernelbal.lab.agent", "--topology", topology, "--ready", ready, *serve)


def make_pipes(directory: Path) -> list[str]:
    """Make a pair of named pipes for each console and return their common names."""
    names = [str(directory / f"console{number}") for number in range(CONSOLES)]
    for name in names:
        os.mkfifo(f"{name}.in", 0o600)
        os.mkfifo(f"{name}.out", 0o600)
    return names


@contextlib.contextmanager
def open_pipe(path: str, flags: int) -> Iterator[int]:
    """Give a descriptor of a named pipe until the block ends; waits until the other side is there."""
    descriptor = os.open(path, flags | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def console_options(devices: Sequence[str]) -> list[str]:
    """Return the agent's options for answering on device files."""
    return [part for device in devices for part in ("--console", device)]


def start(argv: Sequence[str], directory: Path, env: Mapping[str, str], pass_fds: Sequence[int] = ()) -> int:
    """Start the process that holds a lab, detached from this one, and return its process id.

    Raises:
        LabError: it cannot be started.
    """
    with (directory / LOG_FILE).open("w", encoding="utf-8") as log:
        started = process.start(
            argv, stdout=log, stderr=log, cwd=Path("/"), env=env, pass_fds=pass_fds, new_session=True
        )
    started.returncode = 0  # it outlives this process: nobody here waits for it
    return started.pid


def await_ready(
    backend: str, topology: str, pid: int, directory: Path, consoles: Sequence[str], limit_s: float
) -> Up:
    """Wait until the agent has built its topology and return what is up.

    Raises:
        GuestFailed: it ended, or was not ready in time, and has been ended; the message quotes the log.
    """
    began_ticks = started_ticks(pid)
    deadline = time.monotonic() + limit_s
    while not (directory / READY_FILE).exists():
        if started_ticks(pid) is None or time.monotonic() > deadline:
            end(pid)
            said = (directory / LOG_FILE).read_text(encoding="utf-8", errors="replace").splitlines()
            quoted = "\n".join(said[-_QUOTED_LINES:])
            raise GuestFailed(f"the lab did not come up; it said:\n{quoted}")
        time.sleep(_POLL_S)
    return Up(backend, topology, pid, began_ticks or 0, tuple(consoles))


def started_ticks(pid: int) -> int | None:
    """Return when a process started, in clock ticks since boot, or None when there is none."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    # The program's name, in parentheses, may hold anything; the fields after it are fixed.
    state, *fields = stat.rpartition(")")[2].split()
    return None if state == "Z" else int(fields[18])


def end(pid: int) -> None:
    """End the process that holds a lab, with its helper processes, politely first."""
    began_ticks = started_ticks(pid)
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + _STOP_LIMIT_S
        while started_ticks(pid) == began_ticks and time.monotonic() < deadline:
            time.sleep(_POLL_S)
        os.killpg(pid, signal.SIGKILL)  # `start` made it the leader of a group of its own
    with contextlib.suppress(ChildProcessError):  # some other process started it
        os.waitpid(pid, 0)
