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

Health = Callable[[], tuple[Mapping[str, ProbeState], Memory]]
"""Returns the states of probes, and what decisions remember."""


class Saver:
    """Keeps the state directory up to date.

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
        self._faults: dict[str, str] = {}
        self._unsaved: Orders | None = None

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
            await asyncio.sleep(max(SHORTEST_S, took_s / SHARE))

    async def save_health(self) -> None:
        """Write the health of real servers now, and the orders that could not be written before."""
        self._changed.clear()
        if self._unsaved is not None:
            await self.save_orders(self._unsaved)
        states, memory = self._health()
        if not await self._write(self._state.save_health, HealthRecord(states=dict(states), memory=memory)):
            self._changed.set()

    async def save_orders(self, orders: Orders) -> bool:
        """Write orders; return whether they have reached the disk. If not, it is tried until they have."""
        self._unsaved = kept = dict(orders)
        saved = await self._write(self._state.save_orders, kept)
        if not saved:
            self._changed.set()
        elif self._unsaved is kept:
            self._unsaved = None
        return saved

    async def save_good(self, documents: GoodDocuments) -> None:
        """Keep a copy of the documents that are in force."""
        await self._write(self._state.save_good, documents)

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

    async def _write(self, write: Callable[..., None], value: object) -> bool:
        try:
            await self._worker.call(write, value)
        except StateError as error:
            if error.message != self._faults.get(write.__name__):
                self._faults[write.__name__] = error.message
                hint = f" ({error.hint})" if error.hint else ""
                message = f"{error.message}{hint}; the daemon continues, but a restart loses newer state"
                self._emit(Event(Topic.STATE_UNSAVED, Severity.ERROR, message))
            return False
        if self._faults.pop(write.__name__, "") and not self._faults:
            self._emit(Event(Topic.STATE_SAVED, Severity.NOTICE, "the state directory can be written again"))
        return True
