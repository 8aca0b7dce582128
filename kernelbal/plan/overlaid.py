"""What a virtual service comes to when health, operators and load have spoken."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from kernelbal.model.address import Address
from kernelbal.model.ipvs import DestinationKey, ServiceKey
from kernelbal.model.overlay import DesiredServer, Mode, Overlay
from kernelbal.model.site import Site
from kernelbal.model.site.services import RealServer, VirtualService

Overlaid = tuple[RealServer, DesiredServer | None]
"""A real server, and what was decided for it; None: it is as configured."""


def wants_sorry(service: VirtualService, mode: Mode | None) -> bool:
    """Return whether the sorry server answers; without a mode, when no real server has a weight."""
    if service.sorry_server is None:
        return False
    if mode is None:
        return not any(server.weight for server in service.real_servers)
    return mode is Mode.SORRY


def withdrawn_addresses(site: Site, modes: Mapping[str, Mode]) -> set[Address]:
    """Return the virtual addresses that only withdrawn virtual services have."""
    given_up = {name for name, mode in modes.items() if mode is Mode.WITHDRAWN}
    if not given_up:
        return set()
    kept = {service.address for service in site.virtual_services if service.name not in given_up}
    return {service.address for service in site.virtual_services if service.name in given_up} - kept


def with_overlay(service: VirtualService, overlay: Overlay) -> Sequence[Overlaid]:
    """Return the real servers of a virtual service, each with what was decided for it."""
    if not overlay.servers:
        return [(server, None) for server in service.real_servers]
    find = overlay.servers.get
    return [(server, find(service.server_key(server))) for server in service.real_servers]


def quiesces(servers: Iterable[Overlaid]) -> bool:
    """Return whether one stays without a weight that is configured with one.

    Hashes without fallback would refuse its clients.
    """
    return any(
        decided is not None and decided.present and not decided.weight and server.weight
        for server, decided in servers
    )


def leaving(
    servers: Iterable[Overlaid], services: Iterable[ServiceKey]
) -> tuple[tuple[DestinationKey, float], ...]:
    """Return until when real servers that leave may keep their connections, in seconds on the boot clock.

    Args:
        servers: of a virtual service.
        services: its IPVS services; their port is that of real servers without one of their own.
    """
    found = [(server, s.cut_at) for server, s in servers if s and not s.present and s.cut_at is not None]
    return tuple(
        {
            DestinationKey(server.address, server.port or service.port): cut_at
            for service in (services if found else ())
            for server, cut_at in found
        }.items()
    )
