"""Times of VRRP (RFC 9568 6.1, RFC 3768 6.1), in whole nanoseconds of a monotonic clock."""

from __future__ import annotations

from typing import Final

NS_PER_CS: Final = 10_000_000
NS_PER_S: Final = 1_000_000_000
DOWN_INTERVALS: Final = 3
"""Advertisements that are missed before the active router counts as down, besides the skew."""
_PRIORITIES: Final = 256


def skew_ns(version: int, priority: int, interval_cs: int) -> int:
    """Return by how much a router waits longer than one of the highest priority.

    Args:
        version: 2, whose skew is a part of a second, or 3, whose skew is a part of the interval.
        priority: its own, 0-255.
        interval_cs: of the active router.
    """
    whole_ns = NS_PER_S if version == 2 else interval_cs * NS_PER_CS
    return (_PRIORITIES - priority) * whole_ns // _PRIORITIES


def down_ns(version: int, priority: int, interval_cs: int) -> int:
    """Return how long a backup hears nothing before it takes over (Active_Down_Interval)."""
    return DOWN_INTERVALS * interval_cs * NS_PER_CS + skew_ns(version, priority, interval_cs)
