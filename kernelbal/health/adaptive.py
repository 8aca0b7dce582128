"""Adaptive weights: they follow the load that agents or response times report.

A reading is a share of the configured weight. The share in force follows a moving average of the readings,
and is changed only by steps that matter, so that weights do not thrash. Load alone never takes a real server
below `minimum`, nor above 2.56 times its weight, as in HAProxy. A real server whose readings have stopped
comes back to its configured weight at the pace of the average.
"""

from __future__ import annotations

from math import exp
from statistics import median
from typing import Final, NamedTuple

from kernelbal.health.decision import ServerMemory
from kernelbal.model.health import AgentReading, Health, ProbeState
from kernelbal.model.site.check import Adaptive

MAX_SHARE: Final = 2.56
"""Largest share of a weight."""
STALE_INTERVALS: Final = 3
"""A reading counts for so many intervals."""
_CLOSE: Final = 0.005
"""The average is settled when it is this close to the reading."""
_SHORTEST_RESPONSE_S: Final = 0.0001
"""Differences below a tenth of a millisecond say nothing about load."""
_PACE: Final = 8
"""Evaluations of the average per time constant."""


class WeightShare(NamedTuple):
    """A real server's share of its configured weight.

    Attributes:
        average: of the readings; None without any.
        applied: what is in force.
        settled: whether the average has reached the reading.
    """

    average: float | None = None
    applied: float = 1.0
    settled: bool = True


NO_SHARE: Final = WeightShare()
"""Nothing is known of its load."""


def is_fresh(state: ProbeState, interval_s: float, timeout_s: float, now: float) -> bool:
    """Return whether what a probe measured still counts."""
    if state.health is Health.DOWN or state.last_at is None:
        return False
    return now - state.last_at <= STALE_INTERVALS * interval_s + timeout_s


def reading_of(state: ProbeState | None, settings: Adaptive, now: float) -> AgentReading | None:
    """Return the current reading of an agent; None when there is none or it is stale."""
    if state is None or not is_fresh(state, settings.interval, settings.timeout, now):
        return None
    return state.reading


def response_shares(times_s: list[float | None], exponent: float) -> list[float | None]:
    """Return the shares of weights by response time: the median keeps its weight.

    Args:
        times_s: of the real servers of a pool; None where there is none that counts.
        exponent: how much slowness counts.

    Returns:
        A share for each of them; None where it has no time. One alone keeps its weight.
    """
    known = [max(each, _SHORTEST_RESPONSE_S) for each in times_s if each is not None]
    if not known:
        return [None] * len(times_s)
    middle = median(known)
    return [
        None if each is None else float((middle / max(each, _SHORTEST_RESPONSE_S)) ** exponent)
        for each in times_s
    ]


def next_share(before: ServerMemory, target: float | None, settings: Adaptive, now: float) -> WeightShare:
    """Return the share after a decision.

    Args:
        before: what is remembered of the real server.
        target: the newest reading; None when there is none: it goes back to 1.0.
        settings: how fast, and in which steps.
        now: seconds on the boot clock.
    """
    least = settings.minimum / 100
    goal = 1.0 if target is None else min(MAX_SHARE, max(least, target))
    if before.share is None:
        return NO_SHARE if target is None else WeightShare(goal, goal)
    average = goal
    if settings.smoothing > 0:
        kept = exp(-max(0.0, now - before.share_at) / settings.smoothing)
        average += (before.share - goal) * kept
    settled = abs(average - goal) < _CLOSE
    if settled:
        average = goal
    applied = before.share if before.applied is None else before.applied
    whole = settled and goal in (1.0, least)
    if whole or abs(average - applied) * 100 >= settings.step:
        applied = average
    if settled and target is None:
        return NO_SHARE
    return WeightShare(average, applied, settled)


def reevaluate_after_s(settings: Adaptive) -> float:
    """Return after how many seconds an average that is not settled is evaluated again."""
    return max(1.0, settings.smoothing / _PACE)
