"""What the control API needs of a director; the running daemon and the tests' stand-in both are one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol

from kernelbal.model.answers import (
    ApplyAnswer,
    ApplyRequest,
    ConfirmAnswer,
    ExplainRequest,
    ExplanationDocument,
    PlanAnswer,
    PlanRequest,
)
from kernelbal.model.overlay import Admin
from kernelbal.model.status import (
    DirectorStatus,
    OrderAnswer,
    OrderRequest,
    Recorded,
    ReloadAnswer,
    ServiceStatus,
)


class StatusSnapshot(Protocol):
    """The status at one moment. It is cheap to take; its parts are made when asked for, in any thread."""

    def summary(self) -> DirectorStatus:
        """Return everything but the virtual services."""
        ...

    def names(self) -> tuple[str, ...]:
        """Return the names of the virtual services in the order of the site file."""
        ...

    def service(self, name: str) -> ServiceStatus:
        """Return one virtual service, of those that `names` returns; no other one is looked at."""
        ...


class Control(Protocol):
    """A director that answers and takes orders; every method is called in the daemon's event loop."""

    def status(self) -> StatusSnapshot:
        """Return the status as it is known now, without a wait."""
        ...

    def status_epoch(self) -> object:
        """Return a value that changes with all of the status but the ages and results of single probes."""
        ...

    async def reload(self, by: str) -> ReloadAnswer:
        """Re-read the documents, and bring them into force when they are valid.

        Args:
            by: who asks, for the log.
        """
        ...

    async def plan(self, request: PlanRequest) -> PlanAnswer:
        """Return what the next round would do with documents; nothing changes.

        Raises:
            KernelbalError: the documents are refused, or the kernel cannot be read.
        """
        ...

    async def explain(self, request: ExplainRequest) -> ExplanationDocument:
        """Return where a connection goes, as the kernel is now.

        Raises:
            KernelbalError: the request is incomplete, or the kernel cannot be read.
        """
        ...

    async def apply(self, request: ApplyRequest, by: str) -> ApplyAnswer:
        """Bring the documents on disk into force and return what the round did.

        Args:
            request: which, how, and whether they have to be confirmed.
            by: who asks, for the log.

        Raises:
            KernelbalError: they are refused, and nothing was changed.
        """
        ...

    async def confirm(self, by: str) -> ConfirmAnswer:
        """Keep what was applied.

        Raises:
            KernelbalError: nothing awaits confirmation.
        """
        ...

    async def rollback(self, by: str) -> ApplyAnswer:
        """Bring the documents and orders of before the apply into force again.

        Raises:
            KernelbalError: nothing awaits confirmation.
        """
        ...

    async def order(self, admin: Admin | None, request: OrderRequest, by: str) -> OrderAnswer:
        """Carry out an operator's order and return once it is recorded and the kernel was changed.

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
