"""Files that setup places on a machine, and what became of those that it placed before.

A file of the program's own (a unit, a setting of a module) begins with a checksum of the rest. As long as it
still fits, nobody has edited the file, and a later version replaces it. A document is the operator's from the
first moment, and is never replaced.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Final

from kernelbal.errors import FileUnreadable, StateError
from kernelbal.store.files import make_directory, replace_file

HINT: Final = "run it as root, or name another directory with --root"
_DIGITS: Final = 16
_STAMP: Final = (
    "# Written by `kernelbal setup director`, and replaced by a later one unless edited: checksum {digest}\n"
)


class FileStatus(Enum):
    """How a file on the machine compares with its desired content."""

    ABSENT = "absent"
    SAME = "same"
    OUTDATED = "outdated"
    """An earlier version placed it, and nobody has edited it."""
    EDITED = "edited"
    """It holds something else, and that is somebody's work."""


@dataclass(frozen=True, slots=True)
class PlacedFile:
    """A file that belongs on the machine.

    Attributes:
        path: where, on the machine.
        text: what it should hold.
        document: the operator's to edit, an example only as long as it is not there.
        mode: permissions.
    """

    path: Path
    text: str
    document: bool = False
    mode: int = 0o644


def stamped(text: str) -> str:
    """Return the text of a file of the program's own, with its checksum in front."""
    return _STAMP.format(digest=_digest(text)) + text


def unedited(found: bytes) -> bool:
    """Return whether a file is as some version has written it."""
    first, _, rest = found.decode(errors="replace").partition("\n")
    return f"{first}\n" == _STAMP.format(digest=_digest(rest))


def file_status(file: PlacedFile) -> FileStatus:
    """Return how the file on the machine compares.

    Raises:
        FileUnreadable: it is there but cannot be read.
    """
    try:
        found = file.path.read_bytes()
    except FileNotFoundError:
        return FileStatus.ABSENT
    except OSError as error:
        raise FileUnreadable(f"cannot read {file.path}: {error.strerror}", HINT) from error
    if found == file.text.encode():
        return FileStatus.SAME
    return FileStatus.OUTDATED if not file.document and unedited(found) else FileStatus.EDITED


def place(file: PlacedFile, *, keep_old: bool = False) -> Path | None:
    """Write a file, whole or not at all.

    Args:
        file: what and where.
        keep_old: leave what is there now beside it, under the name that is returned.

    Raises:
        StateError: it cannot be written.
    """
    try:
        make_directory(file.path.parent)
        return replace_file(file.path, file.text.encode(), file.mode, keep_old=keep_old)
    except OSError as error:
        raise StateError(f"cannot write {file.path}: {error.strerror}", HINT) from error


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]
