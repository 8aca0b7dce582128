"""Prepares real servers of a lab by hand, step by step, so that a test can leave a step out.

What does it for good is `kernelbal realserver`; see tests/lab/test_realserver.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kernelbal.lab.errors import LabError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pyroute2 import IPRoute

    from kernelbal.lab.namespaces import Host

_IFA_F_NODAD: Final = 0x02  # linux/if_addr.h
_LOOPBACK: Final = "lo"


def accept_direct(host: Host, virtual_addresses: Iterable[str]) -> None:
    """Prepare a real server for `forwarding: dsr`.

    Raises:
        LabError: the kernel refused a step.
        OSError: a sysctl refuses its value.
    """
    silence_arp(host)
    for address in virtual_addresses:
        hold_address(host, address)


def silence_arp(host: Host) -> None:
    """Let the host neither answer ARP for addresses on `lo` nor name them in its own requests.

    Without this, real servers take the virtual address away from the director. It comes before the address:
    adding an address announces it. IPv6 needs nothing, neighbour discovery answers per device.
    """
    host.sysctl("net.ipv4.conf.all.arp_ignore", 1)
    host.sysctl("net.ipv4.conf.all.arp_announce", 2)


def hold_address(host: Host, address: str) -> None:
    """Add the virtual address to `lo`: packets for it are accepted, and answered from it.

    Raises:
        LabError: the kernel refused it.
    """
    from pyroute2 import IPRoute, NetlinkError  # slow to import

    settings = {"prefixlen": 128, "flags": _IFA_F_NODAD} if ":" in address else {"prefixlen": 32}
    with host.inside(), IPRoute() as ip:
        try:
            ip.addr("add", index=_index(ip, host, _LOOPBACK), address=address, **settings)
        except NetlinkError as error:
            raise LabError(f"{host.name} cannot hold {address}: {error}") from error


def loosen_reverse_path(host: Host, device: str) -> None:
    """Accept packets whose sender is not reached through the device they come out of.

    The client's packets come out of the tunnel while the route to the client leads elsewhere. The stricter of
    `all` and the device holds, so both are set.
    """
    for name in ("all", device):
        host.sysctl(f"net/ipv4/conf/{name}/rp_filter", 0)


def _index(ip: IPRoute, host: Host, device: str) -> int:
    indexes: list[int] = ip.link_lookup(ifname=device)
    if not indexes:
        raise LabError(f"{host.name} has no device {device}")
    return indexes[0]
