"""How much of each packet the tunnel of a virtual service takes for itself."""

from __future__ import annotations

from kernelbal.model.address import Address, family_of
from kernelbal.model.choices import ForwardingName
from kernelbal.model.headers import encapsulation_bytes
from kernelbal.model.ipvs import TunnelType
from kernelbal.model.site.services import VirtualService


def overhead_bytes(service: VirtualService, server: Address) -> int:
    """Return how many bytes longer a client's packet is on its way to a real server; 0 without a tunnel.

    Args:
        service: how it forwards.
        server: the real server; its family is that of the outer header.
    """
    if service.forwarding is not ForwardingName.TUNNEL:
        return 0
    tunnel = service.tunnel
    if tunnel is None:
        return encapsulation_bytes(family_of(server), TunnelType.IPIP)
    return encapsulation_bytes(family_of(server), tunnel.type.number, tunnel.checksum.flag)
