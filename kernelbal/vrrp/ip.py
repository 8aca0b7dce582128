"""The IP packet around an advertisement: what a receiver has to know of it (RFC 791, RFC 8200, RFC 4302).

Options of IPv4 and extension headers of IPv6 are passed over. Left out: fragments, which no advertisement
comes in, and the header checksum of IPv4, which the kernel verifies and a capture on the sender lacks.
"""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

from kernelbal.model.address import AF_INET, AF_INET6, Address

IPPROTO_VRRP: Final = 112
IPPROTO_AH: Final = 51

_V4: Final = struct.Struct("!BxHxxHBBxx4s4s")
"""Version and header length, total length, fragment, TTL, protocol, source, destination."""
_V6: Final = struct.Struct("!B3xHBB16s16s")
"""Version, payload length, next header, hop limit, source, destination."""
_FRAGMENTED: Final = 0x3FFF
"""More fragments, or an offset."""
_HOP_BY_HOP, _ROUTING, _FRAGMENT, _DESTINATION_OPTIONS = 0, 43, 44, 60
_OPTIONS: Final = frozenset({_HOP_BY_HOP, _ROUTING, _DESTINATION_OPTIONS})
_MAX_EXTENSIONS: Final = 8
"""Extension headers that are passed over: RFC 8200 4.1 recommends each of them once, one twice."""
_AH_FIXED_BYTES: Final = 12


class IpPacket(NamedTuple):
    """One whole packet.

    Attributes:
        family: `AF_INET` or `AF_INET6`.
        ttl: time to live or hop limit.
        protocol: such as `IPPROTO_VRRP`; what follows options and extension headers.
        payload: what follows them, without the padding of the link.
    """

    family: int
    source: Address
    destination: Address
    ttl: int
    protocol: int
    payload: bytes


class NotIp(ValueError):
    """Octets that are no whole IP packet; the message says why."""


def parse_ip(data: bytes) -> IpPacket:
    """Return the packet that `data` begins with; what a link adds behind it is cut off.

    Raises:
        NotIp: it is cut short, a fragment, or neither IPv4 nor IPv6.
    """
    version = data[0] >> 4 if data else 0
    if version == 4:
        return _parse_v4(data)
    if version == 6:
        return _parse_v6(data)
    raise NotIp(f"IP version {version}, expected 4 or 6" if data else "no octets")


def _parse_v4(data: bytes) -> IpPacket:
    if len(data) < _V4.size:
        raise NotIp(f"{len(data)} octets, expected an IPv4 header of {_V4.size}")
    head, total, fragment, ttl, protocol, source, destination = _V4.unpack_from(data)
    start = (head & 0x0F) * 4
    if not _V4.size <= start <= total <= len(data):
        raise NotIp(f"IPv4 header of {start} octets, total length {total}, {len(data)} octets received")
    if fragment & _FRAGMENTED:
        raise NotIp("a fragment")
    return IpPacket(AF_INET, Address(source), Address(destination), ttl, protocol, data[start:total])


def _parse_v6(data: bytes) -> IpPacket:
    if len(data) < _V6.size:
        raise NotIp(f"{len(data)} octets, expected an IPv6 header of {_V6.size}")
    _, length, protocol, hop_limit, source, destination = _V6.unpack_from(data)
    end = _V6.size + length
    if end > len(data):
        raise NotIp(f"payload length {length}, {len(data) - _V6.size} octets received")
    protocol, start = _after_extensions(data[:end], protocol)
    return IpPacket(AF_INET6, Address(source), Address(destination), hop_limit, protocol, data[start:end])


def _after_extensions(data: bytes, protocol: int) -> tuple[int, int]:
    """Return the protocol behind the extension headers, and where it begins."""
    start = _V6.size
    for _ in range(_MAX_EXTENSIONS):
        if protocol not in _OPTIONS:
            break
        head = data[start : start + 4]
        size = (head[1] + 1) * 8 if len(head) == 4 else 8
        if start + size > len(data):
            raise NotIp(f"extension header {protocol} of {size} octets, {len(data) - start} octets left")
        if protocol == _ROUTING and head[3]:
            raise NotIp(f"on its way through {head[3]} more routers of a routing header")
        protocol, start = head[0], start + size
    if protocol in _OPTIONS:
        raise NotIp(f"more than {_MAX_EXTENSIONS} extension headers")
    if protocol == _FRAGMENT:
        raise NotIp("a fragment")
    return protocol, start


def without_ah(packet: IpPacket) -> IpPacket:
    """Return what an authentication header protects (RFC 4302 2); whether it is right is not looked at.

    Raises:
        NotIp: it is cut short.
    """
    payload = packet.payload
    size = (payload[1] + 2) * 4 if len(payload) >= _AH_FIXED_BYTES else _AH_FIXED_BYTES
    if not _AH_FIXED_BYTES <= size <= len(payload):
        raise NotIp(f"authentication header of {size} octets, {len(payload)} octets received")
    return packet._replace(protocol=payload[0], payload=payload[size:])
