"""The number of services that the kernel itself counts (`/proc/net/ip_vs_status`).

The file came with the hash tables that grow and shrink, whose dumps can come out short; kernels without it
have a fixed table and need no such check.
"""

from __future__ import annotations

import os
from typing import Final, Self

STATUS_FILE: Final = "/proc/thread-self/net/ip_vs_status"
_READ_BYTES: Final = 4096


class StatusFile:
    """The open file; it stays in the network namespace in which it was opened."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    @classmethod
    def open(cls, path: str = STATUS_FILE) -> Self:
        """Open it.

        Raises:
            OSError: this kernel has none.
        """
        return cls(os.open(path, os.O_RDONLY | os.O_CLOEXEC))

    def services(self) -> int | None:
        """Return how many services of both families the kernel holds, None if the file does not say."""
        for line in os.pread(self._fd, _READ_BYTES, 0).splitlines():
            name, _, value = line.partition(b":")
            if name == b"Services":
                return int(value)
        return None

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)
