"""The site document (`site.yaml`): shared by all directors of a site, byte for byte.

These models are the vocabulary that users write. They check one value at a time; what concerns several
values at once is in `kernelbal.config.checks`.
"""

from __future__ import annotations

from enum import Enum
from typing import Annotated, Literal

from pydantic import FailFast, Field

from kernelbal.model.address import Address
from kernelbal.model.check import Adaptive, Check, CheckSetting
from kernelbal.model.daemon import ApiSettings, Hook
from kernelbal.model.edge import Edge
from kernelbal.model.fields import (
    Device,
    Duration,
    Few,
    IpAddress,
    Model,
    Name,
    Ports,
    SharedAddress,
    Switch,
    SysctlValue,
    Whole,
)
from kernelbal.model.health import ServerKey
from kernelbal.model.ipvs import Forwarding, Protocol, ServiceFlag, TunnelFlag, TunnelType


class ProtocolName(Enum):
    """Transport protocol of a virtual service."""

    TCP = "tcp"
    UDP = "udp"
    SCTP = "sctp"

    @property
    def number(self) -> Protocol:
        """IANA protocol number."""
        return Protocol[self.name]


class ForwardingName(Enum):
    """How packets reach the real servers."""

    NAT = "nat"
    DSR = "dsr"
    TUNNEL = "tunnel"

    @property
    def number(self) -> Forwarding:
        """The kernel's forwarding method."""
        return Forwarding[self.name]


class Scheduler(Enum):
    """IPVS schedulers (`net/netfilter/ipvs/ip_vs_*.c`)."""

    RR = "rr"
    WRR = "wrr"
    LC = "lc"
    WLC = "wlc"
    SH = "sh"
    MH = "mh"
    SED = "sed"
    NQ = "nq"
    FO = "fo"
    OVF = "ovf"
    LBLC = "lblc"
    LBLCR = "lblcr"
    DH = "dh"


class SchedulerFlag(Enum):
    """Options of the hashing schedulers."""

    SH_FALLBACK = "sh-fallback"
    SH_PORT = "sh-port"
    MH_FALLBACK = "mh-fallback"
    MH_PORT = "mh-port"

    @property
    def scheduler(self) -> Scheduler:
        """The scheduler that understands this flag."""
        return Scheduler(self.value.partition("-")[0])

    @property
    def bit(self) -> ServiceFlag:
        """The bit in the service's flags."""
        return ServiceFlag.SCHED1 if self.value.endswith("fallback") else ServiceFlag.SCHED2


class TunnelTypeName(Enum):
    """Encapsulation towards the real servers."""

    IPIP = "ipip"
    GUE = "gue"
    GRE = "gre"

    @property
    def number(self) -> TunnelType:
        """The kernel's tunnel type."""
        return TunnelType[self.name]


class TunnelChecksum(Enum):
    """Checksum of the outer header (gue and gre)."""

    NONE = "none"
    FULL = "full"
    REMOTE = "remote"

    @property
    def flag(self) -> TunnelFlag:
        """The kernel's tunnel flag."""
        return {"none": TunnelFlag.NOCSUM, "full": TunnelFlag.CSUM, "remote": TunnelFlag.REMCSUM}[self.value]


class Tunnel(Model):
    """Encapsulation of `forwarding: tunnel`."""

    type: TunnelTypeName = Field(TunnelTypeName.IPIP, description="Encapsulation.")
    port: Whole | None = Field(
        None, ge=1, le=65535, description="UDP port of the real servers' GUE listener."
    )
    checksum: TunnelChecksum = Field(TunnelChecksum.NONE, description="Checksum of the outer header.")


class SourceIp(Model):
    """Persistence by the client's address."""

    timeout: Duration = Field(300.0, description="How long after its last connection a client is remembered.")
    prefix: Whole | None = Field(
        None,
        ge=1,
        le=128,
        description="Prefix length that counts as one client; a single address by default.",
    )


class Persistence(Model):
    """What keeps a client on its real server."""

    source_ip: SourceIp = Field(default=..., description="By the client's address.")


class RealServer(Model):
    """A machine that serves."""

    address: IpAddress = Field(description="Its own address, not the virtual one.")
    port: Whole | None = Field(
        None, ge=1, le=65535, description="Port it listens on (nat only); the service's by default."
    )
    weight: Whole = Field(100, ge=0, le=65535, description="Share of new connections; 0 quiesces.")
    upper_threshold: Whole = Field(
        0, ge=0, le=4294967295, description="Connections at which it gets no new ones; 0 is no limit."
    )
    lower_threshold: Whole = Field(
        0,
        ge=0,
        le=4294967295,
        description="Connections below which it gets new ones again; 0 is 3/4 of upper.",
    )
    name: Name | None = Field(None, description="Name shown beside the address.")


class SorryServer(Model):
    """Answers while no real server can."""

    address: IpAddress = Field(description="Its own address.")
    port: Whole | None = Field(None, ge=1, le=65535, description="Port (nat only); the service's by default.")
    forwarding: ForwardingName | None = Field(None, description="The service's by default.")


class AllDown(Enum):
    """What a virtual service does with fewer usable real servers than its quorum."""

    REFUSE = "refuse"
    KEEP = "keep"
    SORRY = "sorry"
    WITHDRAW = "withdraw"


class OnDown(Enum):
    """What becomes of a real server that goes down."""

    QUIESCE = "quiesce"
    REMOVE = "remove"


class VirtualService(Model):
    """An address and ports that clients use."""

    name: Name = Field(description="Unique in the site.")
    address: IpAddress = Field(description="The virtual address.")
    network: str | None = Field(
        None, description="Network that carries the address; the one whose subnet holds it, else `outside`."
    )
    protocol: ProtocolName = Field(ProtocolName.TCP, description="Transport protocol.")
    ports: Ports = Field(description="`all`, a port, or a list of ports and `low-high` ranges.")
    port_following: Switch = Field(
        False, description="Tie the ports together by a firewall mark: one persistence decision for all."
    )
    mark: Whole | None = Field(
        None, ge=1, le=0xFFFFFFFF, description="Firewall mark, where one is needed; derived from the name."
    )
    forwarding: ForwardingName = Field(description="Forwarding method.")
    one_armed: Switch = Field(
        False, description="nat: masquerade, so that real servers need no route back through the director."
    )
    tunnel: Tunnel | None = Field(None, description="Encapsulation of `forwarding: tunnel`.")
    scheduler: Scheduler = Field(Scheduler.WLC, description="IPVS scheduler.")
    scheduler_flags: Annotated[tuple[SchedulerFlag, ...], Few] = Field(
        (), description="Options of `sh` and `mh`."
    )
    persistence: Persistence | None = Field(None, description="What keeps a client on its real server.")
    persistence_engine: Literal["sip"] | None = Field(None, description="`sip`: by Call-ID (udp).")
    one_packet: Switch = Field(False, description="Schedule each datagram by itself (udp).")
    drain: Duration = Field(60.0, description="How long a removed real server may keep its connections.")
    real_servers: Annotated[tuple[RealServer, ...], FailFast()] = Field(
        (), description="The machines that serve."
    )
    sorry_server: SorryServer | None = Field(None, description="Answers while no real server can.")
    check: CheckSetting = Field(
        default_factory=Check, description="How real servers are checked; the port decides by default."
    )
    quorum: Whole = Field(1, ge=1, le=65535, description="Usable real servers below which it counts as down.")
    hysteresis: Whole = Field(
        0,
        ge=0,
        le=65534,
        description="It goes down below `quorum` - this, and comes back at `quorum` + this.",
    )
    all_down: AllDown | None = Field(
        None,
        description="When it is down: `refuse` clients, `keep` all real servers in service, answer by the "
        "`sorry` server, or `withdraw` the address; `sorry` where there is a sorry server, else `refuse`.",
    )
    on_down: OnDown | None = Field(
        None,
        description="A real server that goes down keeps its connections (`quiesce`), or not (`remove`); "
        "`quiesce` for tcp, `remove` for others and for `dh`.",
    )
    slow_start: Duration = Field(
        0.0, description="How long a real server that comes up takes to get its full weight; `0s`: at once."
    )
    adaptive: Adaptive | None = Field(None, description="Weights that follow the real servers' load.")

    def server_key(self, server: RealServer) -> ServerKey:
        """Return the identity of one of its real servers."""
        return ServerKey(self.name, Address(server.address), server.port or 0)


class Network(Model):
    """A network of the site; `node.yaml` says which device leads to it."""

    shared_addresses: Annotated[tuple[SharedAddress, ...], Few] = Field(
        (), description="Addresses that the active director holds, with the subnet's prefix length."
    )


class TimeoutSettings(Model):
    """IPVS connection timeouts."""

    tcp: Duration = Field(900.0, description="Established TCP connections.")
    tcp_fin: Duration = Field(120.0, description="TCP after the first FIN.")
    udp: Duration = Field(300.0, description="UDP.")


class KernelSettings(Model):
    """Settings of the kernel that hold for the whole site."""

    timeouts: TimeoutSettings = Field(
        default_factory=TimeoutSettings, description="IPVS connection timeouts."
    )
    sysctls: Annotated[dict[str, SysctlValue], Few] = Field(
        default_factory=dict,
        description="`net.ipv4.vs.*` values that replace the recommended ones, by name without the prefix.",
    )


class Site(Model):
    """One load-balancing site."""

    networks: Annotated[dict[Name, Network], Few] = Field(
        default_factory=dict, description="Networks by name."
    )
    kernel: KernelSettings = Field(default_factory=KernelSettings, description="Kernel settings.")
    virtual_services: Annotated[tuple[VirtualService, ...], FailFast()] = Field(
        (), description="Virtual services."
    )
    edge: Edge | None = Field(None, description="Address translation and policy routes of a router host.")


class Node(Model):
    """The node document (`node.yaml`): what differs per director."""

    name: Name = Field(description="Name of this director.")
    role: Literal["first", "second"] = Field("first", description="Which of the two partners this is.")
    interfaces: Annotated[dict[Name, Device], Few] = Field(
        default_factory=dict, description="Device by network name, such as `outside: eth0`."
    )
    api: ApiSettings = Field(default_factory=ApiSettings, description="Who may ask and tell the daemon.")
    notify: Annotated[tuple[Hook, ...], Few] = Field((), description="Whom the daemon tells what happens.")
