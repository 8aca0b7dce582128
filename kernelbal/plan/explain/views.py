"""Views: of a kernel that was read, and of one that a site file describes."""

from __future__ import annotations

from collections.abc import Mapping

from kernelbal.model.address import host_prefix
from kernelbal.model.ipvs import Connection, DestinationKey, ServiceKey, VirtualServer
from kernelbal.model.network import AddressKey, Route
from kernelbal.model.nft import EMPTY_TABLE
from kernelbal.model.site import Site
from kernelbal.plan.explain import persistence, reply
from kernelbal.plan.explain.persistence import mask
from kernelbal.plan.explain.query import FactSource, KernelView
from kernelbal.plan.kind import DesiredState, ObservedState
from kernelbal.plan.kinds.addresses import ADDRESSES
from kernelbal.plan.kinds.links import LINKS
from kernelbal.plan.kinds.routing import ROUTING
from kernelbal.plan.kinds.services import COUNTERS, IPVS, SERVICES
from kernelbal.plan.kinds.sysctls import ROUTES, SYSCTLS
from kernelbal.plan.kinds.tables import FOREIGN_TABLES, TABLES

NEEDED = (*persistence.SYSCTLS, *reply.SYSCTLS)
"""The sysctls that an observation has to read."""
SORRY_NAME = "sorry server"
"""What a sorry server is called that has no name of its own."""

ServerNames = Mapping[tuple[ServiceKey, DestinationKey], str]
"""Name of a real server in a service."""


def kernel_view(
    observed: ObservedState,
    connections: tuple[Connection, ...] | None,
    documents: tuple[Site, DesiredState] | None = None,
) -> KernelView:
    """Return the view of a live kernel.

    Args:
        observed: the kernel, read completely, with the sysctls of `NEEDED`.
        connections: the client's entries in the connection table; None when they could not be read.
        documents: the site and its desired state, for names; None without.
    """
    site, desired = documents if documents is not None else (Site(), DesiredState())
    addresses = desired.of(ADDRESSES)
    return KernelView(
        source=FactSource.KERNEL,
        services=observed.of(SERVICES),
        counters=observed.of(COUNTERS),
        nft=observed.of(TABLES).get(EMPTY_TABLE.title),
        addresses=tuple(address.key for address in observed.of(ADDRESSES)),
        routes=observed.of(ROUTES),
        links=observed.of(LINKS),
        sysctls=observed.of(SYSCTLS),
        connections=connections,
        service_names=_service_names(desired),
        server_names=_server_names(site, desired),
        desired_addresses=tuple(addresses),
        ipvs_available=observed.of(IPVS).available,
        foreign_nft=observed.of(FOREIGN_TABLES),
        rules=observed.of(ROUTING).rules,
        table_routes=dict(observed.of(ROUTING).routes),
    )


def site_view(site: Site, desired: DesiredState) -> KernelView:
    """Return the view of a kernel after a first apply of the site, without any connection.

    The kernel puts each new destination at the head of its list (`ip_vs_add_dest`), so the list is the
    reverse of the site file's.
    """
    services = {
        key: VirtualServer(server.attributes, dict(reversed(server.destinations.items())))
        for key, server in desired.of(SERVICES).table.items()
    }
    addresses = desired.of(ADDRESSES)
    return KernelView(
        source=FactSource.SITE_FILE,
        services=services,
        nft=desired.of(TABLES).get(EMPTY_TABLE.title),
        addresses=tuple(addresses),
        routes=_connected(tuple(addresses)),
        sysctls={sysctl.path: sysctl.value for sysctl in desired.of(SYSCTLS)},
        connections=(),
        service_names=_service_names(desired),
        server_names=_server_names(site, desired),
        rules=desired.of(ROUTING).rules,
        table_routes=dict(desired.of(ROUTING).routes),
    )


def _connected(addresses: tuple[AddressKey, ...]) -> tuple[Route, ...]:
    """Return the routes that the kernel adds by itself for the subnets of addresses."""
    return tuple(
        Route(mask(key.address, key.prefix), key.prefix, None, key.device, 0)
        for key in addresses
        if key.prefix < host_prefix(key.address)
    )


def _service_names(desired: DesiredState) -> dict[ServiceKey, str]:
    return {key: policy.name for key, policy in desired.of(SERVICES).policies.items()}


def _server_names(site: Site, desired: DesiredState) -> ServerNames:
    by_name = {service.name: service for service in site.virtual_services}
    names: dict[tuple[ServiceKey, DestinationKey], str] = {}
    for key, policy in desired.of(SERVICES).policies.items():
        service = by_name[policy.name]
        for server in service.real_servers:
            if server.name is not None:
                names[key, DestinationKey(server.address, server.port or key.port)] = server.name
        sorry = service.sorry_server
        if sorry is not None:
            names.setdefault((key, DestinationKey(sorry.address, sorry.port or key.port)), SORRY_NAME)
    return names
