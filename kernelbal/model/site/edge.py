"""What a router host does at the edge of a site (`edge:` in `site.yaml`): address translation, policy routes.

`outside` is always the address that others see, `inside` the machine behind it, in IPv4 as in IPv6.
"""

from __future__ import annotations

import ipaddress
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, PlainSerializer, WithJsonSchema

from kernelbal.model.address import Address, format_address, in_network, parse_address
from kernelbal.model.fields import Few, IpAddress, Model, Name, Ports, Switch, Whole, Wording
from kernelbal.model.ipvs import Protocol

MAX_PRIORITY = 32765
"""Rules above come after the kernel's own for the main table (`fib_default_rules_init`)."""


class Prefix(Model):
    """A block of addresses, written `10.0.0.0/24`; a single address is one of full length."""

    address: IpAddress
    length: int

    def contains(self, address: Address) -> bool:
        """Return whether `address` lies in this block; False when the families differ."""
        return in_network(address, self.address, self.length)

    def covers(self, other: Prefix) -> bool:
        """Return whether every address of another block is in this one."""
        return self.length <= other.length and self.contains(other.address)

    def __str__(self) -> str:
        return f"{format_address(self.address)}/{self.length}"


def _prefix(value: object) -> object:
    if isinstance(value, Prefix):
        return value
    if not isinstance(value, str):
        raise ValueError("a block of addresses is text such as `10.0.0.0/24`")
    text, slash, length = value.partition("/")
    address = parse_address(text)
    bits = len(address) * 8
    if not slash:
        return Prefix(address=address, length=bits)
    if not (length.isascii() and length.isdigit() and int(length) <= bits):
        raise ValueError(f"`{value}` needs a prefix length of 0-{bits}")
    network = ipaddress.ip_network((bytes(address), int(length)), strict=False)
    if network.network_address.packed != address:
        raise ValueError(f"`{value}` has bits set behind its prefix length; the block is `{network}`")
    return Prefix(address=address, length=int(length))


IpPrefix = Annotated[
    Prefix,
    BeforeValidator(_prefix),
    PlainSerializer(str, return_type=str),
    Wording("an address or a block of addresses, such as `10.0.0.11` or `10.0.0.0/24`"),
    WithJsonSchema({"type": "string", "pattern": r"^[0-9A-Fa-f.:]+(/[0-9]{1,3})?$"}),
]
"""`address/length`, or an address alone."""

_CARRIER = "Network that carries the address; the one whose subnet holds it, else `outside`."


class OneToOne(Model):
    """An inside machine with an outside address of its own, in both directions and for every protocol."""

    name: Name = Field(description="Unique among these.")
    outside: IpAddress = Field(description="The address that others see and reach.")
    inside: IpAddress = Field(description="The machine's own address.")
    network: str | None = Field(None, description=_CARRIER)


class Forward(Model):
    """Ports of an outside address that lead to an inside machine."""

    name: Name = Field(description="Unique among these.")
    outside: IpAddress = Field(description="The address that others reach.")
    protocol: Literal["tcp", "udp", "sctp"] = Field("tcp", description="Transport protocol.")
    ports: Ports = Field(description="`all`, a port, or a list of ports and `low-high` ranges.")
    inside: IpAddress = Field(description="The machine that answers.")
    inside_port: Whole | None = Field(
        None, ge=1, le=65535, description="The port there, for a single port; the same by default."
    )
    network: str | None = Field(None, description=_CARRIER)

    @property
    def number(self) -> int:
        """IANA protocol number."""
        return Protocol[self.protocol.upper()].value


class SourceNat(Model):
    """The address with which inside machines appear outside; the first entry that fits counts."""

    name: Name = Field(description="Unique among these.")
    inside: IpPrefix = Field(description="Whose packets.")
    outside: IpAddress | None = Field(None, description="The address that others see.")
    masquerade: Switch = Field(
        False, description="Instead of `outside`: whatever address the director itself has there."
    )
    network: str | None = Field(
        None, description="Network by which they leave; the one whose subnet holds `outside`, else `outside`."
    )


class EdgeRoute(Model):
    """Another way for some packets; the first entry that fits counts."""

    name: Name = Field(description="Unique among these; the number of its table is derived from it.")
    source: IpPrefix | None = Field(None, description="Packets from here; from anywhere by default.")
    destination: IpPrefix | None = Field(None, description="Packets to there; to anywhere by default.")
    gateway: IpAddress | None = Field(None, description="Next hop; without, the destination is on the link.")
    network: str = Field("outside", description="Network by which the packets leave.")
    table: Whole | None = Field(
        None, ge=1, le=0xFFFFFFFF, description="Routing table; one of 19200-20223 by default."
    )
    priority: Whole | None = Field(
        None, ge=1, le=MAX_PRIORITY, description="Priority of the rule; from 19200 on, in order, by default."
    )


class Edge(Model):
    """Address translation and policy routes of a director that is a router too."""

    one_to_one: Annotated[tuple[OneToOne, ...], Few] = Field(
        (), description="Inside machines with an outside address of their own."
    )
    forward: Annotated[tuple[Forward, ...], Few] = Field((), description="Ports that lead inside.")
    source_nat: Annotated[tuple[SourceNat, ...], Few] = Field(
        (), description="How all other inside machines appear outside."
    )
    hairpin: Switch = Field(
        True,
        description="NAT loopback: machines reach the outside addresses of others in their own subnet, too.",
    )
    routes: Annotated[tuple[EdgeRoute, ...], Few] = Field((), description="Policy routes.")
