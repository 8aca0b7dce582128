"""Policy routes: what the kernel would refuse, and what would lead nowhere."""

from __future__ import annotations

from collections.abc import Iterator

from kernelbal.config.checks.addresses import unusable, unusable_reason
from kernelbal.config.checks.context import SiteContext
from kernelbal.config.checks.edge import unknown_network
from kernelbal.config.violation import Path, Violation
from kernelbal.model.address import Address, format_address
from kernelbal.model.site.edge import EdgeRoute

RESERVED_TABLES = {253: "default", 254: "main", 255: "local"}
"""Tables of the kernel's own (`linux/rtnetlink.h`)."""


def _routes(context: SiteContext) -> Iterator[tuple[EdgeRoute, Path]]:
    edge = context.site.edge
    for index, route in enumerate(edge.routes if edge else ()):
        yield route, ("edge", "routes", index)


def selectors(context: SiteContext) -> Iterator[Violation]:
    """A policy route is for some packets; all of one has one family."""
    for route, path in _routes(context):
        if not any(each is not None and each.length for each in (route.source, route.destination)):
            yield Violation(
                path,
                "a policy route for all packets",
                "`source` or `destination`",
                "the default route is the host's own business: set it in its network configuration",
            )
        prefixes = [each.address for each in (route.source, route.destination) if each is not None]
        lengths = {len(each) for each in (*prefixes, *filter(None, [route.gateway]))}
        if len(lengths) > 1:
            message = "IPv4 and IPv6 addresses in one policy route"
            yield Violation(path, message, "addresses of one family", "write one entry for each family")


def gateways(context: SiteContext) -> Iterator[Violation]:
    """The next hop is another machine."""
    for route, path in _routes(context):
        if route.gateway is None:
            continue
        address = Address(route.gateway)
        why = unusable_reason(address)
        if why is not None and why != "a link-local address":
            yield unusable((*path, "gateway"), address, why)
        elif address in context.taken:
            yield Violation(
                (*path, "gateway"),
                f"{format_address(address)} is an address of the director itself",
                "the address of a router",
                "name the next hop, or remove the key where the destination is on the link",
            )


def networks(context: SiteContext) -> Iterator[Violation]:
    """The network of a route is one of the site's."""
    known = context.site.networks
    if known and "networks" not in context.incomplete:
        for route, path in _routes(context):
            if route.network not in known:
                yield unknown_network((*path, "network"), route.network, context)


def tables(context: SiteContext) -> Iterator[Violation]:
    """A table has one default route per family, and is not one of the kernel's own."""
    first: dict[int, tuple[EdgeRoute, Path]] = {}
    for route, path in _routes(context):
        if route.table is None:
            continue
        if route.table in RESERVED_TABLES:
            yield Violation(
                (*path, "table"),
                f"table {route.table} is the kernel's table `{RESERVED_TABLES[route.table]}`",
                "a number of its own",
                "remove the key: a free number is derived from the name",
            )
        before, other = first.setdefault(route.table, (route, path))
        if (before.gateway, before.network) != (route.gateway, route.network):
            yield Violation(
                (*path, "table"),
                f"table {route.table} leads elsewhere already",
                "the same `gateway` and `network`, or another table",
                "remove the key: a free number is derived from the name",
                other=((*other, "table"), f"edge route `{before.name}`"),
            )


def priorities(context: SiteContext) -> Iterator[Violation]:
    """Rules of equal priority are tried in the order in which they were added."""
    first: dict[int, tuple[EdgeRoute, Path]] = {}
    for route, path in _routes(context):
        if route.priority is None:
            continue
        before, other = first.setdefault(route.priority, (route, path))
        if before is not route:
            yield Violation(
                (*path, "priority"),
                f"priority {route.priority} is taken",
                "a priority of its own",
                "remove the key: routes apply in the order of this list",
                other=((*other, "priority"), f"edge route `{before.name}`"),
            )


def off_link_gateways(context: SiteContext) -> Iterator[Violation]:
    """The kernel takes a gateway only in a subnet that it has an address in."""
    for route, path in _routes(context):
        network = context.site.networks.get(route.network)
        if route.gateway is None or network is None or unusable_reason(Address(route.gateway)):
            continue
        subnets = [each for each in network.shared_addresses if len(each.address) == len(route.gateway)]
        if subnets and not any(each.contains(route.gateway) for each in subnets):
            yield Violation(
                (*path, "gateway"),
                f"{format_address(Address(route.gateway))} is in no subnet of network `{route.network}`",
                "a router of that network",
                "correct it, unless the node has another address there",
            )
