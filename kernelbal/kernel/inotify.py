"""Notifications of replaced files (inotify(7)) through the C library: Python has no call for it.

Directories are watched, not files: editors write a new file and rename it over the old one, and a watch on
the old one would go with it.
"""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Final, Self

IN_CLOSE_WRITE: Final = 0x8
IN_MOVED_TO: Final = 0x80
IN_CREATE: Final = 0x100
IN_ONLYDIR: Final = 0x01000000
IN_NONBLOCK: Final = os.O_NONBLOCK
IN_CLOEXEC: Final = os.O_CLOEXEC

INTEREST: Final = IN_CLOSE_WRITE | IN_MOVED_TO | IN_CREATE | IN_ONLYDIR
"""A file was written and closed, renamed to its place, or made (as a symbolic link, too)."""
_READ_BYTES: Final = 64 * 1024


class DirectoryWatch:
    """Notices files that are written or renamed into some directories.

    Raises:
        OSError: a directory cannot be watched; its `filename` names it.
    """

    def __init__(self, directories: Iterable[Path]) -> None:
        library = ctypes.CDLL(None, use_errno=True)
        self._descriptor = library.inotify_init1(IN_NONBLOCK | IN_CLOEXEC)
        if self._descriptor < 0:
            raise OSError(ctypes.get_errno(), "cannot watch files")
        for directory in directories:
            name = os.fsencode(directory)
            if library.inotify_add_watch(self._descriptor, ctypes.c_char_p(name), INTEREST) < 0:
                number = ctypes.get_errno()
                self.close()
                raise OSError(number, os.strerror(number), str(directory))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def fileno(self) -> int:
        """Return the descriptor to wait on."""
        return int(self._descriptor)

    def read(self) -> bool:
        """Take what has arrived without a wait; return whether anything happened."""
        seen = False
        while True:
            try:
                seen = bool(os.read(self._descriptor, _READ_BYTES)) or seen
            except OSError as error:
                if error.errno != errno.EAGAIN:
                    raise
                return seen

    def close(self) -> None:
        """Close it."""
        os.close(self._descriptor)
