"""The site document (`site.yaml`): shared by all directors of a site, byte for byte.

These models are the vocabulary that users write. They check one value at a time; what concerns several
values at once is in `kernelbal.config.checks`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Annotated, Final, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    FailFast,
    Field,
    PlainSerializer,
    Strict,
    ValidationInfo,
    WithJsonSchema,
)

from kernelbal.model.address import Address, format_address, in_network, parse_address
from kernelbal.model.ipvs import Forwarding, Protocol, ServiceFlag, TunnelFlag, TunnelType
from kernelbal.model.units import ALL_PORTS, PortRange, format_duration, parse_duration, parse_ports


class Model(BaseModel):
    """A mapping in a document: unknown keys are refused, values never change."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)


def _address(value: object) -> Address:
    if isinstance(value, bytes):
        return Address(value)
    if not isinstance(value, str):
        raise ValueError('an IP address is text such as `192.0.2.10` or `"2001:db8::10"`')
    return parse_address(value)


@dataclass(frozen=True, slots=True)
class Wording:
    """How messages and the reference call the values of a type."""

    text: str


DOCUMENT: Final = "document"
"""Validation context of values that a person wrote: there a number is no duration, it lacks a unit."""


def _duration(value: object, info: ValidationInfo) -> float:
    if isinstance(value, float) and info.context != DOCUMENT:
        return value
    if not isinstance(value, str):
        raise ValueError(f"`{value}` has no unit; write a duration such as `300ms`, `9s`, `5m`, `1h`")
    return parse_duration(value)


MAX_ENTRIES = 256
"""Most entries of any list or mapping other than virtual services, real servers and ports."""
MAX_PORT_RANGES = 1000
"""Most ports and ranges of a virtual service."""
MAX_SYSCTL_CHARACTERS = 64
"""Longest value of a sysctl that is text, such as a list of processors."""


def _few(value: object) -> object:
    if isinstance(value, dict | list | tuple) and len(value) > MAX_ENTRIES:
        raise ValueError(f"{len(value)} entries; at most {MAX_ENTRIES} are possible")
    return value


_Few = BeforeValidator(_few)
"""Keeps the number of faults that validation collects in bounds; long lists stop at their first fault."""


def _ports(value: object) -> object:
    if value == "all":
        return (ALL_PORTS,)
    items = value if isinstance(value, list | tuple) else [value]
    if not items:
        raise ValueError("no ports")
    if len(items) > MAX_PORT_RANGES:
        raise ValueError(f"{len(items)} ports and ranges; at most {MAX_PORT_RANGES} are possible")
    return items


def _port_range(value: object) -> PortRange:
    if isinstance(value, PortRange):
        return value
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError(f"`{value}` is not a port or a range such as `8000-8010`")
    return parse_ports(value)


def _sysctl(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError("a sysctl is a whole number or text")
    if isinstance(value, str) and (not value.isprintable() or len(value) > MAX_SYSCTL_CHARACTERS):
        raise ValueError(f"a sysctl has one line of at most {MAX_SYSCTL_CHARACTERS} characters")
    return value


_PORT_SCHEMA = {
    "anyOf": [
        {"type": "integer", "minimum": 1, "maximum": 65535},
        {"type": "string", "pattern": "^[0-9]+(-[0-9]+)?$"},
    ]
}

Whole = Annotated[int, Strict()]
"""A whole number; text such as `"80"` is refused."""

Switch = Annotated[bool, Strict()]
"""`true` or `false`; nothing else is taken for one."""

IpAddress = Annotated[
    bytes,
    BeforeValidator(_address),
    PlainSerializer(lambda value: format_address(Address(value)), return_type=str),
    Wording('an IPv4 or IPv6 address, such as `192.0.2.10` or `"2001:db8::10"`'),
    WithJsonSchema({"type": "string", "anyOf": [{"format": "ipv4"}, {"format": "ipv6"}]}),
]
"""A numeric IPv4 or IPv6 address; packed bytes after validation."""

Duration = Annotated[
    float,
    BeforeValidator(_duration),
    PlainSerializer(format_duration, return_type=str),
    Wording("a duration with its unit, such as `300ms`, `9s`, `5m`, `1h`, `2d`"),
    WithJsonSchema({"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)?(ms|s|m|h|d)$"}),
]
"""A duration with its unit; seconds after validation."""

_Port = Annotated[
    PortRange, BeforeValidator(_port_range), Wording("a port 1-65535, or a range such as `8000-8010`")
]

Ports = Annotated[
    tuple[_Port, ...],
    BeforeValidator(_ports),
    Wording("`all`, a port 1-65535, or a list of ports and ranges such as `8000-8010`"),
    PlainSerializer(lambda ranges: "all" if ranges == (ALL_PORTS,) else [str(r) for r in ranges]),
    WithJsonSchema(
        {
            "anyOf": [
                {"const": "all"},
                _PORT_SCHEMA,
                {"type": "array", "minItems": 1, "items": _PORT_SCHEMA},
            ]
        }
    ),
]
"""`all`, one port, or a list of ports and `low-high` ranges."""

Name = Annotated[
    str,
    Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$"),
    Wording("a name of letters, digits, `_`, `.` and `-`, 63 at most, the first a letter or digit"),
]
"""A name of letters, digits, `_`, `.` and `-`, 63 characters at most."""

Device = Annotated[
    str,
    Field(pattern=r"^[^/\s:.][^/\s:]{0,14}$"),
    Wording("a network device, 15 characters at most, such as `eth0`"),
]
"""Name of a network device (`dev_valid_name` in the kernel's `net/core/dev.c`)."""

SysctlValue = Annotated[int | str, BeforeValidator(_sysctl), Wording("a whole number or text")]
"""Value of a sysctl."""


class InterfaceAddress(Model):
    """An address with the prefix length of its subnet, written `192.0.2.10/24`."""

    address: IpAddress
    prefix: int

    def contains(self, address: bytes) -> bool:
        """Return whether `address` lies in this subnet."""
        return in_network(Address(address), Address(self.address), self.prefix)


def _interface_address(value: object) -> object:
    if not isinstance(value, str):
        return value
    text, slash, prefix = value.partition("/")
    address = parse_address(text)
    bits = len(address) * 8
    if not slash:
        raise ValueError(f"`{value}` lacks the prefix length of its subnet; write `{text}/{bits - 8}`")
    if not (prefix.isascii() and prefix.isdigit() and 1 <= int(prefix) <= bits):
        raise ValueError(f"`{value}` needs a prefix length of 1-{bits}")
    return InterfaceAddress(address=address, prefix=int(prefix))


SharedAddress = Annotated[
    InterfaceAddress,
    BeforeValidator(_interface_address),
    PlainSerializer(lambda value: f"{format_address(Address(value.address))}/{value.prefix}"),
    Wording("an address with the prefix length of its subnet, such as `192.0.2.10/24`"),
    WithJsonSchema({"type": "string", "pattern": r"^[0-9A-Fa-f.:]+/[0-9]{1,3}$"}),
]
"""`address/prefix`."""


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
    scheduler_flags: Annotated[tuple[SchedulerFlag, ...], _Few] = Field(
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


class Network(Model):
    """A network of the site; `node.yaml` says which device leads to it."""

    shared_addresses: Annotated[tuple[SharedAddress, ...], _Few] = Field(
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
    sysctls: Annotated[dict[str, SysctlValue], _Few] = Field(
        default_factory=dict,
        description="`net.ipv4.vs.*` values that replace the recommended ones, by name without the prefix.",
    )


class Site(Model):
    """One load-balancing site."""

    networks: Annotated[dict[Name, Network], _Few] = Field(
        default_factory=dict, description="Networks by name."
    )
    kernel: KernelSettings = Field(default_factory=KernelSettings, description="Kernel settings.")
    virtual_services: Annotated[tuple[VirtualService, ...], FailFast()] = Field(
        (), description="Virtual services."
    )


class Node(Model):
    """The node document (`node.yaml`): what differs per director."""

    name: Name = Field(description="Name of this director.")
    role: Literal["first", "second"] = Field("first", description="Which of the two partners this is.")
    interfaces: Annotated[dict[Name, Device], _Few] = Field(
        default_factory=dict, description="Device by network name, such as `outside: eth0`."
    )
