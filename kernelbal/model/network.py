"""Addresses, links, routes and sysctls of a host, as rtnetlink and /proc/sys hold them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from kernelbal.model.address import AF_INET, Address, format_address
from kernelbal.model.bounds import GivenPort, Prefix

IFA_PROTO_KERNELBAL = 0x4B
"""Value of `IFA_PROTO` (`linux/if_addr.h`, Linux 5.18) that marks an address as ours."""
IFA_PROTO_SPEAKER = 0x4C
"""The same for addresses of the active node, which the speaker alone adds and removes."""


class AddressKey(NamedTuple):
    """Identity of an address on a device."""

    device: str
    address: Address
    prefix: Prefix

    def __str__(self) -> str:
        return f"{format_address(self.address)}/{self.prefix} dev {self.device}"


class AddressAttributes(NamedTuple):
    """How an address is added.

    Attributes:
        no_dad: skip duplicate address detection (IPv6): usable at once, never stuck in `dadfailed`.
        deprecated: preferred lifetime 0: never chosen as the source of the host's own traffic (IPv6).
        no_prefix_route: no on-link route for the prefix.
        temporary: made by the kernel for privacy and soon replaced (IPv6, RFC 8981); only ever observed.
    """

    no_dad: bool = False
    deprecated: bool = False
    no_prefix_route: bool = False
    temporary: bool = False


class ObservedAddress(NamedTuple):
    """An address that the kernel holds; `ours` is True when it carries our `IFA_PROTO`."""

    key: AddressKey
    attributes: AddressAttributes
    ours: bool


class Link(NamedTuple):
    """A network device.

    Attributes:
        ifindex: interface index.
        kind: rtnetlink kind such as `veth`, `tunl`, or empty for hardware.
        mtu_bytes: MTU in bytes.
        hardware_address: such as `52:54:00:12:34:56`, or empty.
    """

    name: str
    ifindex: int
    up: bool
    kind: str
    mtu_bytes: int
    hardware_address: str


class LinkState(NamedTuple):
    """A device that must exist and be up; `kind` is what to create when it is missing.

    Attributes:
        kind: `ipip`, `ip6tnl`, `sit`, `gre`, `ip6gre` or `dummy`; empty when the device must exist already.
        mtu_bytes: MTU in bytes, or 0 to leave it.
        local: of an `ip6tnl` that is created: its own address; it takes IPv4 and IPv6 from any sender.
    """

    name: str
    kind: str = ""
    mtu_bytes: int = 0
    local: Address | None = None


class GueListener(NamedTuple):
    """A UDP port that unwraps generic UDP encapsulation (`ip fou add port N gue`).

    Attributes:
        family: `AF_INET` or `AF_INET6`, of the outer packets.
    """

    port: GivenPort
    family: int

    def __str__(self) -> str:
        return f"gue {self.port}/udp {'ipv4' if self.family == AF_INET else 'ipv6'}"


class Route(NamedTuple):
    """A unicast route of the main table. An empty `gateway` means on-link.

    Attributes:
        advertised: learned from router advertisements (`RTPROT_RA`).
    """

    destination: Address
    prefix: int
    gateway: Address | None
    device: str
    metric: int
    advertised: bool = False


class Sysctl(NamedTuple):
    """A desired sysctl.

    Attributes:
        path: below /proc/sys with slashes, since device names may hold dots: `net/ipv4/vs/conntrack`.
        value: text as /proc/sys shows it.
        reason: why, in a sentence.
        optional: True when an older kernel may lack it; then it is skipped and reported.
        replaces: the one value that does not do; any other stays. Empty: nothing but `value` does.
        beside: path of a sysctl that counts too: the greater of the two numbers is in force.
        also: further values that do.
        routed_by: device: desired where its IPv6 default route comes from router advertisements, and from
            then on; empty: desired in any case.
    """

    path: str
    value: str
    reason: str
    optional: bool = False
    replaces: str = ""
    beside: str = ""
    also: tuple[str, ...] = ()
    routed_by: str = ""

    @property
    def needed(self) -> tuple[str, ...]:
        """The paths whose values decide whether it holds."""
        return (self.path, self.beside) if self.beside else (self.path,)

    def holds(self, values: Mapping[str, str | None]) -> bool:
        """Return whether the kernel matches, by the values of `needed`."""
        own = values.get(self.path)
        if own is None:
            return False
        if own.split() == self.value.split() or own in self.also:
            return True
        return bool(self.replaces) and max(own, values.get(self.beside) or own, key=_number) != self.replaces


def _number(value: str) -> int:
    return int(value) if value.isdecimal() else -1
