"""Writing to the state directory, away from the event loop; a disk that fails disturbs nobody but the log."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Final

from kernelbal.errors import StateError
from kernelbal.health.decision import Memory
from kernelbal.model.event import Event, Severity, Topic
from kernelbal.model.health import ProbeState
from kernelbal.model.overlay import Orders
from kernelbal.runtime.director.worker import Worker
from kernelbal.store.daemon import DaemonState, GoodDocuments, HealthRecord, Unconfirmed

SHORTEST_S: Final = 1.0
"""Health is written at most this often, in seconds."""
SHARE: Final = 0.02
"""Writing takes at most this share of the time: a large site writes more rarely."""
LONGEST_S: Final = 10.0
"""Longest wait after a write, however long that took, in seconds: a crash loses no more."""

Health = Callable[[], tuple[Mapping[str, ProbeState], Memory]]
"""Returns the states of probes, and what decisions remember."""


class Saver:
    """Keeps the state directory up to date.

    Attributes:
        ordering: held by whoever changes the orders in force.

    Args:
        state: the directory.
        worker: the thread that writes.
        emit: takes events.
        health: returns what to write of the health of real servers.
        now: seconds on a steady clock.
    """

    def __init__(
        self,
        state: DaemonState,
        worker: Worker,
        emit: Callable[[Event], None],
        health: Health,
        now: Callable[[], float],
    ) -> None:
        self._state = state
        self._worker = worker
        self._emit = emit
        self._health = health
        self._now = now
        self._changed = asyncio.Event()
        self._errors: dict[str, str] = {}
        self._unsaved: Orders | None = None
        self.ordering = asyncio.Lock()

    def health_changed(self) -> None:
        """Note that the health of real servers is to be written soon."""
        self._changed.set()

    async def run(self) -> None:
        """Write the health of real servers whenever it changed, until cancelled."""
        while True:
            await self._changed.wait()
            started_at = self._now()
            await self.save_health()
            took_s = self._now() - started_at
            await asyncio.sleep(min(max(SHORTEST_S, took_s / SHARE), LONGEST_S))

    async def save_health(self) -> None:
        """Write the health of real servers now, and the orders that could not be written before."""
        self._changed.clear()
        if self._unsaved is not None:
            await self.save_orders(self._unsaved)
        states, memory = self._health()
        if not await self._write(
            "health", self._state.save_health, HealthRecord(states=dict(states), memory=memory)
        ):
            self._changed.set()

    async def accept_orders(self, orders: Orders) -> None:
        """Write orders that are to hold once they have reached the disk, and not before.

        Raises:
            StateError: they cannot be written; then the old ones stay.
        """
        await self._worker.call(self._state.save_orders, orders)
        self._unsaved = None
        self.note("orders", None)

    async def save_orders(self, orders: Orders) -> bool:
        """Write orders that hold already, until they have reached the disk; return whether they have."""
        self._unsaved = kept = dict(orders)
        saved = await self._write("orders", self._state.save_orders, kept)
        if not saved:
            self._changed.set()
        elif self._unsaved is kept:
            self._unsaved = None
        return saved

    async def save_good(self, documents: GoodDocuments) -> None:
        """Keep a copy of the documents that are in force."""
        await self._write("documents", self._state.save_good, documents)

    async def save_unconfirmed(self, record: Unconfirmed) -> None:
        """Keep what to go back to; on return it has reached the disk.

        Raises:
            StateError: it cannot be written.
        """
        await self._worker.call(self._state.save_unconfirmed, record)

    async def discard_unconfirmed(self) -> None:
        """Forget what to go back to.

        Raises:
            StateError: it cannot be removed.
        """
        await self._worker.call(self._state.discard_unconfirmed)

    async def _write(self, what: str, write: Callable[..., None], value: object) -> bool:
        error: StateError | None = None
        try:
            await self._worker.call(write, value)
        except StateError as refusal:
            error = refusal
        self.note(what, error)
        return error is None

    def note(self, what: str, error: StateError | None) -> None:
        """Report when something begins to fail to be written, fails otherwise, and when all can be again.

        Args:
            what: was to be written; each is reported by itself.
            error: why it was not; None when it was.
        """
        if error is None:
            if self._errors.pop(what, "") and not self._errors:
                message = "the state directory can be written again"
                self._emit(Event(Topic.STATE_SAVED, Severity.NOTICE, message))
        elif error.message != self._errors.get(what):
            self._errors[what] = error.message
            hint = f" ({error.hint})" if error.hint else ""
            message = f"{error.message}{hint}; the daemon continues, but a restart loses newer state"
            self._emit(Event(Topic.STATE_UNSAVED, Severity.ERROR, message))

    @property
    def unsaved(self) -> tuple[str, ...]:
        """Why the state directory cannot be written; empty when it can."""
        return tuple(dict.fromkeys(self._errors.values()))
