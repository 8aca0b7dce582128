"""What can become of a file in the state directory."""

import errno
import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest


def _replaced_by(content: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        path.write_bytes(content(path.read_bytes()))

    return damage


def _become_directory(path: Path) -> None:
    path.unlink()
    path.mkdir()
    (path / "lost+found").touch()


def _become_unreadable(path: Path) -> None:
    """Make it a loop of links: an error of the operating system for root as well."""
    path.unlink()
    path.symlink_to(path)


DAMAGES: dict[str, Callable[[Path], None]] = {
    "empty": _replaced_by(lambda _: b""),
    "cut": _replaced_by(lambda data: data[: len(data) // 2]),
    "random": _replaced_by(lambda _: random.Random(7).randbytes(700)),
    "older layout": _replaced_by(lambda _: b'{"schema":0,"record":{}}'),
    "unreadable": _become_unreadable,
    "directory": _become_directory,
}


def fill_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nothing more reach the disk."""

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
