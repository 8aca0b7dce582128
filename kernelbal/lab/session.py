"""A lab that stays up across commands: `lab up`, `lab run`, `lab shell`, `lab down`.

What is up is written in a file in the cache directory. The process named there, a guest or the agent itself,
holds the lab; when it ends, nothing of the lab is left.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
import shutil
import socket
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Final

from kernelbal.lab.backends.base import GuestCommand, Up, guest_environment
from kernelbal.lab.client import Transport, call
from kernelbal.lab.errors import SessionError
from kernelbal.lab.frames import ProgramRequest
from kernelbal.lab.holder import end, open_pipe, started_ticks
from kernelbal.lab.kernel_cache import cache_directory

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from kernelbal.lab.backends.base import Backend, StandardStreams

STATE_FILE: Final = "session.json"


def session_directory() -> Path:
    """Return where the lab that is up keeps its files; it may not exist."""
    return cache_directory() / "lab"


def current() -> Up | None:
    """Return the lab that is up, or None."""
    try:
        fields = json.loads((session_directory() / STATE_FILE).read_text(encoding="utf-8"))
        found = Up(**{**fields, "consoles": tuple(fields["consoles"])})
    except (OSError, ValueError, TypeError, KeyError):
        return None
    return found if started_ticks(found.pid) == found.started_ticks else None


def require_current() -> Up:
    """Return the lab that is up.

    Raises:
        SessionError: there is none.
    """
    found = current()
    if found is None:
        raise SessionError("no lab is up", "kernelbal lab up")
    return found


def new_directory() -> Path:
    """Return an empty session directory.

    Raises:
        SessionError: a lab is up.
    """
    found = current()
    if found is not None:
        raise SessionError(f"lab {found.topology} is up already ({found.backend})", "kernelbal lab down")
    shutil.rmtree(session_directory(), ignore_errors=True)
    session_directory().mkdir(parents=True, mode=0o700)
    return session_directory()


def record(made: Up) -> None:
    """Write down what is up."""
    (session_directory() / STATE_FILE).write_text(json.dumps(asdict(made)), encoding="utf-8")


def up(backend: Backend, topology: str) -> Up:
    """Bring a topology up so that it stays, write down what it is, and return that.

    Raises:
        SessionError: a lab is up.
        GuestFailed: it did not come up.
    """
    cache_directory().mkdir(parents=True, exist_ok=True)
    with (cache_directory() / "lab.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SessionError("a lab is just being brought up") from None
        made = backend.up(topology, new_directory())
        record(made)
    return made


def down() -> Up:
    """End the lab that is up and return what it was.

    Raises:
        SessionError: there is none.
    """
    found = require_current()
    end(found.pid)
    shutil.rmtree(session_directory(), ignore_errors=True)
    return found


def run(host: str, argv: Sequence[str], streams: StandardStreams, *, terminal: bool) -> int:
    """Run a program on a host of the lab that is up and return its exit status.

    Raises:
        SessionError: no lab is up, it does not answer, or too many programs run in it.
    """
    found = require_current()
    size = shutil.get_terminal_size()
    request = ProgramRequest(
        host=host,
        argv=tuple(argv),
        cwd=str(Path.cwd()),
        env=_environment(host),
        terminal=terminal,
        rows=size.lines,
        columns=size.columns,
        token=secrets.token_hex(8),
    )
    with _connected(found) as transport:
        return call(transport, request, streams)


def _environment(host: str) -> dict[str, str]:
    plain = guest_environment(GuestCommand((), Path("/")))
    own_programs = Path(sys.prefix) / "bin"
    return {**plain, "PATH": f"{own_programs}:{plain['PATH']}", "PS1": f"{host}:\\w# "}


@contextlib.contextmanager
def _connected(found: Up) -> Iterator[Transport]:
    """Give a transport that nobody else uses."""
    for number, console in enumerate(found.consoles):
        with (session_directory() / f"console{number}.lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            with _opened(console) as transport:
                yield transport
            return
    raise SessionError(f"{len(found.consoles)} programs run in the lab already", "end one of them")


@contextlib.contextmanager
def _opened(console: str) -> Iterator[Transport]:
    if Path(console).is_socket():
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(console)
            yield Transport(connection.fileno(), connection.fileno())
        return
    with (
        open_pipe(f"{console}.out", os.O_RDONLY) as reading,
        open_pipe(f"{console}.in", os.O_WRONLY) as writing,
    ):
        yield Transport(reading, writing)
