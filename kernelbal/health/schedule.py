"""When probes run.

Each probe has slots one interval apart, whose phase is a hash of its key: they spread by themselves, do not
drift, and stay where they are over restarts of the checker. What was missed is skipped, so that nothing
bursts after a pause of the process, of the machine or of the clock.

Time is cut into ticks, so that many probes share the work of one wake-up.
"""

from __future__ import annotations

import heapq
import math
import zlib
from collections.abc import Iterable
from typing import Final, Generic, NamedTuple, TypeVar

from kernelbal.model.health import Timing

MIN_TICK_S: Final = 0.0049
MAX_TICK_S: Final = 0.0485
PROBES_PER_TICK: Final = 29.0
"""Probes that a tick should hold, on average, where that leaves it within its bounds.

This and the bounds avoid ticks of whole hundredths of a second. A process that always works right after the
kernel's own tick has ended escapes kernels that account for processor time by looking who runs at a tick.
"""
TICKS_PER_TIME: Final = 10
"""Ticks, at least, in the shortest interval and the shortest timeout."""
START_S_PER_PROBE: Final = 0.001
"""How much time each new probe adds to the time over which all new ones are spread."""

_ROUNDING: Final = 1e-6
"""Share of a tick that a clock may lack for it to count as over."""
PAUSE_S: Final = 1.0
"""Lateness from which it was a pause: what was due meanwhile is not caught up."""

T = TypeVar("T")
E = TypeVar("E", bound="ScheduleEntry")


def tick_length(timings: Iterable[Timing]) -> float:
    """Return how long a tick should be, in seconds."""
    rate, shortest_s = 0.0, math.inf
    for timing in timings:
        rate += 1 / timing.interval_s
        shortest_s = min(shortest_s, timing.interval_s, timing.timeout_s)
    wanted_s = min(PROBES_PER_TICK / rate if rate else MAX_TICK_S, shortest_s / TICKS_PER_TIME)
    return min(max(wanted_s, MIN_TICK_S), MAX_TICK_S)


def phase_of(key: str) -> float:
    """Return where in its interval a probe has its slot, 0 up to 1."""
    return zlib.crc32(key.encode()) / 2**32


def spread_s(timing: Timing, others: int) -> float:
    """Return over how many seconds the first runs of `others` probes that begin together are spread."""
    return min(timing.interval_s, others * START_S_PER_PROBE)


class ScheduleEntry:
    """When one probe runs. Instants are seconds on the clock of the caller.

    Attributes:
        start_at: when it runs next.
        gone: it does not run any more.
        planned: whether it is in a schedule.
    """

    __slots__ = ("_offset_s", "_slot_at", "gone", "key", "planned", "start_at", "timing")

    def __init__(self, key: str, timing: Timing) -> None:
        self.key = key
        self.timing = timing
        self.start_at = 0.0
        self.gone = False
        self.planned = False
        self._slot_at = 0.0
        self._offset_s = phase_of(key) * timing.interval_s

    def begin(self, now: float, others: int) -> None:
        """Schedule the first run soon, spread over a short time with all others that begin now.

        Args:
            now: the time.
            others: how many begin now in all.
        """
        self._slot_at = self.start_at = now + phase_of(self.key) * spread_s(self.timing, others)

    def advance(self, now: float, chance: float) -> None:
        """Go to the next slot that is still to come.

        Args:
            now: the time.
            chance: a random number of 0 up to 1, for the jitter.
        """
        interval_s = self.timing.interval_s
        # After a start out of turn the slot that follows at once is left out.
        after = max(now, self._slot_at + interval_s / 2)
        passed = math.floor((after - self._offset_s) / interval_s) + 1
        self._slot_at = passed * interval_s + self._offset_s
        self.start_at = self._slot_at + chance * self.timing.jitter_s


class TimingWheel(Generic[T]):
    """A timing wheel: items by the number of the tick at which they are due."""

    def __init__(self) -> None:
        self._slots: dict[int, list[T]] = {}
        self._order: list[int] = []

    def add(self, tick: int, item: T) -> None:
        """Add an item."""
        slot = self._slots.get(tick)
        if slot is None:
            self._slots[tick] = [item]
            heapq.heappush(self._order, tick)
        else:
            slot.append(item)

    def next_tick(self) -> int | None:
        """Return the number of the first tick that has items."""
        return self._order[0] if self._order else None

    def pop(self, tick: int) -> tuple[int, list[T]] | None:
        """Take out the first tick that is not after `tick`, with what it holds; None if there is none."""
        if not self._order or self._order[0] > tick:
            return None
        found = heapq.heappop(self._order)
        return found, self._slots.pop(found)

    def clear(self) -> None:
        """Remove all items."""
        self._slots.clear()
        self._order.clear()


class DueEntries(NamedTuple, Generic[E]):
    """Entries that are due.

    Attributes:
        late_s: by how much the tick of the most belated is over.
        entries: those to run now.
    """

    late_s: float
    entries: list[E]


class Schedule(Generic[E]):
    """Which probes are due, tick by tick.

    What was taken is not due again before it is planned again: no probe runs twice at a time.
    """

    def __init__(self, tick_s: float = MAX_TICK_S) -> None:
        self.tick_s = tick_s
        self._wheel: TimingWheel[E] = TimingWheel()

    def plan(self, entry: E) -> None:
        """Let an entry be due at the first tick from its start on."""
        entry.planned = True
        self._wheel.add(math.ceil(entry.start_at / self.tick_s), entry)

    def next_at(self) -> float | None:
        """Return when something is due next, or None."""
        tick = self._wheel.next_tick()
        return None if tick is None else tick * self.tick_s

    def due(self, now: float) -> DueEntries[E]:
        """Take out what is due; what was missed during a pause is spread again."""
        late_s, entries, missed = 0.0, list[E](), list[E]()
        last = math.floor(now / self.tick_s + _ROUNDING)
        while slot := self._wheel.pop(last):
            tick, found = slot
            over_s = now - tick * self.tick_s
            if over_s > PAUSE_S:
                missed += found
            else:
                late_s = max(late_s, over_s)
                entries += found
        for entry in entries:
            entry.planned = False
        for entry in missed:
            entry.begin(now, len(missed))
            self.plan(entry)
        return DueEntries(late_s, [entry for entry in entries if not entry.gone])
