"""Headers of packets: how many bytes they take, what they leave for data, and their checksum.

Sources: RFC 791 (IPv4), RFC 8200 (IPv6), RFC 9293 (TCP), RFC 768 (UDP), RFC 2784 (GRE),
draft-ietf-intarea-gue, RFC 1071 (checksum), and what the kernel adds, `ip_vs_tunnel_xmit` in
`net/netfilter/ipvs/ip_vs_xmit.c`.
"""

from __future__ import annotations

import struct
from typing import Final

from kernelbal.model.address import AF_INET, AF_INET6, Address, family_of
from kernelbal.model.ipvs import TunnelFlag, TunnelType

IP_HEADER_BYTES: Final = {AF_INET: 20, AF_INET6: 40}
"""Without options or extension headers."""
TCP_HEADER_BYTES: Final = 20
"""Without options: so a maximum segment size counts (RFC 6691)."""

_UDP: Final = 8
_GRE: Final = 4
_GRE_CHECKSUM: Final = 4
"""Checksum and reserved bits."""
_GUE: Final = _UDP + 4
"""UDP and `struct guehdr`."""
_GUE_REMOTE_CHECKSUM: Final = 8
"""`GUE_LEN_PRIV` and `GUE_PLEN_REMCSUM`."""
_TUNNEL_BYTES: Final = {
    (TunnelType.GRE, TunnelFlag.NOCSUM): _GRE,
    (TunnelType.GRE, TunnelFlag.CSUM): _GRE + _GRE_CHECKSUM,
    (TunnelType.GUE, TunnelFlag.NOCSUM): _GUE,
    (TunnelType.GUE, TunnelFlag.CSUM): _GUE,
    (TunnelType.GUE, TunnelFlag.REMCSUM): _GUE + _GUE_REMOTE_CHECKSUM,
}
"""Between the outer and the inner IP header; nothing with IPIP."""


def encapsulation_bytes(outer: int, kind: TunnelType, flag: TunnelFlag = TunnelFlag.NOCSUM) -> int:
    """Return how much longer a tunnel makes a packet.

    Args:
        outer: address family of the outer header.
        kind: encapsulation.
        flag: its checksum.
    """
    return IP_HEADER_BYTES[outer] + _TUNNEL_BYTES.get((kind, flag), 0)


def most_encapsulation_bytes(outer: int, kind: TunnelType) -> int:
    """Return the same with whatever checksum takes most: the receiving end does not know which it is."""
    return max(encapsulation_bytes(outer, kind, flag) for flag in TunnelFlag)


def packet_bytes(address: Address, mss_bytes: int) -> int:
    """Return how long a packet is that carries a full TCP segment to or from an address."""
    return mss_bytes + TCP_HEADER_BYTES + IP_HEADER_BYTES[family_of(address)]


def segment_bytes(address: Address, mtu_bytes: int) -> int:
    """Return the greatest TCP segment that fits into a packet to or from an address."""
    return mtu_bytes - TCP_HEADER_BYTES - IP_HEADER_BYTES[family_of(address)]


def internet_checksum(data: bytes) -> int:
    """Return the internet checksum (RFC 1071); 0 over data that holds its right checksum."""
    padded = data + b"\0" if len(data) % 2 else data
    total: int = sum(struct.unpack(f">{len(padded) // 2}H", padded))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def transport_checksum(source: Address, destination: Address, protocol: int, segment: bytes) -> int:
    """Return the checksum of a segment or message with its pseudo-header (RFC 9293 3.1, RFC 8200 8.1)."""
    return internet_checksum(source + destination + struct.pack("!II", len(segment), protocol) + segment)
