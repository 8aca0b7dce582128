"""A query, and the kernel view that it is answered from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

from kernelbal.model.address import Address, family_of, format_address, format_endpoint
from kernelbal.model.ipvs import (
    Connection,
    CounterTable,
    DestinationCounters,
    DestinationKey,
    Protocol,
    ServiceKey,
    ServiceTable,
)
from kernelbal.model.network import AddressKey, Link, Route
from kernelbal.model.nft import NftTable
from kernelbal.model.policy_route import Rule, TableRoutes

NO_CONNECTIONS = DestinationCounters(0, 0, 0)
"""Counters of a real server that nothing is known to be connected to."""


class FactSource(Enum):
    """Where a fact was read."""

    KERNEL = "kernel"
    SITE_FILE = "site file"


class ExplainQuery(NamedTuple):
    """A new connection from a client to a virtual address.

    Attributes:
        client_port: source port; None when it is not known.
    """

    client: Address
    virtual: Address
    port: int
    protocol: Protocol = Protocol.TCP
    client_port: int | None = None

    @property
    def family(self) -> int:
        """Address family of the packet."""
        return family_of(self.virtual)

    def __str__(self) -> str:
        client = (
            format_endpoint(self.client, self.client_port)
            if self.client_port
            else format_address(self.client)
        )
        return f"{client} -> {format_endpoint(self.virtual, self.port)}/{self.protocol.name.lower()}"


@dataclass(frozen=True, slots=True)
class KernelView:
    """A kernel as far as it decides over a packet.

    Attributes:
        source: KERNEL for a live one, SITE_FILE for one that a site file describes.
        services: the destinations of each service in the order of the kernel's own list.
        nft: our nftables table, or None when there is none.
        sysctls: value by path below /proc/sys, of those that are known.
        connections: templates and connections; None when they cannot be known.
        service_names: name of the virtual service of each IPVS service, from the site file.
        server_names: name of a real server, where the site file gives one.
        desired_addresses: the addresses that the site file puts on this director.
        ipvs_available: False when the kernel has no IPVS (yet).
        foreign_nft: names of nftables tables that are not ours; they are not looked into.
        rules, table_routes: policy routes of ours.
    """

    source: FactSource
    services: ServiceTable = field(default_factory=dict)
    counters: CounterTable = field(default_factory=dict)
    nft: NftTable | None = None
    addresses: tuple[AddressKey, ...] = ()
    routes: tuple[Route, ...] = ()
    links: tuple[Link, ...] = ()
    sysctls: Mapping[str, str | None] = field(default_factory=dict)
    connections: tuple[Connection, ...] | None = None
    service_names: Mapping[ServiceKey, str] = field(default_factory=dict)
    server_names: Mapping[tuple[ServiceKey, DestinationKey], str] = field(default_factory=dict)
    desired_addresses: tuple[AddressKey, ...] = ()
    ipvs_available: bool = True
    foreign_nft: tuple[str, ...] = ()
    rules: frozenset[Rule] = frozenset()
    table_routes: TableRoutes = field(default_factory=dict)

    @property
    def live(self) -> bool:
        """Whether counters and connections are those of a running kernel."""
        return self.source is FactSource.KERNEL

    def counters_of(self, service: ServiceKey, key: DestinationKey) -> DestinationCounters:
        """Return the counters of a real server; zeros when there are none."""
        return self.counters.get(service, {}).get(key, NO_CONNECTIONS)

    def local(self, address: Address) -> AddressKey | None:
        """Return where this director holds an address, or None."""
        return next((key for key in self.addresses if key.address == address), None)

    def title(self, service: ServiceKey) -> str:
        """Return the service with its name, such as `web` 192.0.2.10:80/tcp."""
        name = self.service_names.get(service)
        return f"`{name}` {service}" if name else str(service)
