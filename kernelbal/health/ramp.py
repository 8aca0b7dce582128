"""Slow start: the weight of a real server that comes into service climbs.

A least-connection scheduler would send everything to a real server that has no connections yet. So its
weight climbs from 1 to its own over `slow_start`, in a straight line, in steps of at least a second.

* Nobody ramps when the daemon starts, nor into an empty pool: the first real servers, and those that follow
  within one interval of the checks, have their full weight at once. A pool is never only ramping: when the
  others are gone, those that are furthest end their ramp.
* A ramp that is interrupted goes on where it was, minus the time that the real server was away. One that
  flaps faster than `slow_start` still gets its full weight, as long as it is more up than down.
* A completed ramp starts over the next time.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from kernelbal.health.decision import ServerMemory

STEP_S: Final = 1.0
"""A weight changes at most this often, in seconds."""
MAX_STEPS: Final = 100
"""More steps would not be seen in the traffic."""


class Ramp(NamedTuple):
    """The progress of slow start.

    Attributes:
        at: when it began, or was interrupted; None when it is over.
        origin: progress (0.0-1.0) at `at`.
    """

    at: float | None = None
    origin: float = 0.0

    def progress(self, now: float, slow_start_s: float) -> float:
        """Return 0.0-1.0 while in service; 1.0 when it is over."""
        if self.at is None or slow_start_s <= 0:
            return 1.0
        return min(1.0, max(0.0, self.origin + (now - self.at) / slow_start_s))

    def left(self, now: float, slow_start_s: float) -> float:
        """Return the progress that is left after being away since `at`."""
        if self.at is None or slow_start_s <= 0:
            return 0.0
        return max(0.0, self.origin - (now - self.at) / slow_start_s)


FULL: Final = Ramp()
"""No slow start, or none any more."""


def next_ramp(before: ServerMemory, in_service: bool, now: float, slow_start_s: float, skip: bool) -> Ramp:
    """Return the progress of slow start after a decision.

    Args:
        before: what is remembered of the real server.
        in_service: whether it takes connections from now on.
        now: seconds on the boot clock.
        slow_start_s: how long a whole ramp takes.
        skip: whether a real server that comes up now gets its full weight at once.
    """
    ramp = Ramp(before.ramp_at, before.ramp_from)
    if in_service and before.up:
        return ramp if ramp.progress(now, slow_start_s) < 1.0 else FULL
    if in_service:
        return FULL if skip else Ramp(now, ramp.left(now, slow_start_s))
    if before.up and ramp.at is not None:
        return Ramp(now, ramp.progress(now, slow_start_s))
    return ramp if ramp.left(now, slow_start_s) else FULL


def furthest(progress: list[float]) -> float | None:
    """Return the greatest progress, whose ramps end; None when some real server has its full weight."""
    most = max(progress, default=1.0)
    return None if most >= 1.0 else most


def ramped_weight(weight: int, progress: float, slow_start_s: float) -> int:
    """Return the weight at some progress: from 1 to `weight`."""
    if progress >= 1.0:
        return weight
    steps = _steps(weight, slow_start_s)
    return 1 + (weight - 1) * int(progress * steps + 1e-9) // steps


def next_step_s(weight: int, progress: float, slow_start_s: float) -> float:
    """Return after how many seconds the weight climbs again."""
    steps = _steps(weight, slow_start_s)
    reached = int(progress * steps + 1e-9)
    return max(STEP_S, ((reached + 1) / steps - progress) * slow_start_s)


def _steps(weight: int, slow_start_s: float) -> int:
    return max(1, min(int(slow_start_s / STEP_S), weight - 1, MAX_STEPS))
