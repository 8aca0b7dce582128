"""How often something is read whose price depends on the size of the site.

A reading that took `c` seconds of one core is repeated after `c / share` seconds, within bounds, so that
watching takes at most two hundredths of a core. `c` is the lower one of the last two readings: a virtual
machine that does not know how much its host took away counts that as processor time, and one reading that was
interrupted must not make the next ones rare.

A glance, which shows the number of IPv4 services and of the real servers of each, costs a few milliseconds
for thousands of services; so what is removed by hand is missed within a second in a site of any size. The
whole table shows the rest: changed weights, and all of IPv6.
Reading 100,000 real servers took 0.4 to 1.1 s where docs/reference/benchmarks.md was measured: of 1,000 it is
compared every half second or so, of 100,000 once a minute, and a resync comes first.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

GLANCE_SHARE: Final = 0.005
TABLE_SHARE: Final = 0.015
COUNTER_SHARE: Final = 0.01
ASKED_SHARE: Final = 0.1
"""Share of a core for counters while somebody looks at them."""
ASKED_FOR_S: Final = 10.0
"""Somebody who asked is taken to be looking for so long, in seconds."""


@dataclass(slots=True)
class Pace:
    """When one kind of reading is due.

    Attributes:
        share: of one core, at most.
        shortest_s: between two readings, however cheap.
        longest_s: between two readings, however dear.
        next_at: when the next one is due.
        cost_s: of a reading, in seconds of a core; None before the first.
    """

    share: float
    shortest_s: float
    longest_s: float
    next_at: float = 0.0
    cost_s: float | None = None
    _last_s: float = float("inf")

    def spent(self, cost_s: float, now: float) -> None:
        """Note what a reading took, in seconds of a core, and set when the next one is due."""
        self.cost_s, self._last_s = min(cost_s, self._last_s), cost_s
        self.next_at = now + self.wait_s

    @property
    def wait_s(self) -> float:
        """How long to wait between two readings, in seconds."""
        return min(max((self.cost_s or 0.0) / self.share, self.shortest_s), self.longest_s)


class Look(Enum):
    """What is read beside rounds."""

    GLANCE = "glance"
    TABLE = "table"
    COUNTERS = "counters"


class Looks:
    """When to look at the IPVS table and its counters."""

    def __init__(self) -> None:
        self._paces = {
            Look.GLANCE: Pace(GLANCE_SHARE, 0.25, 5.0),
            Look.TABLE: Pace(TABLE_SHARE, 0.5, 60.0),
            Look.COUNTERS: Pace(COUNTER_SHARE, 2.0, 60.0),
        }
        self._asked_at = float("-inf")

    def asked(self, now: float) -> None:
        """Note that somebody looks at counters: they are read more often for a while."""
        self._asked_at = now
        pace = self._paces[Look.COUNTERS]
        if pace.cost_s is not None:
            soon = now + min(max(pace.cost_s / ASKED_SHARE, pace.shortest_s), pace.longest_s)
            pace.next_at = min(pace.next_at, soon)

    def due(self, now: float) -> Look | None:
        """Return what is due, the cheapest first; None when nothing is."""
        return next((look for look, pace in self._paces.items() if pace.next_at <= now), None)

    def next_at(self) -> float:
        """Return when the next one is due."""
        return min(pace.next_at for pace in self._paces.values())

    def spent(self, look: Look, cost_s: float, now: float) -> None:
        """Note what a look took, in seconds of a core."""
        pace = self._paces[look]
        if look is Look.COUNTERS:
            asked = now - self._asked_at < ASKED_FOR_S
            pace.share = ASKED_SHARE if asked else COUNTER_SHARE
        pace.spent(cost_s, now)

    def settled(self, now: float) -> None:
        """Note that a round has just read everything."""
        for look in (Look.GLANCE, Look.TABLE):
            pace = self._paces[look]
            pace.next_at = max(pace.next_at, now + pace.wait_s)
