"""What preparations desire of the kernel of a real server."""

from __future__ import annotations

from collections.abc import Iterable

from kernelbal.model.address import AF_INET, Address, family_of, host_prefix
from kernelbal.model.ipvs import TunnelType
from kernelbal.model.network import AddressAttributes, AddressKey, GueListener, LinkState, Sysctl
from kernelbal.realserver.preparation import Method, Preparation
from kernelbal.realserver.rules import Own, tables
from kernelbal.realserver.setup import LOOPBACK, HostState, Setup
from kernelbal.realserver.sysctls import loose_reverse_path, silent_arp
from kernelbal.realserver.tunnels import OWN_DEVICE, Unwrapping, unwrapping

UNWRAPPED = "Packets come out of the tunnel, and their sender is not reached by it; 1 would drop them."
ELSEWHERE = (
    "Packets for the virtual address come in here, and replies leave by another device; 1 would drop them."
)
GUE_MODULES = {AF_INET: "fou"}
"""Module by family of the outer packets; `fou6` for the other."""


def setup_for(preparations: Iterable[Preparation], host: HostState) -> Setup:
    """Return what a host must hold to serve all of its virtual addresses.

    Args:
        preparations: one per virtual address.
        host: as it is now; its addresses and routes decide what replies need.
    """
    prepared = tuple(preparations)
    listeners = tuple(sorted({each for one in prepared if (each := _listener(one)) is not None}))
    links = {link.name: link for one in prepared if (link := _link(one)) is not None}
    sysctls = {each.path: each for one in prepared for each in _sysctls(one, host)}
    return Setup(
        modules=_modules(prepared, listeners),
        links=tuple(links[name] for name in sorted(links)),
        listeners=listeners,
        sysctls=tuple(sysctls.values()),
        tables=tables(prepared, own_addresses(prepared, host)),
        addresses=dict(_address(one) for one in prepared if _holder(one)),
    )


def own_addresses(preparations: Iterable[Preparation], host: HostState) -> Own:
    """Return the own IPv4 address of each interface by which packets come in, or replies may leave."""
    prepared = tuple(preparations)
    virtual = frozenset(one.virtual for one in prepared)
    asking = [link.name for link in host.links if link.hardware_address and link.name != LOOPBACK]
    names = dict.fromkeys([*(name for one in prepared for name in one.interfaces), *asking])
    found = {name: host.own_address(name, AF_INET, virtual) for name in names}
    return {name: address for name, address in found.items() if address is not None}


def _unwrapping(one: Preparation) -> Unwrapping | None:
    return unwrapping(one.tunnel, one.virtual, one.real) if one.tunnel else None


def _modules(prepared: tuple[Preparation, ...], listeners: tuple[GueListener, ...]) -> tuple[str, ...]:
    devices = {found.module for one in prepared if (found := _unwrapping(one)) is not None}
    return tuple(sorted(devices | {GUE_MODULES.get(each.family, "fou6") for each in listeners}))


def _listener(one: Preparation) -> GueListener | None:
    if one.tunnel is None or one.tunnel.kind is not TunnelType.GUE:
        return None
    return GueListener(one.tunnel.port, family_of(one.real))


def _link(one: Preparation) -> LinkState | None:
    found = _unwrapping(one)
    if found is None:
        return None
    return LinkState(found.device, found.kind, local=one.real if found.device == OWN_DEVICE else None)


def _sysctls(one: Preparation, host: HostState) -> Iterable[Sysctl]:
    if len(one.virtual) != 4:
        return
    if one.method is Method.LOOPBACK:
        yield from silent_arp(one.interfaces)
    found = _unwrapping(one)
    if found is not None:
        yield loose_reverse_path(found.device, UNWRAPPED)
        return
    leaving = default_devices(host)
    for name in one.interfaces:
        if leaving and name not in leaving:
            yield loose_reverse_path(name, ELSEWHERE)


def default_devices(host: HostState) -> frozenset[str]:
    """Return the devices of the IPv4 default routes: by them replies to clients anywhere leave."""
    return frozenset(
        route.device for route in host.routes if route.prefix == 0 and len(route.destination) == 4
    )


def _holder(one: Preparation) -> str:
    """The device that has an address: IPv4 tunnels need one, whatever the method (see `tunnels`)."""
    found = _unwrapping(one)
    if one.holds_address:
        return found.device if found else LOOPBACK
    return found.device if found and len(one.virtual) == 4 else ""


def _address(one: Preparation) -> tuple[AddressKey, AddressAttributes]:
    """IPv6: usable at once, and never the source of the host's own packets."""
    address: Address = one.virtual if one.holds_address else one.own or one.real
    is_ipv6 = len(address) == 16
    key = AddressKey(_holder(one), address, host_prefix(address))
    return key, AddressAttributes(no_dad=is_ipv6, deprecated=is_ipv6)
