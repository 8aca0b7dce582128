"""Files that are replaced whole: after a crash or a power cut there is the old one or the new one."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


def replace_file(path: Path, data: bytes, mode: int, *, keep_old: bool = False) -> Path | None:
    """Write a file beside the old one, flush it to the disk, rename it over, and flush the directory.

    One writer at a time: the temporary name needs no random part, and is overwritten if a crash left it.

    Args:
        path: where; its directory is there.
        data: its content.
        mode: its permissions.
        keep_old: leave what is there now beside it, under the name that is returned.

    Raises:
        OSError: it cannot be written; then the old one stays, and nothing is left behind.
    """
    temporary = path.with_name(f".{path.name}.new")
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        with open(os.open(temporary, flags, mode), "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        old = _keep(path) if keep_old else None
        temporary.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
    flush_directory(path.parent)
    return old


def make_directory(path: Path, mode: int = 0o755) -> None:
    """Make a directory and what is missing above it, and have their names reach the disk.

    Raises:
        OSError: it cannot be made.
    """
    if not path.is_dir():
        make_directory(path.parent)
        path.mkdir(mode, exist_ok=True)
        flush_directory(path.parent)


def remove_file(path: Path) -> None:
    """Remove a file, if it is there, and have that reach the disk.

    Raises:
        OSError: it cannot be removed.
    """
    try:
        path.unlink()
    except FileNotFoundError:
        return
    flush_directory(path.parent)


def flush_directory(path: Path) -> None:
    """Have the names in a directory reach the disk.

    Raises:
        OSError: it cannot be read, or the disk fails.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _keep(path: Path) -> Path:
    """Give what is there a second name that nothing has yet; no program reads a file that ends in `.old`."""
    number = 1
    while True:
        old = path.with_name(f"{path.name}.{number}.old")
        try:
            os.link(path, old)
        except FileExistsError:
            number += 1
        else:
            return old
