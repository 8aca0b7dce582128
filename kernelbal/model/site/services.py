"""Virtual services and their real servers (`virtual_services:` in `site.yaml`)."""

from __future__ import annotations

from typing import Annotated, Literal, NamedTuple

from pydantic import FailFast, Field

from kernelbal.model.address import Address
from kernelbal.model.choices import (
    AllDown,
    ForwardingName,
    OnDown,
    ProtocolName,
    Scheduler,
    SchedulerFlag,
    TunnelChecksum,
    TunnelTypeName,
)
from kernelbal.model.fields import (
    Duration,
    Few,
    IpAddress,
    Model,
    Name,
    Ports,
    Switch,
    Whole,
)
from kernelbal.model.site.check import Adaptive, Check, CheckSetting


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


class ServerKey(NamedTuple):
    """A real server in a virtual service.

    Attributes:
        service: name of the virtual service.
        port: port of its own, 0 when it takes the service's.
    """

    service: str
    address: Address
    port: int = 0


class SorryServer(Model):
    """Serves clients while no real server is usable."""

    address: IpAddress = Field(description="Its own address.")
    port: Whole | None = Field(None, ge=1, le=65535, description="Port (nat only); the service's by default.")
    forwarding: ForwardingName | None = Field(None, description="The service's by default.")


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
    real_servers: Annotated[tuple[RealServer, ...], FailFast()] = Field((), description="The real servers.")
    sorry_server: SorryServer | None = Field(
        None, description="Serves clients while no real server is usable."
    )
    check: CheckSetting = Field(
        Check(), description="How real servers are checked; the port decides by default."
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
        return ServerKey(self.name, server.address, server.port or 0)
