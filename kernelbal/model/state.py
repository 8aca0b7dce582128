"""What the kernel should be, what it is, and which of it is ours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from kernelbal.model.ipvs import (
    CounterTable,
    DestinationKey,
    ServiceKey,
    ServiceTable,
    Timeouts,
    VirtualServer,
)
from kernelbal.model.network import (
    AddressAttributes,
    AddressKey,
    Link,
    LinkState,
    ObservedAddress,
    Route,
    Sysctl,
)
from kernelbal.model.nft import EMPTY_TABLE, NftTable
from kernelbal.model.policy_route import Rule, TableRoutes


class ServicePolicy(NamedTuple):
    """What the planner must know about a service beside its kernel attributes.

    Attributes:
        name: name of the virtual service in the site file.
        drain_s: seconds that a removed real server may keep its connections; 0 cuts them at once.
        cut_at: for real servers that leave by decision: until when instead, in seconds on the boot clock.
    """

    name: str
    drain_s: float
    cut_at: tuple[tuple[DestinationKey, float], ...] = ()


@dataclass(frozen=True, slots=True)
class DesiredState:
    """The kernel as site, node and the decision in force demand."""

    services: Mapping[ServiceKey, VirtualServer] = field(default_factory=dict)
    policies: Mapping[ServiceKey, ServicePolicy] = field(default_factory=dict)
    addresses: Mapping[AddressKey, AddressAttributes] = field(default_factory=dict)
    links: tuple[LinkState, ...] = ()
    sysctls: tuple[Sysctl, ...] = ()
    nft: NftTable = EMPTY_TABLE
    timeouts: Timeouts | None = None
    rules: frozenset[Rule] = frozenset()
    table_routes: TableRoutes = field(default_factory=dict)

    @property
    def sysctl_paths(self) -> frozenset[str]:
        """The sysctls whose values a plan depends on."""
        return frozenset(path for sysctl in self.sysctls for path in sysctl.needed)


@dataclass(frozen=True, slots=True)
class ObservedState:
    """The kernel as it was read.

    Attributes:
        sysctls: value by path for the paths that were asked for; None when the kernel has no such sysctl.
        nft: our table, or None when it does not exist.
        foreign_nft: names of other tables, such as `ip filter`.
        rules: routing rules of ours.
        table_routes: routes of ours in other tables than the main one.
        connection_table_size: buckets of the IPVS connection table; 0 when IPVS is not loaded.
        ipvs_available: False when the running kernel has no IPVS (yet).
    """

    services: ServiceTable = field(default_factory=dict)
    counters: CounterTable = field(default_factory=dict)
    addresses: tuple[ObservedAddress, ...] = ()
    links: tuple[Link, ...] = ()
    routes: tuple[Route, ...] = ()
    sysctls: dict[str, str | None] = field(default_factory=dict)
    nft: NftTable | None = None
    foreign_nft: tuple[str, ...] = ()
    timeouts: Timeouts | None = None
    connection_table_size: int = 0
    ipvs_available: bool = True
    rules: frozenset[Rule] = frozenset()
    table_routes: TableRoutes = field(default_factory=dict)


class DrainKey(NamedTuple):
    """A real server that is on its way out of a service."""

    service: ServiceKey
    destination: DestinationKey


class Drain(NamedTuple):
    """Since when and until when a real server may keep its connections (seconds on the boot clock)."""

    since_at: float
    deadline_at: float


@dataclass(frozen=True, slots=True)
class Ownership:
    """What kernelbal has put into this kernel; written before each change, so a crash loses nothing.

    Attributes:
        boot_id: `/proc/sys/kernel/random/boot_id`; a record of another boot counts for nothing.
        sysctls: value before our first write, by path.
        timeouts: IPVS timeouts before our first write.
        drain_s: how long connections of a service may go on when it is removed, in seconds; where it is not
            the usual time.
    """

    boot_id: str = ""
    services: frozenset[ServiceKey] = frozenset()
    addresses: frozenset[AddressKey] = frozenset()
    links: frozenset[str] = frozenset()
    sysctls: dict[str, str] = field(default_factory=dict)
    timeouts: Timeouts | None = None
    drains: dict[DrainKey, Drain] = field(default_factory=dict)
    drain_s: dict[ServiceKey, float] = field(default_factory=dict)
