"""When a real server that left the site file may leave the kernel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from kernelbal.model.ipvs import (
    CounterTable,
    DestinationAttributes,
    DestinationCounters,
    Drain,
    DrainKey,
    Protocol,
    ServiceAttributes,
    ServiceFlag,
    ServiceKey,
)
from kernelbal.plan.kind import PendingDrain

NO_CONNECTIONS = DestinationCounters(0, 0, 0)

SETTLE_S = 1.0
"""How long a real server stays quiesced before an idle one is removed, in seconds.

Counters are a moment old: without it, the connections that came since, and the handshakes that IPVS still
calls inactive, would be cut.
"""
_FALLING_BACK = frozenset({"sh", "mh"})
"""Schedulers whose flag SCHED1 gives the clients of a real server of weight 0 another one."""


def open_connections(service: ServiceKey, counters: DestinationCounters) -> int:
    """Return how many connections a leaving real server still serves.

    Inactive TCP connections are only waiting for the kernel to forget them; for other protocols the kernel
    calls every connection inactive.
    """
    if service.protocol == Protocol.TCP:
        return counters.active
    return counters.active + counters.inactive


def with_fallback(attributes: ServiceAttributes) -> ServiceAttributes:
    """Return the attributes with the fallback flag of `sh` and `mh`; other schedulers have none."""
    if attributes.scheduler not in _FALLING_BACK:
        return attributes
    return attributes._replace(flags=attributes.flags | ServiceFlag.SCHED1)


class Leave(NamedTuple):
    """What to do with a real server that leaves.

    Attributes:
        quiesce: set its weight to 0; otherwise remove it.
        drain_s: how long it may keep its connections then, in seconds.
    """

    quiesce: bool
    drain_s: float = 0.0


REMOVE = Leave(quiesce=False)


@dataclass(slots=True)
class Drainer:
    """Decides for each leaving real server: quiesce, wait or remove.

    One that takes connections is always quiesced first, however idle it is, and removed by a later round.

    Attributes:
        counters: of the services that lose a real server.
        known: drains that were under way before.
        now: seconds on the boot clock.
        cut: remove at once.
        drains, pending: collect what goes on.
    """

    counters: CounterTable
    known: Mapping[DrainKey, Drain]
    now: float
    cut: bool
    drains: dict[DrainKey, Drain]
    pending: list[PendingDrain]

    def leave(
        self,
        key: DrainKey,
        attributes: DestinationAttributes,
        drain_s: float,
        cut_at: float | None = None,
    ) -> Leave | None:
        """Return what to do with a real server that is no longer desired; None is to wait.

        Args:
            key: the real server.
            attributes: the real server as it is.
            drain_s: how long it may keep its connections from when it begins to leave.
            cut_at: until when instead, on the boot clock; also for a drain that is under way.
        """
        counters = self.counters.get(key.service, {}).get(key.destination, NO_CONNECTIONS)
        connections = open_connections(key.service, counters)
        drain = self.known.get(key)
        deadline_at = cut_at
        if deadline_at is None:
            deadline_at = drain.deadline_at if drain else self.now + drain_s
        settled = not attributes.weight and (drain is None or self.now - drain.since_at >= SETTLE_S)
        if self.cut or deadline_at <= self.now or (settled and not connections):
            return REMOVE
        if attributes.weight:
            self.drains[key] = Drain(self.now, deadline_at)
            return Leave(quiesce=True, drain_s=deadline_at - self.now)
        self.drains[key] = Drain(drain.since_at if drain else self.now, deadline_at)
        self.pending.append(PendingDrain(key, connections, deadline_at - self.now))
        return None
