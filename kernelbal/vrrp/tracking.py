"""What a role depends on besides the partner: links, checks, scripts, the director.

Weights are those of keepalived: a positive one is added while the tracked object is up, a negative one while
it is down, and one of 0 makes a fault while it is down. They move a role only where the other node preempts;
a fault always does.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from kernelbal.vrrp.machine import NEVER
from kernelbal.vrrp.packet import OWNER_PRIORITY

LEAST_PRIORITY: Final = 1
GREATEST_PRIORITY: Final = OWNER_PRIORITY - 1


class Track(NamedTuple):
    """One tracked object.

    Attributes:
        name: for people.
        weight: -253 to 253; 0 makes a fault.
        rise_ns: how long it has to be up until it counts as up.
        fall_ns: how long it has to be down until it counts as down; of the director: its watchdog's time.
    """

    name: str
    weight: int = 0
    rise_ns: int = 0
    fall_ns: int = 0


class Tracked(NamedTuple):
    """What is known about one.

    Attributes:
        up: what counts; None before the first report, which counts at once.
        turns_at_ns: when the other one will count; `NEVER`: the last report was what counts.
    """

    up: bool | None = None
    turns_at_ns: int = NEVER


class Standing(NamedTuple):
    """What all tracked objects make of a priority.

    Attributes:
        priority: 1-254, or 255 of an owner, which has no other.
        faults: names of those for which the node must not have the role.
    """

    priority: int
    faults: tuple[str, ...] = ()


def report(track: Track, tracked: Tracked, up: bool, now_ns: int) -> Tracked:
    """Take in what was seen of an object; whoever calls is back at `turns_at_ns` with `settle`."""
    if tracked.up is None:
        return Tracked(up)
    if up is tracked.up:
        return Tracked(up)
    begun_ns = now_ns + (track.rise_ns if up else track.fall_ns)
    return settle(tracked._replace(turns_at_ns=min(tracked.turns_at_ns, begun_ns)), now_ns)


def settle(tracked: Tracked, now_ns: int) -> Tracked:
    """Return what counts now."""
    return Tracked(not tracked.up) if now_ns >= tracked.turns_at_ns else tracked


def standing_of(priority: int, objects: Iterable[tuple[Track, Tracked]]) -> Standing:
    """Return the priority and the faults; what nothing was reported about yet counts as up."""
    known = [(track, tracked.up is not False) for track, tracked in objects]
    faults = tuple(track.name for track, up in known if not up and not track.weight)
    if priority == OWNER_PRIORITY:
        return Standing(priority, faults)
    change = sum(track.weight for track, up in known if up is (track.weight > 0))
    return Standing(min(max(priority + change, LEAST_PRIORITY), GREATEST_PRIORITY), faults)
