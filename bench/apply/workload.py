"""The site that every contender programs, written in each one's own language.

All virtual services have ports of their own on a few addresses: kernelbal also adds virtual addresses to a
device, which `ipvsadm` does not, and one address per service would charge it for work that others leave out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from kernelbal.model.address import AF_INET, Address, format_address, format_endpoint
from kernelbal.model.ipvs import (
    DestinationAttributes,
    DestinationKey,
    Forwarding,
    Protocol,
    ServiceAttributes,
    ServiceKey,
    ServiceTable,
    VirtualServer,
)

PORTS_PER_ADDRESS: Final = 1000
FIRST_PORT: Final = 10001
REAL_SERVERS: Final = 10
"""Real servers of each virtual service."""
MAX_SERVICES: Final = 13_000
"""As many as have room for their real servers in 198.18.0.0/15, the network for benchmarks (RFC 2544)."""
SCHEDULER: Final = "wlc"
WEIGHTS: Final = 100
DEVICE: Final = "eth0"
DIRECTOR: Final = "198.18.0.1/15"
"""Address of the director on `DEVICE`; the real servers are its neighbours, as direct server return wants.

keepalived looks up the host's name: a network that could hold a name server would make it wait for answers.
"""

_FIRST_VIRTUAL: Final = int.from_bytes(bytes((203, 0, 113, 1)))
_FIRST_REAL: Final = int.from_bytes(bytes((198, 18, 1, 0)))


class Server(NamedTuple):
    """A real server."""

    address: Address
    weight: int


class Service(NamedTuple):
    """A virtual service; its real servers listen on the same port."""

    address: Address
    port: int
    servers: tuple[Server, ...]


@dataclass(frozen=True, slots=True)
class Workload:
    """A site with direct server return over IPv4.

    Attributes:
        services: how many virtual services, 1 to `MAX_SERVICES`.
        changed: one weight differs.
    """

    services: int
    changed: bool = False

    @property
    def real_servers(self) -> int:
        """How many there are in all."""
        return self.services * REAL_SERVERS

    @property
    def changed_service(self) -> int:
        """The place of the virtual service whose first real server may have another weight."""
        return self.services // 2

    def __iter__(self) -> Iterator[Service]:
        return map(self.service, range(self.services))

    def service(self, index: int) -> Service:
        """Return the virtual service at a place."""
        address = Address((_FIRST_VIRTUAL + index // PORTS_PER_ADDRESS).to_bytes(4))
        first = index * REAL_SERVERS
        servers = tuple(
            Server(Address((_FIRST_REAL + number).to_bytes(4)), self._weight(number))
            for number in range(first, first + REAL_SERVERS)
        )
        return Service(address, FIRST_PORT + index % PORTS_PER_ADDRESS, servers)

    def _weight(self, number: int) -> int:
        altered = self.changed and number == self.changed_service * REAL_SERVERS
        return 1 + number * 7 % WEIGHTS + (WEIGHTS if altered else 0)


def service_table(workload: Workload) -> ServiceTable:
    """Return what the kernel shall hold."""
    attributes = ServiceAttributes(SCHEDULER, 0, 0, 32, "")
    return {
        ServiceKey(AF_INET, Protocol.TCP.value, service.address, service.port): VirtualServer(
            attributes,
            {
                DestinationKey(server.address, service.port): DestinationAttributes(
                    Forwarding.DSR.value, server.weight
                )
                for server in service.servers
            },
        )
        for service in workload
    }


def site_yaml(workload: Workload) -> str:
    """Return the site document."""
    lines = ["virtual_services:"]
    for number, service in enumerate(workload):
        lines.append(f"  - name: service-{number}")
        lines.append(f"    address: {format_address(service.address)}")
        lines.append(f"    ports: {service.port}")
        lines.append("    forwarding: dsr")
        lines.append(f"    scheduler: {SCHEDULER}")
        lines.append("    real_servers:")
        lines += [
            f"      - {{address: {format_address(a)}, weight: {weight}}}" for a, weight in service.servers
        ]
    return "\n".join(lines) + "\n"


def node_yaml() -> str:
    """Return the node document."""
    return f"name: director\ninterfaces: {{outside: {DEVICE}}}\n"


def ipvsadm_rules(workload: Workload) -> str:
    """Return what `ipvsadm -R` reads."""
    lines = []
    for service in workload:
        endpoint = format_endpoint(service.address, service.port)
        lines.append(f"-A -t {endpoint} -s {SCHEDULER}")
        lines += [
            f"-a -t {endpoint} -r {format_endpoint(address, service.port)} -g -w {weight}"
            for address, weight in service.servers
        ]
    return "\n".join(lines) + "\n"


def keepalived_conf(workload: Workload) -> str:
    """Return the configuration of keepalived: no checks, so every real server counts as alive at once."""
    lines = []
    for service in workload:
        lines.append(f"virtual_server {format_address(service.address)} {service.port} {{")
        lines += [f"    lvs_sched {SCHEDULER}", "    lvs_method DR", "    protocol TCP"]
        lines += [
            f"    real_server {format_address(address)} {service.port} {{\n        weight {weight}\n    }}"
            for address, weight in service.servers
        ]
        lines.append("}")
    return "\n".join(lines) + "\n"
