"""What probes through virtual addresses need of the director's kernel.

An IPVS service by firewall mark leads the probe to its one real server. The probe leaves from the node's own
address, and the answer comes from the virtual address. An active director holds that address itself, and
Linux takes a packet from outside with one of its own addresses as sender for a forgery (RFC 1812, 5.3.8);
`accept_local` lets it in. IPv6 has no such rule.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from kernelbal.model.address import AF_INET, AF_INET6, Address, family_of
from kernelbal.model.choices import ForwardingName
from kernelbal.model.health import PathCheck
from kernelbal.model.ipvs import ServiceAttributes, ServiceFlag, ServiceKey, VirtualServer
from kernelbal.model.network import Sysctl
from kernelbal.model.node import Node
from kernelbal.model.site import Site
from kernelbal.model.site.services import VirtualService
from kernelbal.plan.networks import device_of, devices_towards, network_of
from kernelbal.plan.sysctls import path_check_sysctls

SCHEDULER = "rr"
"""Any would do for one real server."""
_PREFIX = {AF_INET: 32, AF_INET6: 128}


def path_services(paths: Iterable[PathCheck]) -> Iterator[tuple[ServiceKey, VirtualServer]]:
    """Yield the IPVS services by mark that lead probes.

    Datagrams are scheduled one by one: an entry that outlives its probe would lead the probe of another real
    server astray that happens to leave from the same port.
    """
    for family, mark, destination, attributes in paths:
        key = ServiceKey(family, 0, Address(b""), 0, mark)
        service = ServiceAttributes(SCHEDULER, int(ServiceFlag.ONE_PACKET), 0, _PREFIX[family], "")
        yield key, VirtualServer(service, {destination: attributes})


def sysctls_of_paths(site: Site, node: Node, paths: Iterable[PathCheck]) -> tuple[Sysctl, ...]:
    """Return the sysctls that the answers to probes through virtual addresses need.

    Raises:
        PlanRefused: `node.yaml` does not name the device of a network that the site uses.
    """
    servers = frozenset(path.destination.address for path in paths if path.family == AF_INET)
    if not servers:
        return ()
    devices: set[str] = set()
    apart: set[str] = set()
    for service in site.virtual_services:
        if service.forwarding is ForwardingName.NAT or family_of(service.address) != AF_INET:
            continue
        towards = _devices_of_servers(site, node, service, servers)
        devices |= towards
        apart |= towards - {device_of(node, network_of(site, service), f"virtual service `{service.name}`")}
    return path_check_sysctls(frozenset(devices), frozenset(apart))


def _devices_of_servers(
    site: Site, node: Node, service: VirtualService, servers: frozenset[Address]
) -> set[str]:
    every = frozenset(node.interfaces.values())
    devices: set[str] = set()
    for server in service.real_servers:
        if server.address in servers and not devices >= every:
            devices |= devices_towards(site, node, server.address)
    return devices
