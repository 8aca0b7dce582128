"""How much of each packet tunnels take for themselves.

Sources: RFC 791 (20 bytes of IPv4 header), RFC 8200 (40 of IPv6), RFC 2784 (GRE: 4, and 4 more with a
checksum), draft-ietf-intarea-gue (UDP 8 and GUE 4; 8 more with a remote checksum offload), and what the
kernel adds, `ip_vs_tunnel_xmit` in `net/netfilter/ipvs/ip_vs_xmit.c`.
"""

from __future__ import annotations

from typing import Final

from kernelbal.model.address import AF_INET, AF_INET6, Address, family_of
from kernelbal.model.site import ForwardingName, TunnelChecksum, TunnelTypeName, VirtualService

IP_HEADER_BYTES: Final = {AF_INET: 20, AF_INET6: 40}
"""Without options or extension headers."""
TCP_HEADER_BYTES: Final = 20
"""Without options: so a maximum segment size counts (RFC 6691)."""

_TUNNEL_BYTES: Final = {
    (TunnelTypeName.IPIP, TunnelChecksum.NONE): 0,
    (TunnelTypeName.GRE, TunnelChecksum.NONE): 4,
    (TunnelTypeName.GRE, TunnelChecksum.FULL): 8,
    (TunnelTypeName.GUE, TunnelChecksum.NONE): 12,
    (TunnelTypeName.GUE, TunnelChecksum.FULL): 12,
    (TunnelTypeName.GUE, TunnelChecksum.REMOTE): 20,
}
"""Between the outer and the inner IP header, by type and checksum."""


def overhead_bytes(service: VirtualService, server: Address) -> int:
    """Return how many bytes longer a client's packet is on its way to a real server; 0 without a tunnel.

    Args:
        service: how it forwards.
        server: the real server; its family is that of the outer header.
    """
    if service.forwarding is not ForwardingName.TUNNEL:
        return 0
    outer = IP_HEADER_BYTES[family_of(server)]
    tunnel = service.tunnel
    if tunnel is None:
        return outer
    return outer + _TUNNEL_BYTES.get((tunnel.type, tunnel.checksum), 0)


def packet_bytes(virtual: Address, mss_bytes: int) -> int:
    """Return how long a packet is that carries a full segment to a virtual address."""
    return mss_bytes + TCP_HEADER_BYTES + IP_HEADER_BYTES[family_of(virtual)]


def segment_bytes(virtual: Address, mtu_bytes: int) -> int:
    """Return the greatest segment that fits into a packet to a virtual address."""
    return mtu_bytes - TCP_HEADER_BYTES - IP_HEADER_BYTES[family_of(virtual)]
