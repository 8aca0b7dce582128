"""What the control API needs of a director; the running daemon and the tests' stand-in both are one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol

from kernelbal.model.standing import Admin
from kernelbal.model.status import DirectorStatus, OrderAnswer, OrderRequest, Recorded, ReloadAnswer


class Control(Protocol):
    """A director that can be asked and told; every method is called in the daemon's event loop."""

    def status(self) -> DirectorStatus:
        """Return the status as it is known now, without a wait."""
        ...

    async def reload(self, by: str) -> ReloadAnswer:
        """Read the documents again, and bring them into force when they are valid.

        Args:
            by: who asks, for the log.
        """
        ...

    async def order(self, admin: Admin | None, request: OrderRequest, by: str) -> OrderAnswer:
        """Carry out an operator's order and return once it is recorded and the kernel was told.

        Args:
            admin: None enables again.
            request: which real server, where, how.
            by: who orders it, for the record.

        Raises:
            OrderRefused: no such real server or virtual service; the message says which there are.
        """
        ...

    def recent(self, after: int, limit: int) -> list[Recorded]:
        """Return at most `limit` events with a number above `after`, the oldest first."""
        ...

    def follow(self, after: int) -> AsyncIterator[Recorded]:
        """Yield events with a number above `after`, and then new ones as they happen."""
        ...
