"""Unicast routes: the main table, and where the kernel would send a packet (`linux/rtnetlink.h`)."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from kernelbal.kernel.netlink import Refusal, attribute, attributes
from kernelbal.kernel.rtnetlink import ROUTE_MESSAGE, RTM_GETROUTE, U32, RtNetlink, attribute_table
from kernelbal.model.address import AF_INET, AF_INET6, Address, family_of, host_prefix
from kernelbal.model.network import Link, Route

RT_TABLE_MAIN: Final = 254
RTPROT_RA: Final = 9
RTN_UNICAST: Final = 1
RTN_LOCAL: Final = 2
RTM_F_CLONED: Final = 0x200
RTNH_F_DEAD: Final = 0x1

RTA_DST: Final = 1
RTA_SRC: Final = 2
RTA_OIF: Final = 4
RTA_GATEWAY: Final = 5
RTA_PRIORITY: Final = 6
RTA_MULTIPATH: Final = 9
RTA_TABLE: Final = 15
RTA_VIA: Final = 18

_NEXT_HOP: Final = struct.Struct("=HBBi")
"""`struct rtnexthop`: length, flags, hops, interface index."""
_ANY: Final = {AF_INET: Address(bytes(4)), AF_INET6: Address(bytes(16))}


def observe_routes(socket: RtNetlink, links: Sequence[Link]) -> tuple[Route, ...]:
    """Return the unicast routes of the main table; one with several next hops comes once for each.

    Raises:
        KernelError: they cannot be read.
    """
    devices = {link.ifindex: link.name for link in links}
    return tuple(
        route
        for family in (AF_INET, AF_INET6)
        for data in socket.dump(RTM_GETROUTE, _request(family, 0), "routes")
        for route in parse_routes(data, devices)
    )


def route_to(socket: RtNetlink, address: Address, links: Sequence[Link]) -> Route | None:
    """Return the next hop that the kernel chooses for a packet of its own, None when it has no route.

    The route's destination is the address itself; a local address is on device `lo`.
    """
    return route_from(socket, None, address, links)


def route_from(
    socket: RtNetlink, source: Address | None, address: Address, links: Sequence[Link]
) -> Route | None:
    """Do what `route_to` does for a packet from one of the host's addresses: routing policies may look at it.

    IPv4 has no route for a source that is not the host's.
    """
    own_bits = host_prefix(source) if source else 0
    head = ROUTE_MESSAGE.pack(family_of(address), host_prefix(address), own_bits, 0, 0, 0, 0, 0, 0)
    payload = head + attribute(RTA_DST, address) + (attribute(RTA_SRC, source) if source else b"")
    answer = socket.ask(RTM_GETROUTE, payload)
    if isinstance(answer, Refusal) or not answer:
        return None
    kind = ROUTE_MESSAGE.unpack_from(answer)[7]
    if kind not in (RTN_UNICAST, RTN_LOCAL):
        return None
    found = attribute_table(answer, ROUTE_MESSAGE.size)
    devices = {link.ifindex: link.name for link in links}
    device = "lo" if kind == RTN_LOCAL else _device(found, devices)
    return Route(address, host_prefix(address), _gateway(found), device, _number(found, RTA_PRIORITY))


def parse_routes(data: bytes, devices: Mapping[int, str]) -> Iterator[Route]:
    """Yield the routes in an RTM_NEWROUTE message; none unless it is a unicast route of the main table."""
    family, prefix, _, _, table, protocol, _, kind, flags = ROUTE_MESSAGE.unpack_from(data)
    advertised = protocol == RTPROT_RA
    found = attribute_table(data, ROUTE_MESSAGE.size)
    in_main = _number(found, RTA_TABLE, table) == RT_TABLE_MAIN
    if kind != RTN_UNICAST or not in_main or flags & RTM_F_CLONED or family not in _ANY:
        return
    destination = Address(found[RTA_DST]) if RTA_DST in found else _ANY[family]
    metric = _number(found, RTA_PRIORITY)
    if RTA_MULTIPATH in found:
        for gateway, index in _next_hops(found[RTA_MULTIPATH]):
            yield Route(destination, prefix, gateway, devices.get(index, ""), metric, advertised)
    elif not flags & RTNH_F_DEAD:
        yield Route(destination, prefix, _gateway(found), _device(found, devices), metric, advertised)


def _next_hops(data: bytes) -> Iterator[tuple[Address | None, int]]:
    start = 0
    while start + _NEXT_HOP.size <= len(data):
        length, flags, _, index = _NEXT_HOP.unpack_from(data, start)
        if length < _NEXT_HOP.size:
            return
        inner = range(start + _NEXT_HOP.size, min(start + length, len(data)))
        found = {kind: data[begin:end] for kind, begin, end in attributes(data, inner.start, inner.stop)}
        if not flags & RTNH_F_DEAD:
            yield _gateway(found), index
        start += (length + 3) & ~3


def _request(family: int, prefix: int) -> bytes:
    return ROUTE_MESSAGE.pack(family, prefix, 0, 0, 0, 0, 0, 0, 0)


def _gateway(found: Mapping[int, bytes]) -> Address | None:
    """An IPv4 route may lead through an IPv6 gateway (RFC 5549); then it is in RTA_VIA behind its family."""
    if RTA_GATEWAY in found:
        return Address(found[RTA_GATEWAY])
    return Address(found[RTA_VIA][2:]) if RTA_VIA in found else None


def _device(found: Mapping[int, bytes], devices: Mapping[int, str]) -> str:
    return devices.get(_number(found, RTA_OIF), "")


def _number(found: Mapping[int, bytes], kind: int, default: int = 0) -> int:
    return int(U32.unpack(found[kind])[0]) if kind in found else default
