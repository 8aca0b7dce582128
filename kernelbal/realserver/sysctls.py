"""The sysctls of a real server, each with its reason (kernel `Documentation/networking/ip-sysctl.rst`).

Of `arp_ignore`, `arp_announce` and `rp_filter` the greater of `all` and the interface is in force. IPv6 needs
none of them: a neighbour only learns addresses of the device that it asks (`ndisc_recv_ns`).
"""

from __future__ import annotations

from typing import Final, NamedTuple

from kernelbal.model.network import Sysctl


class ArpSysctl(NamedTuple):
    """A sysctl that keeps ARP silent.

    Attributes:
        name: below `net/ipv4/conf/INTERFACE`.
        value: what is written.
        others: values that do as well, where an operator has chosen them.
    """

    name: str
    value: str
    others: tuple[str, ...]
    reason: str


ARP_SYSCTLS: Final = (
    ArpSysctl(
        "arp_ignore",
        "1",
        ("2",),
        "Only addresses of the interface that is asked are answered for, so never the virtual address.",
    ),
    ArpSysctl(
        "arp_announce",
        "2",
        (),
        "The host's own ARP requests never name the virtual address as their sender.",
    ),
)
"""What the loopback method needs, on `all` and on each interface, before the address appears."""

_LOOSE: Final = "2"
_STRICT: Final = "1"


def conf(interface: str, name: str) -> str:
    """Return the path of a sysctl of an interface: `net/ipv4/conf/eth0/arp_ignore`."""
    return f"net/ipv4/conf/{interface}/{name}"


def silent_arp(interfaces: tuple[str, ...]) -> tuple[Sysctl, ...]:
    """Return what keeps a host silent about addresses that are not on these interfaces."""
    return tuple(
        Sysctl(conf(interface, each.name), each.value, each.reason, also=each.others)
        for interface in ("all", *interfaces)
        for each in ARP_SYSCTLS
    )


def loose_reverse_path(device: str, reason: str) -> Sysctl:
    """Return what lets packets in whose sender is reached by another device (RFC 3704, 2.4).

    Strict mode would drop them; where it is off, it stays off.
    """
    return Sysctl(
        conf(device, "rp_filter"), _LOOSE, reason, replaces=_STRICT, beside=conf("all", "rp_filter")
    )
