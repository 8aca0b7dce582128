"""ICMP echo (RFC 792, RFC 4443): requests, replies, and errors that quote a request.

Left out: IPv6 extension headers in quoted packets.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import Final, NamedTuple

from kernelbal.model.address import AF_INET, AF_INET6
from kernelbal.model.headers import internet_checksum

_HEADER: Final = struct.Struct(">BBHHH")
_IPV4_HEADER_BYTES: Final = 20
_IPV6_HEADER_BYTES: Final = 40
_IPPROTO_ICMP: Final = 1
_IPPROTO_ICMPV6: Final = 58
FILTER_OPTION: Final = {AF_INET: (255, 1), AF_INET6: (_IPPROTO_ICMPV6, 1)}
"""Level and number of the socket option of a `type_filter`: raw(7), and RFC 3542 section 3.2."""


class _Types(NamedTuple):
    """Types of one family, with the errors' names by code."""

    request: int
    reply: int
    errors: dict[int, tuple[str, tuple[str, ...]]]


_V4: Final = _Types(
    request=8,
    reply=0,
    errors={
        3: (
            "destination unreachable",
            (
                "network unreachable", "host unreachable", "protocol unreachable", "port unreachable",
                "fragmentation needed", "source route failed", "network unknown", "host unknown",
                "source host isolated", "network prohibited", "host prohibited",
                "network unreachable for this service", "host unreachable for this service",
                "prohibited by a filter", "host precedence violation", "precedence cutoff",
            ),
        ),
        11: ("time exceeded", ("hop limit exceeded", "reassembly time exceeded")),
        12: ("parameter problem", ()),
    },
)  # fmt: skip
_V6: Final = _Types(
    request=128,
    reply=129,
    errors={
        1: (
            "destination unreachable",
            (
                "no route", "prohibited by a filter", "beyond scope of the source", "address unreachable",
                "port unreachable", "source address failed policy", "reject route",
            ),
        ),
        2: ("packet too big", ()),
        3: ("time exceeded", ("hop limit exceeded", "reassembly time exceeded")),
        4: ("parameter problem", ()),
    },
)  # fmt: skip


class EchoMessage(NamedTuple):
    """A reply, or an error that quotes our request.

    Attributes:
        payload: of the reply; of an error as far as it is quoted.
        error: empty for a reply, else what is wrong.
    """

    identifier: int
    sequence: int
    payload: bytes
    error: str = ""


def echo_request(family: int, identifier: int, sequence: int, payload: bytes) -> bytes:
    """Return an echo request; for IPv6 the kernel fills in the checksum."""
    if family != AF_INET:
        return _HEADER.pack(_V6.request, 0, 0, identifier, sequence) + payload
    unsigned = _HEADER.pack(_V4.request, 0, 0, identifier, sequence) + payload
    return _HEADER.pack(_V4.request, 0, internet_checksum(unsigned), identifier, sequence) + payload


def type_filter(family: int, types: Iterable[int]) -> bytes:
    """Return the value of the socket option by which the kernel delivers these ICMP types alone."""
    words = [0xFFFFFFFF] * (1 if family == AF_INET else 8)
    for number in types:
        words[number // 32] &= ~(1 << number % 32)
    return struct.pack(f"={len(words)}I", *words)


def without_ipv4_header(packet: bytes) -> bytes:
    """Return what follows the IPv4 header that raw sockets deliver; nothing when it is no IPv4 packet."""
    if len(packet) < _IPV4_HEADER_BYTES or packet[0] >> 4 != 4:
        return b""
    return packet[max(_IPV4_HEADER_BYTES, (packet[0] & 0xF) * 4) :]


def read_echo(family: int, message: bytes) -> EchoMessage | None:
    """Return the reply or error in an ICMP message; None for any other, and for a wrong IPv4 checksum."""
    types = _V4 if family == AF_INET else _V6
    if len(message) < _HEADER.size or (family == AF_INET and internet_checksum(message)):
        return None
    kind, code, _, identifier, sequence = _HEADER.unpack_from(message)
    if kind == types.reply and code == 0:
        return EchoMessage(identifier, sequence, message[_HEADER.size :])
    if kind not in types.errors:
        return None
    quoted = _quoted_request(family, message[_HEADER.size :])
    return quoted._replace(error=error_text(family, kind, code)) if quoted else None


def error_text(family: int, kind: int, code: int) -> str:
    """Return an ICMP error as text, such as `destination unreachable: host prohibited`."""
    types = _V4 if family == AF_INET else _V6
    name, codes = types.errors.get(kind, (f"ICMP error {kind}", ()))
    return f"{name}: {codes[code] if code < len(codes) else f'code {code}'}"


def _quoted_request(family: int, packet: bytes) -> EchoMessage | None:
    """Return our echo request out of the packet that an error quotes."""
    types = _V4 if family == AF_INET else _V6
    if family == AF_INET:
        ours = len(packet) >= _IPV4_HEADER_BYTES and packet[9] == _IPPROTO_ICMP
        message = without_ipv4_header(packet)
    else:
        ours = len(packet) >= _IPV6_HEADER_BYTES and packet[6] == _IPPROTO_ICMPV6
        message = packet[_IPV6_HEADER_BYTES:]
    if not ours or len(message) < _HEADER.size:
        return None
    kind, _, _, identifier, sequence = _HEADER.unpack_from(message)
    return EchoMessage(identifier, sequence, message[_HEADER.size :]) if kind == types.request else None
