"""A node document against the site that it belongs to."""

from __future__ import annotations

from collections.abc import Iterator

from kernelbal.config.finding import Finding
from kernelbal.model.node import Node
from kernelbal.model.site import Site
from kernelbal.model.site.edge import Edge
from kernelbal.plan.edge import leaving
from kernelbal.plan.networks import network_of


def find_node_conflicts(site: Site, node: Node) -> Iterator[Finding]:
    """Yield the networks of the site whose device the node does not name."""
    wanted: dict[str, str] = {
        name: "its shared address" for name, network in site.networks.items() if network.shared_addresses
    }
    for service in site.virtual_services:
        wanted.setdefault(network_of(site, service), f"virtual service `{service.name}`")
    edge = site.edge or Edge()
    for _, network, wanted_by in leaving(site):
        wanted.setdefault(network, wanted_by)
    for route in edge.routes:
        wanted.setdefault(route.network, f"edge route `{route.name}`")
    for network, wanted_by in wanted.items():
        if network not in node.interfaces:
            yield Finding(
                ("interfaces", network),
                f"no device for network `{network}`, which {wanted_by} needs",
                "the network device that leads there",
                f"add `{network}: eth0` with the right device to `interfaces`",
            )
