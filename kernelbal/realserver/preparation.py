"""What a real server is prepared for: one record per virtual address.

A record is complete: devices and own address were settled when it was made, so that every later run, and the
files that bring it back at boot, mean the same.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import Final, NamedTuple

from kernelbal.model.address import Address, format_address, host_prefix
from kernelbal.model.bounds import GivenPort, Port
from kernelbal.model.ipvs import Protocol, TunnelType

STANDARD_MTU_BYTES: Final = 1500
"""MTU of Ethernet (RFC 894)."""
MAX_PORT: Final = 65535
"""The highest TCP, UDP or SCTP port."""
MAX_RANGE: Final = 256
"""Most ports of one range."""
_PORT: Final = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5})|:([0-9]{1,5}))?(?:/([a-z]+))?")


class Method(Enum):
    """How a real server accepts packets for the virtual address without taking it from the director."""

    LOOPBACK = "loopback"
    """The address on a device that no neighbour asks, and sysctls that keep ARP silent about it."""
    ARP = "arp"
    """The same address, and an nftables table that filters ARP instead of sysctls."""
    REDIRECT = "redirect"
    """No address: nftables turns packets for it into packets for the real server's own address."""


class PortMap(NamedTuple):
    """A port of the virtual service, and the port that the real server listens on.

    Attributes:
        protocol: IANA number.
        port: 1-65535.
        to_port: 1-65535; the same port unless the method is `redirect`.
    """

    protocol: int
    port: GivenPort
    to_port: GivenPort

    def __str__(self) -> str:
        mapped = f":{self.to_port}" if self.to_port != self.port else ""
        return f"{self.port}{mapped}/{Protocol(self.protocol).name.lower()}"


class Encapsulation(NamedTuple):
    """How a tunnel wraps packets.

    Attributes:
        kind: encapsulation.
        port: UDP port of GUE, else 0.
    """

    kind: TunnelType
    port: Port = 0

    def __str__(self) -> str:
        return self.kind.name.lower() + (f" port {self.port}" if self.port else "")


@dataclass(frozen=True, slots=True)
class Preparation:
    """One virtual address that a real server serves.

    Attributes:
        virtual: the virtual address.
        real: the address that the director sends to; of the other family only with a tunnel.
        interfaces: devices by which packets of the director come in.
        method: how the address is accepted.
        tunnel: encapsulation; None for direct server return.
        own: an address of this host of the virtual address's family, to which `redirect` leads.
        ports: those of the virtual service; empty for any.
        mtu_bytes: MTU of the path from the director.
        at_boot: whether it is brought back after a reboot.
    """

    virtual: Address
    real: Address
    interfaces: tuple[str, ...]
    method: Method = Method.LOOPBACK
    tunnel: Encapsulation | None = None
    own: Address | None = None
    ports: tuple[PortMap, ...] = ()
    mtu_bytes: int = STANDARD_MTU_BYTES
    at_boot: bool = True

    @property
    def forwarding(self) -> str:
        """The forwarding method in the words of the site file."""
        return "tunnel" if self.tunnel else "dsr"

    @property
    def holds_address(self) -> bool:
        """Whether the real server itself has the virtual address."""
        return self.method is not Method.REDIRECT

    def __str__(self) -> str:
        way = f"tunnel {self.tunnel}" if self.tunnel else "dsr"
        return f"{format_address(self.virtual)}/{host_prefix(self.virtual)} {way} {self.method.value}"


def parse_ports(text: str) -> tuple[PortMap, ...]:
    """Return the ports in `80`, `53/udp`, `8000-8010` or `80:8080/tcp`; tcp unless it says otherwise.

    Raises:
        ValueError: it is none; the message says what one looks like.
    """
    match = _PORT.fullmatch(text.lower())
    names = {protocol.name.lower(): protocol for protocol in Protocol}
    protocol = names.get((match[4] or "tcp") if match else "")
    if match is None or protocol is None:
        raise ValueError(f"`{text}` is not a port such as `80`, `53/udp`, `8000-8010` or `80:8080/tcp`")
    low = int(match[1])
    high, to_port = int(match[2] or low), int(match[3] or low)
    if not (0 < low <= high <= MAX_PORT and 0 < to_port <= MAX_PORT):
        raise ValueError(f"`{text}` is not a port: ports are 1 to {MAX_PORT}, the lower one first")
    if high - low >= MAX_RANGE:
        raise ValueError(f"`{text}` is more than {MAX_RANGE} ports; without any, all ports are meant")
    if high > low:
        return tuple(PortMap(int(protocol), port, port) for port in range(low, high + 1))
    return (PortMap(int(protocol), low, to_port),)


def merged(known: tuple[Preparation, ...], new: tuple[Preparation, ...]) -> tuple[Preparation, ...]:
    """Return all preparations, one per virtual address, sorted; a new one replaces the known one."""
    by_address = {each.virtual: each for each in (*known, *new)}
    return tuple(by_address[address] for address in sorted(by_address))
