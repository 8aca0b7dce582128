"""Asks a segment, from a host on it, who has an IPv4 address, and hears every answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kernelbal.kernel.links import read_link_details
from kernelbal.kernel.neighbours import who_holds
from kernelbal.kernel.rtnetlink import RtNetlink
from kernelbal.model.address import parse_address

if TYPE_CHECKING:
    from kernelbal.lab.namespaces import Host


def who_has(host: Host, address: str, *, device: str = "eth0") -> list[str]:
    """Return the hardware address in each answer, in the order of their coming.

    Raises:
        KernelError: no right to open packet sockets.
        StopIteration: no such device.
    """
    wanted = parse_address(address)
    with host.inside(), RtNetlink.open() as rtnetlink:
        detail = next(each for each in read_link_details(rtnetlink) if each.link.name == device)
        return list(who_holds(detail, [wanted]).get(wanted, ()))
