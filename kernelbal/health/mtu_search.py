"""Finding a path MTU by packets that may not be fragmented (the idea of RFC 4821, with echo requests).

The greatest size is tried first, since most paths take it; then the least, which distinguishes a narrow path
from a host that does not answer; then the interval between them is halved.
"""

from __future__ import annotations

from typing import Final

from kernelbal.model.address import AF_INET, AF_INET6

FLOOR_BYTES: Final = {AF_INET: 576, AF_INET6: 1280}
"""What every path takes in practice (RFC 791), and must take (RFC 8200 section 5)."""


class MtuSearch:
    """One search; sizes are whole IP packets in bytes.

    Attributes:
        found_bytes: the greatest size that got through; 0 as long as none did.
        size: what to try next; None when the search is over.
    """

    def __init__(self, family: int, ceiling_bytes: int) -> None:
        """Search up to the MTU of the device that the packets leave by."""
        self.found_bytes = 0
        self._floor = min(FLOOR_BYTES[family], ceiling_bytes)
        self._too_big = ceiling_bytes + 1
        self.size: int | None = ceiling_bytes

    def take(self, passed: bool) -> None:
        """Record whether a packet of `size` bytes was answered."""
        size = self.size
        if size is None:
            return
        if passed:
            self.found_bytes = size
        else:
            self._too_big = size
        self.size = self._next()

    def _next(self) -> int | None:
        if not self.found_bytes:
            return self._floor if self._too_big > self._floor else None
        return None if self.found_bytes + 1 >= self._too_big else (self.found_bytes + self._too_big) // 2
