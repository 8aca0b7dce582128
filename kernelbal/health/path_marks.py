"""Probe paths: from a virtual address to one real server, each by a firewall mark of its own.

A mark derives from its path, so that a path keeps its mark, and the probe on it its state, whatever
else changes in the site.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from typing import Final, NamedTuple

from kernelbal.model.address import Address, family_of
from kernelbal.model.choices import ForwardingName
from kernelbal.model.headers import encapsulation_bytes
from kernelbal.model.ipvs import DestinationAttributes, TunnelType
from kernelbal.model.site import Site
from kernelbal.model.site.services import VirtualService

PATH_MARK_BASE: Final = 0x4C000000
"""Marks of probes through virtual addresses are 0x4c000000-0x4cffffff, clear of those of services."""
VERIFY_MARK_BASE: Final = 0x4D000000
"""Marks of `kernelbal rs verify` are 0x4d000000-0x4dffffff: it neither needs nor disturbs the daemon's."""
PATH_MARK_MASK: Final = 0x00FFFFFF

_WEIGHT: Final = 1
_DSR_HOPS: Final = 2


class ProbePath(NamedTuple):
    """A path from a virtual address to one real server; services with equal paths share it."""

    virtual: Address
    server: Address
    attributes: DestinationAttributes

    @property
    def offset(self) -> int:
        """The part of the mark that derives from the path."""
        text = f"{self.virtual.hex()} {self.server.hex()} {tuple(map(int, self.attributes))}"
        return zlib.crc32(text.encode()) & PATH_MARK_MASK


def path_attributes(service: VirtualService) -> DestinationAttributes:
    """Return how the paths of a service forward: as the service itself, to one real server."""
    tunnel = service.tunnel
    method = int(service.forwarding.number)
    if service.forwarding is not ForwardingName.TUNNEL or tunnel is None:
        return DestinationAttributes(method, _WEIGHT)
    return DestinationAttributes(
        method,
        _WEIGHT,
        tunnel_type=int(tunnel.type.number),
        tunnel_port=tunnel.port or 0,
        tunnel_flags=int(tunnel.checksum.flag),
    )


def path_hops(service: VirtualService) -> int:
    """Return how many hops a probe through the virtual address may make; 0: as many as any packet.

    IPVS takes one from it, and with dsr the real server is on the next link: one that forwards the probe,
    for want of the virtual address, finds nothing left to do so. A tunnel copies the number to its outer
    header, and may lead far.
    """
    return _DSR_HOPS if service.forwarding is ForwardingName.DSR else 0


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


def assign_path_marks(
    site: Site, paths: Iterable[ProbePath], base: int = PATH_MARK_BASE
) -> dict[ProbePath, int]:
    """Return the mark of each path.

    A derived mark that is taken, by another path or by a setting of the site, moves on to the next free one,
    in the order of paths.

    Args:
        site: whose settings take marks.
        paths: what needs one.
        base: first mark of the range.
    """
    taken = {service.mark for service in site.virtual_services}
    taken |= {service.check.mark for service in site.virtual_services}
    marks: dict[ProbePath, int] = {}
    for path in sorted(set(paths)):
        offset = path.offset
        while base + offset in taken:
            offset = (offset + 1) & PATH_MARK_MASK
        marks[path] = base + offset
        taken.add(base + offset)
    return marks
