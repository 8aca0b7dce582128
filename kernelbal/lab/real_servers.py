"""Prepares real servers of a lab for the forwarding methods that need it, one function per step.

NAT needs a route back through the director, which is the topology's business; one-armed NAT needs nothing.
With direct server return and tunnels a real server answers the client itself, as the virtual address: it
has to hold that address without telling the segment so.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Final

from kernelbal.lab.errors import LabError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pyroute2 import IPRoute

    from kernelbal.lab.namespaces import Host

_IFA_F_NODAD: Final = 0x02  # linux/if_addr.h
_LOOPBACK: Final = "lo"
_TUNNELS: Final = (("tunl0", "ipip"), ("ip6tnl0", "ip6tnl"))
"""Devices that the kernel itself makes for packets of a kind that no other tunnel device claims."""


def accept_direct(host: Host, virtual_addresses: Iterable[str]) -> None:
    """Prepare a real server for `forwarding: dsr`.

    Raises:
        LabError: the kernel refused a step.
        OSError: a sysctl refuses its value.
    """
    silence_arp(host)
    for address in virtual_addresses:
        hold_address(host, address)


def accept_tunnelled(host: Host, virtual_addresses: Iterable[str]) -> None:
    """Prepare a real server for `forwarding: tunnel` with IPv4 in IPv4 and IPv6 in IPv6.

    Raises:
        LabError: the kernel refused a step.
        OSError: a sysctl refuses its value.
    """
    for device, kind in _TUNNELS:
        open_tunnel(host, device, kind)
    loosen_reverse_path(host, "tunl0")
    accept_direct(host, virtual_addresses)


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


def open_tunnel(host: Host, device: str, kind: str) -> None:
    """Bring up the device that unwraps packets from any sender.

    It exists where the tunnel's module is loaded; asking for one more of its kind loads the module.

    Raises:
        LabError: the kernel has no such tunnel.
    """
    from pyroute2 import IPRoute, NetlinkError  # slow to import

    with host.inside(), IPRoute() as ip:
        try:
            if not ip.link_lookup(ifname=device):
                ip.link("add", ifname=device, kind=kind)
        except NetlinkError as error:
            if error.code != errno.EEXIST:  # loading the module made it
                raise LabError(f"{host.name} cannot have a tunnel {device}: {error}") from error
        ip.link("set", index=_index(ip, host, device), state="up")


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
