"""The host's directories as they are now, inside a guest that stays up.

A guest has a `/root` and `/tmp` of its own, and what it has read of the host it may remember for ever:
overlayfs and 9p with `cache=loose` do. A file that is edited between two commands needs a mount that forgets.
"""

from __future__ import annotations

from pathlib import Path, PurePath
from typing import Final

from kernelbal.lab.errors import SessionError
from kernelbal.lab.linuxns import MS_BIND, mount

LIVE: Final = Path("/run/live")
"""Where a guest sees the host's root file system, read-only and without memory; absent outside of guests."""

_WHOLE: Final = frozenset({"/", "/root", "/tmp"})  # noqa: S108 - the guest writes to its own
_SYSTEM: Final = frozenset({"dev", "etc", "proc", "run", "sys", "usr", "var"})


def belongs_to_the_guest(directory: PurePath) -> bool:
    """Say whether programs expect the guest's own files there, not the host's."""
    return str(directory) in _WHOLE or directory.parts[1] in _SYSTEM


def show(directory: Path, live: Path = LIVE) -> None:
    """Make a directory of the host visible at the same path, where it is not already.

    Args:
        directory: an absolute path.
        live: where the host's root file system is.

    Raises:
        SessionError: it cannot be mounted.
    """
    wanted = live / directory.relative_to("/")
    if belongs_to_the_guest(directory) or not wanted.is_dir():
        return
    try:
        directory.mkdir(parents=True, exist_ok=True)
        if not directory.samefile(wanted):
            mount(str(wanted), str(directory), flags=MS_BIND)
    except OSError as error:
        raise SessionError(f"cannot show {directory} in the lab: {error.strerror}") from error
