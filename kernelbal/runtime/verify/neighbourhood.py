"""Who else answers for virtual addresses on their segments, and which real servers that are."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Final, NamedTuple

from kernelbal.health.verification import Answerer
from kernelbal.health.verify_report import Neighbour
from kernelbal.kernel.hardware_vendor import vendor_of
from kernelbal.kernel.links import LinkDetail
from kernelbal.kernel.neighbours import Claims, address_holders
from kernelbal.model.address import Address

VIRTUAL_ROUTERS: Final = ("00:00:5e:00:01:", "00:00:5e:00:02:")
"""MAC addresses of virtual routers (RFC 9568 section 7.3), IPv4 and IPv6: the last byte is the virtual ID."""


class Segment(NamedTuple):
    """What is asked on one device.

    Attributes:
        servers: the real servers whose answers would be wrong, by virtual address.
    """

    device: LinkDetail
    servers: Mapping[Address, Collection[Address]]


def neighbours_on(
    segment: Segment, own: Collection[str], ask: Callable[..., Claims] = address_holders
) -> dict[Address, tuple[Neighbour, ...]]:
    """Return who answers for each virtual address on a segment, this machine and virtual routers aside.

    Args:
        segment: where to ask, and what.
        own: MAC addresses of this machine.
        ask: asks the segment.

    Raises:
        KernelError: packet sockets are not allowed here.
    """
    found = {
        address: others
        for address, claims in ask(segment.device, segment.servers).items()
        if (others := [mac for mac in claims if mac not in own and not mac.startswith(VIRTUAL_ROUTERS)])
    }
    if not found:
        return {}
    suspects = {server for address in found for server in segment.servers[address]}
    owners = {mac: server for server, macs in ask(segment.device, suspects).items() for mac in macs}
    return {
        address: tuple(
            Neighbour(Answerer(mac, vendor_of(mac)), _among(segment.servers[address], owners.get(mac)))
            for mac in macs
        )
        for address, macs in found.items()
    }


def _among(servers: Collection[Address], owner: Address | None) -> Address | None:
    return owner if owner in servers else None
