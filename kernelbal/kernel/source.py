"""The source address towards a real server, whatever the destination of the packets.

A probe through a virtual address must not leave from that address, which Linux would choose while the
director holds it: the real server has it too, and would answer itself.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable
from typing import Final

from kernelbal.kernel.addresses import observe_addresses
from kernelbal.kernel.links import observe_links
from kernelbal.kernel.routes import route_to
from kernelbal.kernel.rtnetlink import RtNetlink
from kernelbal.model.address import Address, family_of, format_address
from kernelbal.model.network import ObservedAddress

_ANY_PORT: Final = 9
"""Nothing is sent."""
_LINK_LOCAL: Final = b"\xfe\x80"


def source_towards(server: Address, virtual: Address) -> Address | None:
    """Return the address of this machine from which to probe `server` with packets to `virtual`.

    It is the one that the kernel uses towards the real server. Where a tunnel leads to a real server of the
    other family, it is an address of the device that leads there.

    Returns:
        An address of the family of `virtual`; None when this machine has none that would do.

    Raises:
        KernelError: addresses or routes cannot be read.
    """
    if len(server) == len(virtual):
        chosen = _chosen(server)
        if chosen != virtual:
            return chosen
    with RtNetlink.open() as netlink:
        links = observe_links(netlink)
        route = route_to(netlink, server, links)
        held = observe_addresses(netlink, links)
    return first_usable(held, route.device if route else "", virtual)


def first_usable(held: Iterable[ObservedAddress], device: str, virtual: Address) -> Address | None:
    """Return the first address of a device, of the family of `virtual`, that is the machine's own.

    Those that kernelbal added are virtual or shared, and deprecated ones are not to be used.
    """
    for key, attributes, ours in held:
        right = key.device == device and len(key.address) == len(virtual) and key.address != virtual
        if right and not ours and not attributes.deprecated and key.address[:2] != _LINK_LOCAL:
            return key.address
    return None


def _chosen(server: Address) -> Address | None:
    """A connected datagram socket knows its source address."""
    family = family_of(server)
    with socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as probe:
        try:
            probe.connect((format_address(server), _ANY_PORT))
        except OSError:  # there is no route
            return None
        text = probe.getsockname()[0]
    return Address(socket.inet_pton(family, text))
