"""When a real server that left the site file may leave the kernel."""

from __future__ import annotations

from dataclasses import dataclass, field

from kernelbal.model.ipvs import (
    DestinationAttributes,
    DestinationCounters,
    DestinationKey,
    Protocol,
    ServiceKey,
)
from kernelbal.model.state import Drain, DrainKey, ObservedState
from kernelbal.plan.actions import QuiesceDestination, RemoveDestination
from kernelbal.plan.result import PendingDrain

NO_CONNECTIONS = DestinationCounters(0, 0, 0)


def open_connections(service: ServiceKey, counters: DestinationCounters) -> int:
    """Return how many connections a leaving real server still serves.

    Inactive TCP connections are only waiting for the kernel to forget them; for other protocols the kernel
    calls every connection inactive.
    """
    if service.protocol == Protocol.TCP:
        return counters.active
    return counters.active + counters.inactive


@dataclass(slots=True)
class Drainer:
    """Decides for each leaving real server: quiesce, wait or remove.

    Attributes:
        observed: the kernel, for its counters.
        known: drains that were under way before.
        now: seconds on the boot clock.
        cut: remove at once.
        drains, pending: collect what goes on.
    """

    observed: ObservedState
    known: dict[DrainKey, Drain]
    now: float
    cut: bool
    drains: dict[DrainKey, Drain] = field(default_factory=dict)
    pending: list[PendingDrain] = field(default_factory=list)

    def leave(
        self,
        service: ServiceKey,
        key: DestinationKey,
        attributes: DestinationAttributes,
        drain_s: float,
    ) -> QuiesceDestination | RemoveDestination | None:
        """Return what to do with a real server that is no longer wanted; None is to wait."""
        counters = self.observed.counters.get(service, {}).get(key, NO_CONNECTIONS)
        connections = open_connections(service, counters)
        drain_key = DrainKey(service, key)
        drain = self.known.get(drain_key)
        deadline_at = drain.deadline_at if drain else self.now + drain_s
        if self.cut or not connections or deadline_at <= self.now:
            return RemoveDestination(service, key)
        self.drains[drain_key] = drain or Drain(self.now, deadline_at)
        if attributes.weight:
            return QuiesceDestination(service, key, attributes, deadline_at - self.now)
        self.pending.append(PendingDrain(drain_key, connections, deadline_at - self.now))
        return None
