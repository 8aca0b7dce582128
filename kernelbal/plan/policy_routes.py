"""From the `edge.routes` of a site to routing rules and the tables that they lead to.

A table for packets to everywhere holds the subnets of the site as well: without them the director's own
answers to inside machines, whose block is the source of a rule, would leave by the gateway, and so would what
one of these machines sends to another by NAT.
"""

from __future__ import annotations

import ipaddress
import zlib
from collections.abc import Iterator

from kernelbal.model.address import AF_INET, AF_INET6, Address, family_of
from kernelbal.model.node import Node
from kernelbal.model.policy_route import ANYWHERE, NextHop, Rule, TableRouteKey, TableRoutes
from kernelbal.model.site import Site
from kernelbal.model.site.edge import Edge, EdgeRoute, Prefix
from kernelbal.plan.kinds.routing import Routing
from kernelbal.plan.networks import device_of

TABLE_BASE = 19200
"""Tables of kernelbal are 19200-20223 (0x4b00 and 1023 more), priorities of its rules begin there too."""
TABLES = 1024


def policy_routes(site: Site, node: Node) -> Routing:
    """Return the rules and the routes that a site wants.

    Raises:
        PlanRefused: `node.yaml` does not name the device of a network that a route uses.
    """
    edge = site.edge or Edge()
    tables = assign_tables(edge)
    rules: set[Rule] = set()
    routes: TableRoutes = {}
    for index, entry in enumerate(edge.routes):
        device = device_of(node, entry.network, f"edge route `{entry.name}`")
        gateway = None if entry.gateway is None else entry.gateway
        table = tables[entry.name]
        for family in families_of(entry):
            source, source_prefix = _block(entry.source, family)
            destination, destination_prefix = _block(entry.destination, family)
            priority = entry.priority or TABLE_BASE + index
            rules.add(Rule(family, priority, table, source, source_prefix, destination, destination_prefix))
            routes[TableRouteKey(table, ANYWHERE[family], 0)] = NextHop(gateway, device)
            routes.update(
                (TableRouteKey(table, subnet, prefix), hop)
                for subnet, prefix, hop in _subnets(site, node)
                if family_of(subnet) == family and _passes(entry, subnet, prefix)
            )
    return Routing(frozenset(rules), routes)


def _subnets(site: Site, node: Node) -> Iterator[tuple[Address, int, NextHop]]:
    """Yield the subnets that the director has shared addresses in, each with its device."""
    for name, network in site.networks.items():
        for shared in network.shared_addresses:
            subnet = ipaddress.ip_network((shared.address, shared.prefix), strict=False)
            if name in node.interfaces and shared.prefix < subnet.max_prefixlen:
                yield (
                    Address(subnet.network_address.packed),
                    shared.prefix,
                    NextHop(None, node.interfaces[name]),
                )


def _passes(route: EdgeRoute, subnet: Address, prefix: int) -> bool:
    """Return whether packets to a whole subnet fit a route, and not just to a part of it that is named."""
    there = route.destination
    return there is None or (there.length <= prefix and there.contains(subnet))


def families_of(route: EdgeRoute) -> tuple[int, ...]:
    """Return the family that a route's addresses have; both, where it names none."""
    for prefix in (route.source, route.destination):
        if prefix is not None:
            return (family_of(prefix.address),)
    if route.gateway is not None:
        return (family_of(route.gateway),)
    return (AF_INET, AF_INET6)


def assign_tables(edge: Edge) -> dict[str, int]:
    """Return the table of each route by its name; one that is taken moves on to the next free one.

    It derives from the name, so that a route keeps its table whatever else changes.
    """
    tables = {route.name: route.table for route in edge.routes if route.table is not None}
    taken = set(tables.values())
    for name in sorted(route.name for route in edge.routes if route.table is None):
        offset = zlib.crc32(name.encode()) % TABLES
        while TABLE_BASE + offset in taken:
            offset = (offset + 1) % TABLES
        tables[name] = TABLE_BASE + offset
        taken.add(TABLE_BASE + offset)
    return tables


def _block(prefix: Prefix | None, family: int) -> tuple[Address, int]:
    if prefix is None or prefix.length == 0:
        return ANYWHERE[family], 0
    return prefix.address, prefix.length
