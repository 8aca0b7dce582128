"""Which network and device a virtual service or a real server is on."""

from __future__ import annotations

from kernelbal.errors import PlanRefused
from kernelbal.model.address import Address, in_network
from kernelbal.model.node import Node
from kernelbal.model.site import Site
from kernelbal.model.site.services import VirtualService

DEFAULT_NETWORK = "outside"


def network_of(site: Site, service: VirtualService) -> str:
    """Return the name of the network that carries the service's address."""
    return carrier_of(site, service.address, service.network)


def carrier_of(site: Site, address: Address | None, named: str | None) -> str:
    """Return the name of the network that carries an address: the one that is named, else by its subnet."""
    if named is not None:
        return named
    for name, network in site.networks.items():
        if address is not None and any(shared.contains(address) for shared in network.shared_addresses):
            return name
    return DEFAULT_NETWORK


def device_of(node: Node, network: str, wanted_by: str) -> str:
    """Return the device that leads to a network.

    Raises:
        PlanRefused: the node document does not say.
    """
    device = node.interfaces.get(network)
    if device is None:
        raise PlanRefused(
            f"{wanted_by} needs a device on network `{network}`, which node `{node.name}` does not name",
            f"add `interfaces: {{{network}: eth0}}` with the right device to node.yaml",
        )
    return device


def devices_towards(site: Site, node: Node, address: Address) -> frozenset[str]:
    """Return the device whose subnet holds the address; all devices of the node where none is known to."""
    found = (
        node.interfaces.get(name)
        for name, network in site.networks.items()
        for shared in network.shared_addresses
        if in_network(address, shared.address, shared.prefix)
    )
    named = frozenset(device for device in found if device is not None)
    return named or frozenset(node.interfaces.values())
