"""From the site and node documents to the kernel that they describe."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from kernelbal.model.address import AF_INET, AF_INET6, Address, family_of, format_address, host_prefix
from kernelbal.model.choices import ForwardingName
from kernelbal.model.health import PathCheck
from kernelbal.model.ipvs import (
    DestinationAttributes,
    DestinationKey,
    Destinations,
    Forwarding,
    ServiceAttributes,
    ServiceFlag,
    ServiceKey,
    ServicePolicy,
    Timeouts,
    VirtualServer,
)
from kernelbal.model.network import AddressAttributes, AddressKey, Sysctl
from kernelbal.model.nft import NftTable
from kernelbal.model.node import Node
from kernelbal.model.overlay import AS_CONFIGURED, Overlay
from kernelbal.model.site import Site
from kernelbal.model.site.services import SorryServer, VirtualService
from kernelbal.plan.classifier import build_table
from kernelbal.plan.drain import with_fallback
from kernelbal.plan.edge import edge_addresses, edge_sysctls, edge_table, merged
from kernelbal.plan.kind import DesiredState
from kernelbal.plan.kinds.addresses import ADDRESSES
from kernelbal.plan.kinds.routing import ROUTING
from kernelbal.plan.kinds.services import SERVICES, DesiredServices
from kernelbal.plan.kinds.sysctls import SYSCTLS
from kernelbal.plan.kinds.tables import TABLES
from kernelbal.plan.kinds.timeouts import TIMEOUTS
from kernelbal.plan.marks import assign_marks, by_mark, needs_mark
from kernelbal.plan.networks import device_of, network_of
from kernelbal.plan.overlaid import (
    Overlaid,
    leaving,
    quiesces,
    wants_sorry,
    with_overlay,
    withdrawn_addresses,
)
from kernelbal.plan.path_checks import path_services, sysctls_of_paths
from kernelbal.plan.policy_routes import policy_routes
from kernelbal.plan.sysctls import FORWARDING, connection_tracking, ipvs_sysctls, kept_routes, no_redirects

SORRY_WEIGHT = 1
PATH_POLICY = ServicePolicy("", 0.0)
"""Services by mark for probes carry nobody's connections."""


def desired_state(site: Site, node: Node, overlay: Overlay = AS_CONFIGURED) -> DesiredState:
    """Return what this node's kernel must hold for the site.

    Args:
        site: what holds when all is well.
        node: what differs on this node.
        overlay: what was decided beyond that.

    Raises:
        PlanRefused: `node.yaml` does not name the device of a network that the site uses.
    """
    services: dict[ServiceKey, VirtualServer] = {}
    policies: dict[ServiceKey, ServicePolicy] = {}
    marks = assign_marks(site)
    known: dict[DestinationAttributes, DestinationAttributes] = {}
    for service in site.virtual_services:
        keys = _keys(service, marks)
        servers = with_overlay(service, overlay)
        attributes = _attributes(service)
        if quiesces(servers):
            attributes = with_fallback(attributes)
        for key in keys:
            services[key] = VirtualServer(
                attributes, _destinations(service, servers, key.port, overlay, known)
            )
        policies |= dict.fromkeys(keys, ServicePolicy(service.name, service.drain, leaving(servers, keys)))
    paths = dict(path_services(overlay.paths))
    policies |= dict.fromkeys(paths, PATH_POLICY)
    desired = DesiredServices(services | paths, policies)
    return desired_network(site, node, overlay).having(SERVICES, desired)


def desired_network(site: Site, node: Node, overlay: Overlay = AS_CONFIGURED) -> DesiredState:
    """Return the desired state without its IPVS services; everything that can be refused is in it.

    Raises:
        PlanRefused: as `desired_state`.
    """
    table = merged(_classifier(site, assign_marks(site)), edge_table(site, node))
    return (
        DesiredState()
        .having(ADDRESSES, _addresses(site, node, withdrawn_addresses(site, overlay.services)))
        .having(SYSCTLS, tuple(_keeping_routes(_sysctls(site, node, overlay.paths), node)))
        .having(TABLES, {} if table.empty else {table.title: table})
        .having(TIMEOUTS, _timeouts(site))
        .having(ROUTING, policy_routes(site, node))
    )


def service_names(site: Site) -> dict[ServiceKey, str]:
    """Return the name of its virtual service by IPVS service."""
    marks = assign_marks(site)
    return {key: service.name for service in site.virtual_services for key in _keys(service, marks)}


def _keys(service: VirtualService, marks: dict[str, int]) -> tuple[ServiceKey, ...]:
    """Return the IPVS services of a virtual service: one by mark, or one per port."""
    address = service.address
    if by_mark(service):
        return (ServiceKey(family_of(address), 0, Address(b""), 0, marks[service.name]),)
    protocol = service.protocol.number.value
    return tuple(ServiceKey(family_of(address), protocol, address, ports.low) for ports in service.ports)


def _attributes(service: VirtualService) -> ServiceAttributes:
    flags = ServiceFlag.NONE
    for flag in service.scheduler_flags:
        flags |= flag.bit
    if service.one_packet:
        flags |= ServiceFlag.ONE_PACKET
    timeout_s = 0
    prefix = host_prefix(service.address)
    if service.persistence is not None:
        flags |= ServiceFlag.PERSISTENT
        timeout_s = int(service.persistence.source_ip.timeout)
        prefix = service.persistence.source_ip.prefix or prefix
    engine = service.persistence_engine or ""
    return ServiceAttributes(service.scheduler.value, int(flags), timeout_s, prefix, engine)


def _destinations(
    service: VirtualService,
    servers: Sequence[Overlaid],
    port: int,
    overlay: Overlay,
    known: dict[DestinationAttributes, DestinationAttributes],
) -> Destinations:
    """Return real servers with their attributes, of which those that are equal are one object: few differ."""
    forwarding = service.forwarding.number
    tunnel = _tunnel(service) if forwarding is Forwarding.TUNNEL else (0, 0, 0)
    method = int(forwarding)
    destinations: Destinations = {}
    for server, decided in servers:
        key = DestinationKey(server.address, server.port or port)
        weight, upper, lower = server.weight, server.upper_threshold, server.lower_threshold
        if decided is not None:
            if not decided.present:
                continue
            weight = decided.weight
            if decided.upper_threshold is not None:
                upper = decided.upper_threshold
                lower = lower if lower < upper else 0
        attributes = DestinationAttributes(method, weight, upper, lower, *tunnel)
        destinations[key] = known.setdefault(attributes, attributes)
    sorry = service.sorry_server
    if sorry is not None and wants_sorry(service, overlay.services.get(service.name)):
        key, attributes = _sorry(service, sorry, port)
        destinations[key] = attributes
    return destinations


def _sorry(
    service: VirtualService, sorry: SorryServer, port: int
) -> tuple[DestinationKey, DestinationAttributes]:
    forwarding = (sorry.forwarding or service.forwarding).number
    tunnel = _tunnel(service) if forwarding is Forwarding.TUNNEL else (0, 0, 0)
    key = DestinationKey(sorry.address, sorry.port or port)
    return key, DestinationAttributes(int(forwarding), SORRY_WEIGHT, 0, 0, *tunnel)


def _tunnel(service: VirtualService) -> tuple[int, int, int]:
    tunnel = service.tunnel
    if tunnel is None:
        return (0, 0, 0)
    return (int(tunnel.type.number), tunnel.port or 0, int(tunnel.checksum.flag))


def _addresses(site: Site, node: Node, withdrawn: set[Address]) -> dict[AddressKey, AddressAttributes]:
    addresses: dict[AddressKey, AddressAttributes] = {}
    present: set[Address] = set()
    for name, network in site.networks.items():
        for shared in network.shared_addresses:
            device = device_of(node, name, f"shared address {format_address(shared.address)}")
            key = AddressKey(device, shared.address, shared.prefix)
            addresses[key] = _address_attributes(key.address)
            present.add(shared.address)
    for service in site.virtual_services:
        if service.address in present or service.address in withdrawn:
            continue
        present.add(service.address)
        address = service.address
        device = device_of(node, network_of(site, service), f"virtual service `{service.name}`")
        key = AddressKey(device, address, host_prefix(address))
        addresses[key] = _address_attributes(address)
    addresses.update((key, _address_attributes(key.address)) for key in edge_addresses(site, node, present))
    return addresses


def _address_attributes(address: Address) -> AddressAttributes:
    """IPv6: usable at once, and never the source of the director's own packets."""
    is_ipv6 = family_of(address) == AF_INET6
    return AddressAttributes(no_dad=is_ipv6, deprecated=is_ipv6)


def _sysctls(site: Site, node: Node, paths: tuple[PathCheck, ...]) -> tuple[Sysctl, ...]:
    services = site.virtual_services
    edge = edge_sysctls(site, node)
    if not services:
        return edge
    wanted = {sysctl.path: sysctl for sysctl in (*edge, *ipvs_sysctls(site.kernel.sysctls))}
    translated = {family_of(service.address) for service in services if _translates(service)}
    wanted.update({FORWARDING[family].path: FORWARDING[family] for family in sorted(translated)})
    if AF_INET in translated:
        devices = frozenset(node.interfaces.values())
        wanted.update({sysctl.path: sysctl for sysctl in no_redirects(devices)})
    if any(service.one_armed for service in services):
        tracking = connection_tracking(int(site.kernel.timeouts.tcp), edge=site.edge is not None)
        wanted.update({sysctl.path: sysctl for sysctl in tracking})
    wanted.update({sysctl.path: sysctl for sysctl in sysctls_of_paths(site, node, paths)})
    return tuple(wanted.values())


def _keeping_routes(sysctls: tuple[Sysctl, ...], node: Node) -> Iterator[Sysctl]:
    """Yield the sysctls, and ahead of IPv6 forwarding those that keep it from ending default routes."""
    for sysctl in sysctls:
        if sysctl.path == FORWARDING[AF_INET6].path:
            yield from kept_routes(frozenset(node.interfaces.values()))
        yield sysctl


def _translates(service: VirtualService) -> bool:
    sorry = service.sorry_server
    return ForwardingName.NAT in (service.forwarding, sorry.forwarding if sorry else None)


def _classifier(site: Site, marks: dict[str, int]) -> NftTable:
    marked: dict[tuple[Address, int, int, int], int] = {}
    masquerade: set[int] = set()
    for service in site.virtual_services:
        if not needs_mark(service):
            continue
        mark = marks[service.name]
        for ports in service.ports:
            where = (service.address, service.protocol.number.value, ports.low, ports.high)
            marked[where] = mark
        if service.one_armed:
            masquerade.add(mark)
    return build_table(marked, frozenset(masquerade))


def _timeouts(site: Site) -> Timeouts | None:
    if not site.virtual_services:
        return None
    timeouts = site.kernel.timeouts
    return Timeouts(int(timeouts.tcp), int(timeouts.tcp_fin), int(timeouts.udp))
