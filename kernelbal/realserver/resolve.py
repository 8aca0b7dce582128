"""From what an operator asks for to complete preparations, and every reason to refuse.

A host that would take the virtual address from the director, or would not answer, is not touched at all.
"""

from __future__ import annotations

import ipaddress
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from kernelbal.errors import PlanRefused
from kernelbal.model.address import Address, family_of, format_address, host_prefix, in_network
from kernelbal.model.ipvs import TunnelType
from kernelbal.model.network import AddressKey
from kernelbal.realserver.preparation import (
    MAX_PORT,
    STANDARD_MTU_BYTES,
    Encapsulation,
    Method,
    PortMap,
    Preparation,
    merged,
)
from kernelbal.realserver.setup import LOOPBACK, HostState
from kernelbal.realserver.tunnels import DEVICES, OWN_DEVICE, unwrapping

SMALLEST_MTU_BYTES = 576
"""What every IPv4 host takes (RFC 791)."""


@dataclass(frozen=True, slots=True)
class PreparationRequest:
    """What an operator asks for; what is left out is found on the host.

    Attributes:
        interfaces: devices by which packets of the director come in; empty: those that lead to the address.
        real: the address that the director sends to; None: the first one of the first interface.
        mtu_bytes: of the path from the director; 0: that of the first interface, at most Ethernet's.
        at_boot: whether it is to be brought back after a reboot.
    """

    virtual: Address
    method: Method = Method.LOOPBACK
    tunnel: Encapsulation | None = None
    interfaces: tuple[str, ...] = ()
    real: Address | None = None
    ports: tuple[PortMap, ...] = ()
    mtu_bytes: int = 0
    at_boot: bool = True


class RefusalReason(NamedTuple):
    """Why a host is not touched."""

    message: str
    hint: str


def resolve(
    requests: Iterable[PreparationRequest],
    known: tuple[Preparation, ...],
    host: HostState,
    ours: frozenset[AddressKey] = frozenset(),
) -> tuple[Preparation, ...]:
    """Return all preparations of the host: the known ones, with those that are asked for added or replaced.

    Args:
        requests: what is asked for.
        known: what was prepared before.
        host: as it is.
        ours: addresses that an earlier run has added.

    Raises:
        PlanRefused: something would not work; the message names every reason.
    """
    asked = tuple(requests)
    virtual = frozenset(one.virtual for one in asked) | {one.virtual for one in known}
    reasons = [reason for one in asked for reason in _reasons(one, host, virtual, ours)]
    if not reasons:
        prepared = merged(known, tuple(_complete(one, host, virtual) for one in asked))
        reasons = [*_shared_ports(prepared), *_tunnel_ends((*known, *prepared))]
        if not reasons:
            return prepared
    raise PlanRefused("; ".join(reason.message for reason in reasons), reasons[0].hint)


def _complete(one: PreparationRequest, host: HostState, virtual: frozenset[Address]) -> Preparation:
    interfaces = one.interfaces or interfaces_towards(one, host)
    real = one.real or _first_own(host, interfaces, family_of(one.virtual), virtual)
    own = _first_own(host, interfaces, family_of(one.virtual), virtual)
    if real is None:
        raise AssertionError(one)
    if len(real) == len(one.virtual):
        own = real
    return Preparation(
        one.virtual,
        real,
        interfaces,
        one.method,
        one.tunnel,
        own,
        tuple(sorted(set(one.ports))),
        one.mtu_bytes or _mtu_bytes(host, interfaces),
        one.at_boot,
    )


def interfaces_towards(one: PreparationRequest, host: HostState) -> tuple[str, ...]:
    """Return the interfaces by which packets come in.

    Those of the real address where it is named (and not on `lo`), else those on the virtual address's
    network, else those of the default route.
    """
    if one.real is not None:
        holders = _holders(one.real, host)
        if holders != {LOOPBACK}:
            return tuple(sorted(holders))
    beside = {
        key.device
        for key, *_ in host.addresses
        if key.device != LOOPBACK
        and key.prefix < host_prefix(key.address)
        and in_network(one.virtual, key.address, key.prefix)
    }
    if beside:
        up = {link.name for link in host.links if link.up}
        return tuple(sorted(beside & up or beside))
    length = len(one.virtual)
    leaving = [
        route.device for route in host.routes if route.prefix == 0 and len(route.destination) == length
    ]
    return tuple(sorted(set(leaving)))


def _holders(real: Address, host: HostState) -> set[str]:
    """Devices that have an address; a tunnel device has it, too, once `redirect` has prepared it."""
    return {key.device for key, *_ in host.addresses if key.address == real} - set(DEVICES)


def _first_own(
    host: HostState, interfaces: tuple[str, ...], family: int, virtual: frozenset[Address]
) -> Address | None:
    found = (host.own_address(name, family, virtual) for name in interfaces)
    return next((address for address in found if address is not None), None)


def _mtu_bytes(host: HostState, interfaces: tuple[str, ...]) -> int:
    sizes = [link.mtu_bytes for link in host.links if link.name in interfaces]
    return min([STANDARD_MTU_BYTES, *sizes])


# --- reasons to refuse ---


def _reasons(
    one: PreparationRequest, host: HostState, virtual: frozenset[Address], ours: frozenset[AddressKey]
) -> Iterator[RefusalReason]:
    yield from _bad_address(one)
    yield from _bad_options(one)
    yield from _taken(one, host, ours)
    yield from _cut_off(one, host)
    yield from _bad_interfaces(one, host, virtual)


def _bad_address(one: PreparationRequest) -> Iterator[RefusalReason]:
    if not _reachable(one.virtual):
        yield RefusalReason(
            f"{format_address(one.virtual)} is no address of a virtual service: others cannot reach it as a"
            " unicast address",
            "name the `address` of the virtual service in the site file",
        )
    if one.real is not None and not _reachable(one.real):
        yield RefusalReason(
            f"{format_address(one.real)} is no address of a real server: the director cannot reach it as a"
            " unicast address",
            "name the real server's `address` in the site file with --real",
        )


def _reachable(address: Address) -> bool:
    """Whether other hosts can send to an address as to one host's."""
    found = ipaddress.ip_address(bytes(address))
    return not (found.is_multicast or found.is_loopback or found.is_unspecified or found.is_link_local)


def _bad_options(one: PreparationRequest) -> Iterator[RefusalReason]:
    virtual = format_address(one.virtual)
    if one.real == one.virtual:
        yield RefusalReason(
            f"{virtual} cannot be the virtual and the real address at once",
            "name the real server's own address with --real",
        )
    if one.tunnel is None and one.real is not None and len(one.real) != len(one.virtual):
        yield RefusalReason(
            f"{virtual} and {format_address(one.real)} are of different families, which dsr cannot bridge",
            "use --forwarding tunnel, as the site file must too",
        )
    if one.tunnel is not None and (one.tunnel.kind is TunnelType.GUE) != bool(one.tunnel.port):
        yield RefusalReason(
            "a gue tunnel needs the UDP port of the site file, and other tunnels have none",
            "--tunnel gue --tunnel-port 5555",
        )
    if one.tunnel is not None and not 0 <= one.tunnel.port <= MAX_PORT:
        yield RefusalReason(
            f"{one.tunnel.port} is no UDP port: ports are 1 to {MAX_PORT}",
            "name the `port` of the tunnel in the site file with --tunnel-port",
        )
    moved = [port for port in one.ports if port.port != port.to_port]
    if moved and one.method is not Method.REDIRECT:
        yield RefusalReason(
            f"port {moved[0]} of {virtual} cannot change: only the method `redirect` rewrites packets",
            "use --method redirect, or let the service listen on the port of the virtual service",
        )
    if one.mtu_bytes and not SMALLEST_MTU_BYTES <= one.mtu_bytes <= 65535:
        yield RefusalReason(
            f"{one.mtu_bytes} is no MTU: it is {SMALLEST_MTU_BYTES} to 65535 bytes", "leave out --mtu"
        )


def _taken(one: PreparationRequest, host: HostState, ours: frozenset[AddressKey]) -> Iterator[RefusalReason]:
    """The host has the virtual address already, and nobody of us put it there."""
    wrapped = unwrapping(one.tunnel, one.virtual, one.real or one.virtual) if one.tunnel else None
    right = wrapped.device if wrapped else LOOPBACK
    virtual = format_address(one.virtual)
    for key, _, of_director in host.addresses:
        if key.address != one.virtual or key in ours:
            continue
        delete = f"ip address del {virtual}/{key.prefix} dev {key.device}"
        if of_director:
            yield RefusalReason(
                f"{virtual} is on `{key.device}`: the director on this host has it, and serves it by itself",
                "prepare this host while its partner has the address, or release the director here",
            )
        elif one.method is Method.REDIRECT:
            yield RefusalReason(
                f"{virtual} is on `{key.device}`, and the method `redirect` works without it", delete
            )
        elif key.device not in (right, LOOPBACK):
            yield _on_a_network(key, host, delete)
        elif key.prefix != host_prefix(key.address):
            yield RefusalReason(
                f"{virtual}/{key.prefix} on `{key.device}` makes a whole network local here", delete
            )


def _on_a_network(key: AddressKey, host: HostState, delete: str) -> RefusalReason:
    virtual = format_address(key.address)
    others = host.own_address(key.device, family_of(key.address), frozenset((key.address,)))
    if others is None:
        return RefusalReason(
            f"{virtual} is this host's own address on `{key.device}`; the virtual address is the director's",
            "name the `address` of the virtual service in the site file",
        )
    return RefusalReason(
        f"{virtual} is on `{key.device}` already, where this host answers ARP for it",
        f"if it is not this host's own, and nobody reaches this host by it: {delete}",
    )


def _cut_off(one: PreparationRequest, host: HostState) -> Iterator[RefusalReason]:
    """What would take the host itself from the network."""
    virtual = format_address(one.virtual)
    gateways = [route.device for route in host.routes if route.gateway == one.virtual]
    if gateways and one.method is not Method.REDIRECT:
        yield RefusalReason(
            f"{virtual} is a gateway of this host, by `{gateways[0]}`: with that address of its own it would"
            " lose the way",
            "name the `address` of the virtual service, or use --method redirect, which works without it",
        )
    silenced = one.method is Method.LOOPBACK and len(one.virtual) == 4
    on_loopback = any(key.address == one.real and key.device == LOOPBACK for key, *_ in host.addresses)
    if silenced and one.real is not None and on_loopback and len(one.real) == 4:
        yield RefusalReason(
            f"{format_address(one.real)} is on `lo`: the host would no longer answer ARP for it, either",
            "use --method arp, which is silent about the virtual address alone",
        )


def _bad_interfaces(
    one: PreparationRequest, host: HostState, virtual: frozenset[Address]
) -> Iterator[RefusalReason]:
    names = sorted(link.name for link in host.links if link.name != LOOPBACK)
    known = f"this host has {', '.join(names) or 'none'}"
    unusable = tuple(_unusable(one.interfaces or interfaces_towards(one, host), host, known))
    if unusable:
        yield from unusable
    elif one.real is not None and not _holders(one.real, host):
        yield RefusalReason(
            f"{format_address(one.real)} is no address of this host", "`ip -brief address` lists them"
        )
    else:
        yield from _no_way_in(one, host, virtual, known)


def _unusable(interfaces: tuple[str, ...], host: HostState, known: str) -> Iterator[RefusalReason]:
    for name in interfaces:
        link = host.link(name)
        if link is None:
            yield RefusalReason(f"there is no interface `{name}`", known)
        elif name == LOOPBACK:
            yield RefusalReason("packets of the director do not come in by `lo`", known)
        elif not link.up:
            yield RefusalReason(f"interface `{name}` is down", f"ip link set {name} up")


def _no_way_in(
    one: PreparationRequest, host: HostState, virtual: frozenset[Address], known: str
) -> Iterator[RefusalReason]:
    interfaces = one.interfaces or interfaces_towards(one, host)
    if not interfaces:
        yield RefusalReason(
            f"no interface leads to {format_address(one.virtual)}", f"name one with --interface; {known}"
        )
    elif _needs_own(one) and _first_own(host, interfaces, family_of(one.virtual), virtual) is None:
        family = "IPv4" if len(one.virtual) == 4 else "IPv6"
        lacking = f"`{'`, `'.join(interfaces)}` has no {family} address of its own"
        if one.real is None:
            yield RefusalReason(lacking, "name the address that the director sends to with --real")
        else:
            yield RefusalReason(
                f"{lacking}, to which `redirect` could lead",
                f"ip address add ADDRESS/PREFIX dev {interfaces[0]}, or use --method loopback",
            )


def _needs_own(one: PreparationRequest) -> bool:
    """Whether an address of the virtual one's family is to be found on the host."""
    return one.real is None or (one.method is Method.REDIRECT and len(one.real) != len(one.virtual))


def _tunnel_ends(prepared: Iterable[Preparation]) -> Iterator[RefusalReason]:
    """The device of our own is made for one address, and stays as long as anything uses it."""
    ends: dict[Address, Preparation] = {}
    for one in prepared:
        if one.tunnel is not None and unwrapping(one.tunnel, one.virtual, one.real).device == OWN_DEVICE:
            ends.setdefault(one.real, one)
    if len(ends) > 1:
        (end, first), (other, _), *_ = ends.items()
        yield RefusalReason(
            f"{format_address(other)} cannot be the end of a tunnel: `{OWN_DEVICE}` of"
            f" {format_address(first.virtual)} takes IPv4 for {format_address(end)} alone",
            f"--real {format_address(end)}, or first:"
            f" kernelbal realserver undo {format_address(first.virtual)}",
        )


def _shared_ports(prepared: tuple[Preparation, ...]) -> Iterator[RefusalReason]:
    """Redirected packets lose the virtual address, so services on one port cannot be distinguished."""
    users: defaultdict[tuple[int, int, int], list[Preparation]] = defaultdict(list)
    for one in prepared:
        if one.method is Method.REDIRECT:
            for port in one.ports or (PortMap(0, 0, 0),):
                users[len(one.virtual), port.protocol, port.to_port].append(one)
    for (length, protocol, number), sharing in users.items():
        catch_all = [one for one in users.get((length, 0, 0), ()) if one not in sharing]
        together = [*sharing, *catch_all]
        if len(together) > 1:
            names = " and ".join(format_address(one.virtual) for one in together)
            what = f"port {PortMap(protocol, number, number)}" if number else "every port"
            yield RefusalReason(
                f"{names} would both lead to {what} of this host: redirected packets lose the virtual"
                " address, so one service would answer for both",
                "lead one of them to another port (--port 80:8080/tcp), or use --method loopback,"
                " with which services bind to their own virtual address",
            )
