"""Whether real servers can work with the forwarding method that the site gives them.

Judged from the director's own addresses and routes. A problem means that clients would get no answers; it
is a refusal unless the operator insists.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from kernelbal.model.address import Address, format_address
from kernelbal.model.choices import ForwardingName
from kernelbal.model.network import Route
from kernelbal.model.node import Node
from kernelbal.model.site import Site
from kernelbal.model.site.services import VirtualService
from kernelbal.plan.kind import ObservedState
from kernelbal.plan.kinds.addresses import ADDRESSES
from kernelbal.plan.kinds.links import LINKS
from kernelbal.plan.kinds.sysctls import ROUTES
from kernelbal.plan.networks import device_of, network_of

SHOWN = 3
"""How many real servers a message names."""


class ReachabilityProblem(NamedTuple):
    """Why a virtual service would not work.

    Attributes:
        service: its name.
        message: what is wrong, with the addresses concerned.
        hint: the remedy.
    """

    service: str
    message: str
    hint: str


class RouteTable:
    """Longest-prefix lookup in the main table."""

    def __init__(self, routes: tuple[Route, ...]) -> None:
        by_prefix: defaultdict[tuple[int, int], dict[int, Route]] = defaultdict(dict)
        for route in sorted(routes, key=lambda route: -route.metric):
            bits = len(route.destination) * 8
            network = int.from_bytes(route.destination) >> (bits - route.prefix)
            by_prefix[bits, route.prefix][network] = route
        self._prefixes = sorted(by_prefix.items(), key=lambda item: -item[0][1])

    def lookup(self, address: Address) -> Route | None:
        """Return the route that the director takes to `address`, or None."""
        bits = len(address) * 8
        value = int.from_bytes(address)
        for (table_bits, prefix), networks in self._prefixes:
            if table_bits == bits:
                route = networks.get(value >> (bits - prefix))
                if route is not None:
                    return route
        return None


def hop_text(route: Route) -> str:
    """Return the device and next hop of a route, such as `eth1, on-link`."""
    if route.gateway is None:
        return f"{route.device}, on-link"
    return f"{route.device} through gateway {format_address(route.gateway)}"


@dataclass(frozen=True, slots=True)
class _Topology:
    """What every check needs."""

    routes: RouteTable
    local: frozenset[Address]
    devices: frozenset[str]


def reachability_problems(site: Site, node: Node, observed: ObservedState) -> tuple[ReachabilityProblem, ...]:
    """Return every reason for which a virtual service of the site would not work on this node."""
    topology = _Topology(
        RouteTable(observed.of(ROUTES) + _routes_to_come(site, node)),
        frozenset(address.key.address for address in observed.of(ADDRESSES)),
        frozenset(link.name for link in observed.of(LINKS)),
    )
    found: list[ReachabilityProblem] = []
    for service in site.virtual_services:
        device = device_of(node, network_of(site, service), f"virtual service `{service.name}`")
        if device not in topology.devices:
            found.append(_no_device(service, node, device))
        elif service.forwarding is ForwardingName.NAT:
            found.extend(_nat(service, device, topology))
        elif service.forwarding is ForwardingName.DSR:
            found.extend(_dsr(service, topology))
    return tuple(found)


def _routes_to_come(site: Site, node: Node) -> tuple[Route, ...]:
    """The on-link routes that shared addresses bring along, which a first plan does not see yet."""
    return tuple(
        Route(shared.address, shared.prefix, None, device, 0)
        for name, network in site.networks.items()
        if (device := node.interfaces.get(name)) is not None
        for shared in network.shared_addresses
    )


def _no_device(service: VirtualService, node: Node, device: str) -> ReachabilityProblem:
    return ReachabilityProblem(
        service.name,
        f"its network is on device `{device}`, which node `{node.name}` does not have",
        "correct `interfaces` in node.yaml; `ip -br link` lists the devices",
    )


def _nat(service: VirtualService, device: str, topology: _Topology) -> Iterator[ReachabilityProblem]:
    if service.one_armed:
        return
    remote: list[Address] = []
    same_side: list[Address] = []
    for server in service.real_servers:
        address = server.address
        route = topology.routes.lookup(address)
        if address in topology.local or route is None:
            continue
        if route.gateway is not None:
            remote.append(address)
        elif route.device == device:
            same_side.append(address)
    hint = "set `one_armed: true` on the service, or make the director their default gateway and use --force"
    if remote:
        yield ReachabilityProblem(
            service.name,
            f"{_names(remote)}: reached through a gateway, so replies do not come back through the director",
            hint,
        )
    if same_side:
        yield ReachabilityProblem(
            service.name,
            f"{_names(same_side)}: on `{device}`, the side of the clients, so replies go straight to the"
            " clients or their router instead of back through the director",
            hint,
        )


def _dsr(service: VirtualService, topology: _Topology) -> Iterator[ReachabilityProblem]:
    off_link = [
        server.address
        for server in service.real_servers
        if server.address not in topology.local
        and (route := topology.routes.lookup(server.address)) is not None
        and route.gateway is not None
    ]
    if off_link:
        yield ReachabilityProblem(
            service.name,
            f"{_names(off_link)}: behind a gateway; direct server return rewrites only the MAC address, so"
            " real servers must be on a segment of the director",
            "use `forwarding: tunnel` for these real servers",
        )


def _names(addresses: list[Address]) -> str:
    shown = ", ".join(format_address(address) for address in addresses[:SHOWN])
    more = len(addresses) - SHOWN
    noun = "real server" if len(addresses) == 1 else "real servers"
    return f"{noun} {shown}" + (f" and {more} more" if more > 0 else "")


def unroutable_servers(site: Site, observed: ObservedState) -> tuple[ReachabilityProblem, ...]:
    """Return the real servers to which the director has no route: a warning, routes may come later."""
    routes = RouteTable(observed.of(ROUTES))
    found: list[ReachabilityProblem] = []
    for service in site.virtual_services:
        lost = [
            server.address
            for server in service.real_servers
            if routes.lookup(server.address) is None and not _in_shared_subnet(site, server.address)
        ]
        if lost:
            found.append(
                ReachabilityProblem(
                    service.name, f"{_names(lost)}: no route", "add a route, or correct the address"
                )
            )
    return tuple(found)


def _in_shared_subnet(site: Site, address: Address) -> bool:
    return any(
        shared.contains(address) for network in site.networks.values() for shared in network.shared_addresses
    )
