"""The journal of events: numbered, in memory, for everybody who asks or follows."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from itertools import islice
from typing import Final

from kernelbal.model.event import Event
from kernelbal.model.status import Recorded

KEPT: Final = 4096
"""How many events are kept; who is slower than that finds a gap in the numbers."""


class Journal:
    """The last events, in order.

    Args:
        wall: returns the time of day as ISO 8601.
        kept: how many events are kept.
    """

    def __init__(self, wall: Callable[[], str], kept: int = KEPT) -> None:
        self.wall = wall
        self._events: deque[Recorded] = deque(maxlen=kept)
        self._last = 0
        self._more = asyncio.Event()
        self._closed = False

    @property
    def last(self) -> int:
        """The number of the newest event; 0 when there is none."""
        return self._last

    def record(self, event: Event) -> Recorded:
        """Number an event, keep it, and wake who follows."""
        self._last += 1
        recorded = Recorded(
            seq=self._last,
            at=self.wall(),
            topic=event.topic.value,
            severity=event.severity,
            message=event.message,
            service=event.service,
            server=event.server,
            fields=dict(event.fields),
        )
        self._events.append(recorded)
        self._wake()
        return recorded

    def recent(self, after: int, limit: int) -> list[Recorded]:
        """Return at most `limit` events with a number above `after`, the oldest first."""
        first = self._last - len(self._events)
        begin = min(max(0, after - first), len(self._events))
        return list(islice(self._events, begin, begin + max(0, limit)))

    async def follow(self, after: int) -> AsyncIterator[Recorded]:
        """Yield events with a number above `after`, and new ones as they happen, until the journal closes."""
        while True:
            more = self._more
            for recorded in self.recent(after, self._last):
                after = recorded.seq
                yield recorded
            if self._closed:
                return
            if after >= self._last:
                after = self._last
                await more.wait()

    def close(self) -> None:
        """Let everybody who follows come to an end."""
        self._closed = True
        self._wake()

    def _wake(self) -> None:
        waiting, self._more = self._more, asyncio.Event()
        waiting.set()
