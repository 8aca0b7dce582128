"""What every back end answers, and what it is asked."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from kernelbal.lab.namespaces import IN_LAB_VARIABLE

if TYPE_CHECKING:
    from collections.abc import Mapping

STANDARD_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
DEFAULT_MEMORY_MIB: Final = 1024
"""Enough for a test run; pages that are not used cost the machine nothing."""
_COPIED_VARIABLES: Final = ("TERM", "NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES", "CI")


@dataclass(frozen=True, slots=True)
class GuestCommand:
    """What to run in a lab's environment.

    Attributes:
        argv: the program and its arguments.
        cwd: working directory; the same path inside.
        env: added to the plain environment that every guest has.
        results: an existing directory that the command may write to, at the same path inside; None for none.
        timeout_s: seconds of real time after which the command is ended; None for no limit.
        virtual_time: let the clock jump to the next timer whenever everything waits, where the back end can.
        memory_mib: memory of a guest, in MiB.
        interactive: give the command a terminal.
        stop_descriptor: the command is ended when this file descriptor becomes readable; None for never.
    """

    argv: tuple[str, ...]
    cwd: Path
    env: Mapping[str, str] = field(default_factory=dict)
    results: Path | None = None
    timeout_s: float | None = None
    virtual_time: bool = False
    memory_mib: int = DEFAULT_MEMORY_MIB
    interactive: bool = False
    stop_descriptor: int | None = None


@dataclass(frozen=True, slots=True)
class StandardStreams:
    """File descriptors: where the output goes while the command runs, and an interactive one's input."""

    stdout: int = 1
    stderr: int = 2
    stdin: int = 0


@dataclass(frozen=True, slots=True)
class Unavailable:
    """Why a back end cannot be used here, and what would change that."""

    reason: str
    hint: str | None = None

    def __str__(self) -> str:
        return f"{self.reason} ({self.hint})" if self.hint else self.reason


@dataclass(frozen=True, slots=True)
class Up:
    """A lab that is up.

    Attributes:
        backend: name of the back end.
        topology: name of the topology.
        pid: the process that holds it.
        started_ticks: when that process started (`proc(5)`, field 22 of `stat`), unlike any later one.
        consoles: what its agent answers on: Unix sockets, or pairs of named pipes, `.in` and `.out` left out.
    """

    backend: str
    topology: str
    pid: int
    started_ticks: int
    consoles: tuple[str, ...]


class Backend(Protocol):
    """One way to get a kernel with IPVS."""

    @property
    def name(self) -> str:
        """The word that selects it: `netns`, `uml` or `qemu`."""

    def refusal(self) -> Unavailable | None:
        """Say why it cannot be used here, or None when it can."""

    def run(self, command: GuestCommand, streams: StandardStreams) -> int:
        """Run a command to its end and return its exit status.

        Raises:
            GuestFailed: the environment did not come up or ended early.
            GuestTimeout: the command outlived its limit.
        """

    def up(self, topology: str, directory: Path) -> Up:
        """Bring a topology of the package up so that it stays, with its files in `directory`.

        Raises:
            GuestFailed: it did not come up.
        """


def guest_environment(command: GuestCommand) -> dict[str, str]:
    """Return the environment of a command: a plain one, plus what the caller gives."""
    plain = {
        "PATH": STANDARD_PATH,
        "HOME": "/root",
        "LANG": "C.UTF-8",
        "TERM": "dumb",
        # The host's file system is read-only inside: byte code could not be written anyway.
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    copied = {name: os.environ[name] for name in _COPIED_VARIABLES if name in os.environ}
    return {**plain, **copied, **command.env, IN_LAB_VARIABLE: "1"}


def needed_directories(command: GuestCommand) -> tuple[Path, ...]:
    """Return the directories that the command reads: the checkout, the interpreter, its libraries."""
    package = Path(__file__).resolve().parents[2]
    wanted = (command.cwd, package.parent, Path(sys.prefix), Path(sys.base_prefix))
    return tuple(dict.fromkeys(path.resolve() for path in wanted))
