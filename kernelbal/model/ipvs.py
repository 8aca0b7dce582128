"""What IPVS holds, in the kernel's own terms (`linux/ip_vs.h`).

Identity, attributes and counters are three different things: objects are matched by key, compared by
attributes, and counters are only ever shown. Named tuples, because a site may hold 100,000 of them and
equality must run at C speed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum, IntFlag
from typing import NamedTuple

from kernelbal.model.address import Address, AddressOrEmpty, format_endpoint
from kernelbal.model.bounds import Mark, Port


class Protocol(IntEnum):
    """Transport protocols that IPVS balances (IANA numbers)."""

    TCP = 6
    UDP = 17
    SCTP = 132


class Forwarding(IntEnum):
    """Forwarding methods: `IP_VS_CONN_F_MASQ` and its neighbours."""

    NAT = 0
    LOCAL = 1
    TUNNEL = 2
    DSR = 3
    BYPASS = 4


class TunnelType(IntEnum):
    """Encapsulations: `IP_VS_CONN_F_TUNNEL_TYPE_*`."""

    IPIP = 0
    GUE = 1
    GRE = 2


class TunnelFlag(IntEnum):
    """Checksum of the encapsulation: `IP_VS_TUNNEL_ENCAP_FLAG_*`."""

    NOCSUM = 0
    CSUM = 1
    REMCSUM = 2


class ServiceFlag(IntFlag):
    """Flags of a service: `IP_VS_SVC_F_*`. The `SCHED` bits mean what the scheduler makes of them."""

    NONE = 0
    PERSISTENT = 0x1
    HASHED = 0x2
    """Set by the kernel alone; stripped when observing."""
    ONE_PACKET = 0x4
    SCHED1 = 0x8
    """`sh-fallback`, `mh-fallback`."""
    SCHED2 = 0x10
    """`sh-port`, `mh-port`."""
    SCHED3 = 0x20


class ServiceKey(NamedTuple):
    """Identity of an IPVS service: either protocol, address and port, or family and firewall mark.

    `protocol` and `port` are 0 and `address` is empty for a firewall-mark service; `mark` is 0 otherwise.
    """

    family: int
    protocol: int
    address: AddressOrEmpty
    port: Port
    mark: Mark = 0

    def __str__(self) -> str:
        if self.mark:
            return f"mark {self.mark:#x}{' ipv6' if self.family == 10 else ''}"
        return f"{format_endpoint(self.address, self.port)}/{Protocol(self.protocol).name.lower()}"


class ServiceAttributes(NamedTuple):
    """What can be edited in a service without removing it.

    Attributes:
        scheduler: kernel name such as `wlc`.
        flags: `ServiceFlag` bits without HASHED.
        timeout_s: persistence timeout in seconds; 0 when not persistent.
        prefix: persistence granularity as a prefix length (1-32 or 1-128).
        engine: persistence engine such as `sip`, or empty.
    """

    scheduler: str
    flags: int
    timeout_s: int
    prefix: int
    engine: str


class DestinationKey(NamedTuple):
    """Identity of a real server inside a service; port 0 keeps the port of the packet."""

    address: Address
    port: Port

    def __str__(self) -> str:
        return format_endpoint(self.address, self.port)


class DestinationAttributes(NamedTuple):
    """What can be edited in a destination without removing it.

    Attributes:
        forwarding: a `Forwarding` value.
        weight: 0-65535; 0 quiesces.
        upper_threshold: connections at which it gets no new ones; 0 is no limit.
        lower_threshold: connections below which it gets new ones again; 0: the kernel uses 3/4 of upper.
        tunnel_type, tunnel_port, tunnel_flags: encapsulation; 0 unless `forwarding` is TUNNEL.
    """

    forwarding: int
    weight: int
    upper_threshold: int = 0
    lower_threshold: int = 0
    tunnel_type: int = 0
    tunnel_port: int = 0
    tunnel_flags: int = 0


class DestinationCounters(NamedTuple):
    """Live connections of a destination, and its totals since it was added.

    DSR and tunnel destinations count only client-to-server traffic: replies bypass the director.
    """

    active: int
    inactive: int
    persistent: int
    connections: int = 0
    packets_in: int = 0
    packets_out: int = 0
    bytes_in: int = 0
    bytes_out: int = 0


Destinations = dict[DestinationKey, DestinationAttributes]
"""The real servers of one service."""


@dataclass(slots=True)
class VirtualServer:
    """One IPVS service with its destinations: the unit that is compared and programmed."""

    attributes: ServiceAttributes
    destinations: Destinations = field(default_factory=dict)


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


class DrainKey(NamedTuple):
    """A real server that is on its way out of a service."""

    service: ServiceKey
    destination: DestinationKey


class Drain(NamedTuple):
    """Since when and until when a real server may keep its connections (seconds on the boot clock)."""

    since_at: float
    deadline_at: float


class Timeouts(NamedTuple):
    """IPVS connection timeouts in whole seconds (`ipvsadm --set`)."""

    tcp_s: int = 900
    tcp_fin_s: int = 120
    udp_s: int = 300


ServiceTable = dict[ServiceKey, VirtualServer]
"""Everything in the IPVS table of one network namespace."""

CounterTable = dict[ServiceKey, dict[DestinationKey, DestinationCounters]]
"""Counters beside a `ServiceTable`, never part of a comparison."""


class Connection(NamedTuple):
    """One entry of the IPVS connection table (`/proc/net/ip_vs_conn`).

    An entry with client port 0 is a persistence template: `client` is then masked to the service's prefix,
    and for a firewall-mark service `protocol` is 0 and `virtual` is the mark in the first four bytes.

    Attributes:
        protocol: a `Protocol` value, or 0.
        state: the kernel's name such as `ESTABLISHED`; `NONE` for a new template.
        expires_s: seconds left.
    """

    protocol: int
    client: Address
    client_port: int
    virtual: Address
    virtual_port: int
    destination: DestinationKey
    state: str
    expires_s: int

    @property
    def template(self) -> bool:
        """Whether this is a persistence template and no connection."""
        return self.client_port == 0
