"""What a site's real servers need, from the site document alone: the director knows nothing else of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from kernelbal.errors import PlanRefused
from kernelbal.model.address import Address, format_address
from kernelbal.model.choices import ForwardingName
from kernelbal.model.site import Site
from kernelbal.model.site.services import Tunnel, VirtualService
from kernelbal.realserver.command_line import command_of, port_options, tunnel_options
from kernelbal.realserver.preparation import (
    MAX_RANGE,
    STANDARD_MTU_BYTES,
    Encapsulation,
    Method,
    PortMap,
    Preparation,
)


def prepared_by_site(
    site: Site,
    names: tuple[str, ...] = (),
    *,
    method: Method = Method.LOOPBACK,
    interfaces: tuple[str, ...] = (),
    mtu_bytes: int = STANDARD_MTU_BYTES,
) -> dict[Address, tuple[Preparation, ...]]:
    """Return what each real server has to be prepared for, by its address in the site.

    A virtual address is prepared once, with the ports of all services that have it on this real server.

    Args:
        site: the site document.
        names: services to look at; empty for all that need a preparation.
        method: how addresses are accepted.
        interfaces: devices of the real servers by which packets come in; empty where that is not known here.
        mtu_bytes: MTU of the path from the director.

    Raises:
        PlanRefused: there is no such service, it needs no preparation, or two services contradict each other.
    """
    chosen = {Address(service.address) for service in _chosen(site, names)}
    found: dict[tuple[Address, Address], Preparation] = {}
    for service in site.virtual_services:
        if Address(service.address) not in chosen:
            continue
        for real, forwarding in _servers(service):
            if forwarding is not ForwardingName.NAT:
                made = _preparation(service, real, forwarding, method, interfaces, mtu_bytes)
                key = (real, made.virtual)
                found[key] = _joined(found[key], made, service.name) if key in found else made
    by_server: dict[Address, list[Preparation]] = {}
    for (real, _), preparation in sorted(found.items()):
        by_server.setdefault(real, []).append(preparation)
    return {real: tuple(preparations) for real, preparations in by_server.items()}


def _chosen(site: Site, names: tuple[str, ...]) -> list[VirtualService]:
    known = {service.name: service for service in site.virtual_services}
    needing = [service for service in site.virtual_services if _needs(service)]
    for name in names:
        if name not in known:
            raise PlanRefused(
                f"the site has no virtual service `{name}`", f"it has {', '.join(known) or 'none'}"
            )
        if not _needs(known[name]):
            others = ", ".join(service.name for service in needing)
            raise PlanRefused(
                f"the real servers of `{name}` need no preparation: its forwarding is nat",
                f"those of {others} do" if others else "no service of this site is dsr or tunnel",
            )
    if not needing:
        raise PlanRefused(
            "no real server of this site needs a preparation", "only forwarding dsr and tunnel ask for one"
        )
    return [known[name] for name in names] if names else needing


def _needs(service: VirtualService) -> bool:
    return any(forwarding is not ForwardingName.NAT for _, forwarding in _servers(service))


def _servers(service: VirtualService) -> Iterator[tuple[Address, ForwardingName]]:
    yield from ((Address(server.address), service.forwarding) for server in service.real_servers)
    if service.sorry_server is not None:
        yield Address(service.sorry_server.address), service.sorry_server.forwarding or service.forwarding


def _preparation(
    service: VirtualService,
    real: Address,
    forwarding: ForwardingName,
    method: Method,
    interfaces: tuple[str, ...],
    mtu_bytes: int,
) -> Preparation:
    virtual = Address(service.address)
    own = real if len(real) == len(virtual) else None
    tunnel = _encapsulation(service) if forwarding is ForwardingName.TUNNEL else None
    return Preparation(virtual, real, interfaces, method, tunnel, own, _ports(service), mtu_bytes)


def _encapsulation(service: VirtualService) -> Encapsulation:
    tunnel = service.tunnel or Tunnel()
    return Encapsulation(tunnel.type.number, tunnel.port or 0)


def _ports(service: VirtualService) -> tuple[PortMap, ...]:
    if sum(each.high - each.low + 1 for each in service.ports) > MAX_RANGE:
        return ()  # all ports of the address
    protocol = int(service.protocol.number)
    numbers = (port for each in service.ports for port in range(each.low, each.high + 1))
    return tuple(PortMap(protocol, port, port) for port in numbers)


def _joined(one: Preparation, other: Preparation, name: str) -> Preparation:
    if one.tunnel != other.tunnel:
        raise PlanRefused(
            f"{format_address(one.real)} gets packets for {format_address(one.virtual)} both as "
            f"{_way(one)} and as {_way(other)} (virtual service `{name}`)",
            "give the services of one address one forwarding method, or two addresses",
        )
    ports = tuple(sorted({*one.ports, *other.ports})) if one.ports and other.ports else ()
    return replace(one, ports=ports)


def _way(preparation: Preparation) -> str:
    return f"tunnel {preparation.tunnel}" if preparation.tunnel else "dsr"


def command_lines(
    preparations: Iterable[Preparation], interfaces: tuple[str, ...] = (), persist: str = ""
) -> tuple[str, ...]:
    """Return the commands to type on a real server: one for each virtual address.

    Args:
        preparations: of one real server.
        interfaces: what to name; empty lets the command find them.
        persist: who brings it back at boot; empty lets the command find out.
    """
    return tuple(command_of(replace(each, interfaces=interfaces), persist=persist) for each in preparations)


def options_of(service: VirtualService, real: Address) -> str:
    """Return the options of `kernelbal realserver` for a virtual service on one of its real servers.

    The real server's own address is left out where the command finds it.
    """
    interfaces: tuple[str, ...] = ()
    each = _preparation(service, real, service.forwarding, Method.LOOPBACK, interfaces, STANDARD_MTU_BYTES)
    other_family = [f"--real {format_address(real)}"] if len(real) != len(each.virtual) else []
    return " ".join([*tunnel_options(each), *other_family, *port_options(each.ports)])
