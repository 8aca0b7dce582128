"""Redirecting packets of a device by traffic control: clsact, flower and mirred (`linux/pkt_cls.h`).

Everything that is added carries a cookie and a preference of its own, so that what a killed run has left is
distinguished from what others have set, and nothing of others is touched.
"""

from __future__ import annotations

import errno
import struct
import sys
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from kernelbal.errors import KernelError
from kernelbal.kernel.netlink import Refusal, attribute, attributes, nested
from kernelbal.kernel.refusals import error
from kernelbal.kernel.rtnetlink import (
    NLM_F_CREATE,
    NLM_F_EXCL,
    U32,
    RtNetlink,
    attribute_table,
)
from kernelbal.model.address import Address

RTM_NEWQDISC: Final = 36
RTM_DELQDISC: Final = 37
RTM_GETQDISC: Final = 38
RTM_NEWTFILTER: Final = 44
RTM_DELTFILTER: Final = 45
RTM_GETTFILTER: Final = 46

TC_MESSAGE: Final = struct.Struct("=BxxxiIII")
"""`struct tcmsg`: family, interface index, handle, parent, info (preference and protocol of a filter)."""
TC_H_CLSACT: Final = 0xFFFFFFF1
CLSACT_HANDLE: Final = 0xFFFF0000
INGRESS: Final = 0xFFFFFFF2
EGRESS: Final = 0xFFFFFFF3
PREFERENCE: Final = 0x4B42
"""Of our filters; filters of others have theirs."""
COOKIE: Final = b"kernelbal"
"""Marks our filters; `+` behind it says that the clsact was added by us too."""

TCA_KIND: Final = 1
TCA_OPTIONS: Final = 2
TCA_FLOWER_ACT: Final = 3
TCA_FLOWER_FLAGS: Final = 22
TCA_CLS_FLAGS_SKIP_HW: Final = 1
TCA_MATCHALL_ACT: Final = 2
TCA_ACT_KIND: Final = 1
TCA_ACT_OPTIONS: Final = 2
TCA_ACT_COOKIE: Final = 6
TCA_MIRRED_PARMS: Final = 2
_FLOWER: Final = b"flower"
_MIRRED: Final = struct.Struct("=IIiiiiI")
"""`struct tc_mirred`: index, capabilities, action, references, bindings, what to do, interface index."""
_TC_ACT_STOLEN: Final = 4
_EGRESS_REDIRECT, _INGRESS_REDIRECT = 1, 3
_ETH_P_ALL: Final = 0x0003

_ETH_DST, _ETH_TYPE, _IP_PROTO = 4, 8, 9
_IPV4_SRC, _IPV4_DST, _IPV6_SRC, _IPV6_DST = 10, 12, 14, 16
_PORTS: Final = {6: (18, 19), 17: (20, 21)}
_ICMP_TYPE: Final = {4: 51, 16: 55}
_ARP_SENDER, _ARP_TARGET = 57, 59
_ARP: Final = 0x0806
_ETHER_TYPES: Final = {4: 0x0800, 16: 0x86DD}
_ICMP: Final = {4: 1, 16: 58}
_UNREACHABLE: Final = {4: 3, 16: 1}
_SOLICITATION: Final = 135

FlowerKeys = tuple[tuple[int, bytes], ...]
"""What a flower filter compares: number of the key and value; without a mask, all of it."""


class ClsactDevice(NamedTuple):
    """A device that was prepared for filters; `added` when its clsact is ours."""

    ifindex: int
    added: bool


# --- what to compare ---


def to_hardware(hardware: bytes) -> FlowerKeys:
    """Match frames to a MAC address."""
    return ((_ETH_DST, hardware),)


def arp_from(sender: Address) -> FlowerKeys:
    """Match ARP packets that name an IPv4 address as their sender."""
    return ((_ETH_TYPE, _short(_ARP)), (_ARP_SENDER, sender))


def arp_for(target: Address) -> FlowerKeys:
    """Match ARP packets with an IPv4 address as their target."""
    return ((_ETH_TYPE, _short(_ARP)), (_ARP_TARGET, target))


def solicitation_to(group: Address) -> FlowerKeys:
    """Match neighbour solicitations to a solicited-node multicast address (RFC 4861, 4.3)."""
    return (*_addressed(None, group), (_IP_PROTO, bytes((58,))), (_ICMP_TYPE[16], bytes((_SOLICITATION,))))


def flow(
    protocol: int, source: Address, destination: Address, source_port: int, destination_port: int
) -> FlowerKeys:
    """Match one direction of one TCP or UDP flow."""
    from_key, to_key = _PORTS[protocol]
    ports = ((from_key, _short(source_port)), (to_key, _short(destination_port)))
    return (*_addressed(source, destination), (_IP_PROTO, bytes((protocol,))), *ports)


def unreachable_to(destination: Address) -> FlowerKeys:
    """Match ICMP messages that something is unreachable (RFC 792, RFC 4443) to an address."""
    family = len(destination)
    return (
        *_addressed(None, destination),
        (_IP_PROTO, bytes((_ICMP[family],))),
        (_ICMP_TYPE[family], bytes((_UNREACHABLE[family],))),
    )


def _addressed(source: Address | None, destination: Address) -> FlowerKeys:
    source_key, destination_key = (_IPV4_SRC, _IPV4_DST) if len(destination) == 4 else (_IPV6_SRC, _IPV6_DST)
    kind = (_ETH_TYPE, _short(_ETHER_TYPES[len(destination)]))
    sources = () if source is None else ((source_key, bytes(source)),)
    return (kind, *sources, (destination_key, bytes(destination)))


def _short(number: int) -> bytes:
    return number.to_bytes(2, "big")


# --- messages ---


def redirect(device: int, target: int, keys: FlowerKeys, *, added: bool) -> bytes:
    """Return the payload that lets what a device sends out, and matches, leave by another device instead."""
    compared = b"".join(attribute(kind, value) for kind, value in keys)
    flags = attribute(TCA_FLOWER_FLAGS, U32.pack(TCA_CLS_FLAGS_SKIP_HW))
    actions = nested(TCA_FLOWER_ACT, _mirred(target, _EGRESS_REDIRECT, added=added))
    return _filter(device, EGRESS, _FLOWER, compared + flags + actions)


def insert(device: int, target: int) -> bytes:
    """Return the payload that lets all that a device receives arrive at another device instead."""
    actions = nested(TCA_MATCHALL_ACT, _mirred(target, _INGRESS_REDIRECT, added=True))
    return _filter(device, INGRESS, b"matchall", actions)


def _filter(device: int, parent: int, kind: bytes, options: bytes) -> bytes:
    info = PREFERENCE << 16 | int.from_bytes(_short(_ETH_P_ALL), sys.byteorder)
    head = TC_MESSAGE.pack(0, device, 0, parent, info)
    return head + attribute(TCA_KIND, kind + b"\0") + nested(TCA_OPTIONS, options)


def _mirred(target: int, what: int, *, added: bool) -> bytes:
    parameters = _MIRRED.pack(0, 0, _TC_ACT_STOLEN, 0, 0, what, target)
    options = nested(TCA_ACT_OPTIONS, attribute(TCA_MIRRED_PARMS, parameters))
    cookie = attribute(TCA_ACT_COOKIE, COOKIE + (b"+" if added else b""))
    return nested(1, attribute(TCA_ACT_KIND, b"mirred\0") + options + cookie)


# --- talking to the kernel ---


def ensure_clsact(socket: RtNetlink, ifindex: int, name: str) -> ClsactDevice:
    """Make sure that a device has a clsact.

    Raises:
        KernelError: it cannot have one, for example beside a foreign `ingress`.
    """
    if _has_clsact(socket, ifindex):
        return ClsactDevice(ifindex, added=False)
    payload = TC_MESSAGE.pack(0, ifindex, CLSACT_HANDLE, TC_H_CLSACT, 0) + attribute(TCA_KIND, b"clsact\0")
    _require(socket.ask(RTM_NEWQDISC, payload, NLM_F_CREATE | NLM_F_EXCL), f"add clsact to {name}")
    return ClsactDevice(ifindex, added=True)


def add_filter(socket: RtNetlink, payload: bytes, name: str) -> None:
    """Add a filter.

    Raises:
        KernelError: the kernel lacks a feature.
    """
    _require(socket.ask(RTM_NEWTFILTER, payload, NLM_F_CREATE | NLM_F_EXCL), f"add a filter to {name}")


def remove_filters(socket: RtNetlink, clsact: ClsactDevice) -> None:
    """Remove our filters from what a device sends, and its clsact if that is ours and unused."""
    head = TC_MESSAGE.pack(0, clsact.ifindex, 0, EGRESS, PREFERENCE << 16)
    socket.ask(RTM_DELTFILTER, head + attribute(TCA_KIND, _FLOWER + b"\0"))
    if clsact.added and not any(_filters(socket, clsact.ifindex)):
        payload = TC_MESSAGE.pack(0, clsact.ifindex, CLSACT_HANDLE, TC_H_CLSACT, 0)
        socket.ask(RTM_DELQDISC, payload + attribute(TCA_KIND, b"clsact\0"))


def leftovers(socket: RtNetlink, ifindexes: Iterable[int]) -> list[ClsactDevice]:
    """Return the devices that hold filters of a run that was killed."""
    found: list[ClsactDevice] = []
    for ifindex in ifindexes:
        cookies = [cookie for cookie in map(_cookie, _filters(socket, ifindex)) if cookie.startswith(COOKIE)]
        if cookies:
            found.append(ClsactDevice(ifindex, added=any(cookie.endswith(b"+") for cookie in cookies)))
    return found


def _has_clsact(socket: RtNetlink, ifindex: int) -> bool:
    for data in socket.dump(RTM_GETQDISC, TC_MESSAGE.pack(0, ifindex, 0, 0, 0), "queueing disciplines"):
        found = attribute_table(data, TC_MESSAGE.size)
        here = TC_MESSAGE.unpack_from(data)[1] == ifindex
        if here and found.get(TCA_KIND, b"").rstrip(b"\0") == b"clsact":
            return True
    return False


def _filters(socket: RtNetlink, ifindex: int) -> Iterator[dict[int, bytes]]:
    """Yield the filters of both directions; the kernel lists a chain head without options first."""
    for parent in (INGRESS, EGRESS):
        request = TC_MESSAGE.pack(0, ifindex, 0, parent, 0)
        try:
            listed = list(socket.dump(RTM_GETTFILTER, request, "filters"))
        except KernelError:  # no clsact, or none in this direction
            continue
        for data in listed:
            yield attribute_table(data, TC_MESSAGE.size)


def _cookie(found: dict[int, bytes]) -> bytes:
    """Return the cookie of the first action of a flower filter, empty where there is none."""
    flower = found.get(TCA_KIND, b"").rstrip(b"\0") == _FLOWER
    data = found.get(TCA_OPTIONS, b"") if flower else b""
    for nested_kind in (TCA_FLOWER_ACT, 1, TCA_ACT_COOKIE):
        inner = {kind: data[start:end] for kind, start, end in attributes(data, 0, len(data))}
        data = inner.get(nested_kind, b"")
    return data


def _require(answer: bytes | Refusal, what: str) -> None:
    if isinstance(answer, Refusal):
        number = answer.errno
        raise error(what, "", number if number != errno.ENOENT else errno.EOPNOTSUPP, answer.text)
