"""Files that are replaced whole: after a crash or a power cut there is the old one or the new one."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

_TEMPORARY: Final = ".{name}.new"
MOST_BAD: Final = 9
"""Most damaged files that are kept of one name; the newest takes the place of the last one."""
_BAD_NUMBERS: Final = range(1, MOST_BAD + 1)


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
    with _written((path,), data, mode):
        old = _keep(path) if keep_old else None
        _temporary(path).replace(path)
    flush_directory(path.parent)
    return old


def replace_both(path: Path, copy: Path, data: bytes, mode: int) -> None:
    """Replace a file and its copy in the same directory; a full disk changes neither.

    Both contents have reached the disk before the first of the two is renamed.

    Raises:
        OSError: they cannot be written; then the old ones stay, and nothing is left behind.
    """
    with _written((copy, path), data, mode):
        _temporary(copy).replace(copy)
        _temporary(path).replace(path)
    flush_directory(path.parent)


@contextlib.contextmanager
def _written(paths: Sequence[Path], data: bytes, mode: int) -> Iterator[None]:
    """Have the content on the disk under temporary names, which an error removes."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        for path in paths:
            with open(os.open(_temporary(path), flags, mode), "wb") as file:
                os.fchmod(file.fileno(), mode)
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        yield
    except OSError:
        with contextlib.suppress(OSError):
            for path in paths:
                _temporary(path).unlink(missing_ok=True)
        raise


def _temporary(path: Path) -> Path:
    return path.with_name(_TEMPORARY.format(name=path.name))


def set_aside(path: Path) -> Path:
    """Rename what is damaged, whatever it is, to the first free of `NAME.bad`, `NAME.2.bad` and so on.

    Raises:
        OSError: it cannot be renamed.
    """
    names = [path.with_name(f"{path.name}.{n}.bad" if n > 1 else f"{path.name}.bad") for n in _BAD_NUMBERS]
    bad = next((name for name in names if not os.path.lexists(name)), names[-1])
    path.rename(bad)
    flush_directory(path.parent)
    return bad


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
    """Remove a file and what a crash left of a new one, if they are there, and have that reach the disk.

    Raises:
        OSError: it cannot be removed.
    """
    for each in (path, _temporary(path)):
        with contextlib.suppress(FileNotFoundError):
            each.unlink()
            flush_directory(path.parent)


def remove_unfinished(directory: Path) -> None:
    """Remove what crashes left of new files in a directory in which nobody else writes now.

    Raises:
        OSError: one cannot be removed.
    """
    for each in directory.glob(_TEMPORARY.format(name="*")):
        each.unlink()


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
