"""What a virtual service comes to when health, operators and load have spoken."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from kernelbal.model.address import Address
from kernelbal.model.ipvs import DestinationAttributes, DestinationKey, Destinations, VirtualServer
from kernelbal.model.site import Site
from kernelbal.model.site.services import RealServer, VirtualService
from kernelbal.model.standing import Mode, Overlay, Standing
from kernelbal.plan.drain import with_fallback

_CLOSED: Final = frozenset({Mode.SORRY, Mode.REFUSING, Mode.WITHDRAWN})
"""Modes in which no real server takes new connections."""


def wants_sorry(service: VirtualService, mode: Mode | None) -> bool:
    """Return whether the sorry server answers; without a mode, when no real server has a weight."""
    if service.sorry_server is None:
        return False
    if mode is None:
        return not any(server.weight for server in service.real_servers)
    return mode is Mode.SORRY


def withdrawn_addresses(site: Site, modes: Mapping[str, Mode]) -> set[bytes]:
    """Return the virtual addresses that only withdrawn virtual services have."""
    given_up = {name for name, mode in modes.items() if mode is Mode.WITHDRAWN}
    if not given_up:
        return set()
    kept = {service.address for service in site.virtual_services if service.name not in given_up}
    return {service.address for service in site.virtual_services if service.name in given_up} - kept


def overlay_services(
    service: VirtualService, servers: Iterable[tuple[int, VirtualServer]], overlay: Overlay
) -> dict[DestinationKey, float]:
    """Change the IPVS services of a virtual service into what holds now.

    Args:
        service: the virtual service.
        servers: its IPVS services as configured, each with the port of real servers without one of their
            own; they are changed in place.
        overlay: what holds now.

    Returns:
        Until when real servers that leave may keep their connections, in seconds on the boot clock.
    """
    closed = overlay.services.get(service.name) in _CLOSED
    leaving: dict[DestinationKey, float] = {}
    changed = _changed(service, overlay, closed)
    if changed:
        for port, virtual_server in servers:
            change = _Change(virtual_server.destinations, port, leaving)
            for server, standing in changed:
                change.apply(server, standing, 0 if closed else standing.weight)
            if change.quiesced:
                virtual_server.attributes = with_fallback(virtual_server.attributes)
    return leaving


def _changed(service: VirtualService, overlay: Overlay, closed: bool) -> list[tuple[RealServer, Standing]]:
    """Return the real servers that do not stand as the site file has them."""
    standings = overlay.servers
    found: list[tuple[RealServer, Standing]] = []
    for server in service.real_servers:
        standing = standings.get(service.server_key(server))
        if standing is None:
            if closed and server.weight:
                found.append((server, Standing(0)))
        elif (
            standing.weight != server.weight
            or not standing.present
            or standing.upper_threshold is not None
            or (closed and server.weight)
        ):
            found.append((server, standing))
    return found


@dataclass(slots=True)
class _Change:
    """Changes the real servers of one IPVS service.

    Attributes:
        quiesced: whether one has been quiesced that would have a weight: hashes without fallback would refuse
            its clients.
    """

    destinations: Destinations
    port: int
    leaving: dict[DestinationKey, float]
    quiesced: bool = field(default=False, init=False)

    def apply(self, server: RealServer, standing: Standing, weight: int) -> None:
        key = DestinationKey(Address(server.address), server.port or self.port)
        if not standing.present:
            del self.destinations[key]
            if standing.cut_at is not None:
                self.leaving[key] = standing.cut_at
            return
        self.quiesced |= server.weight > 0 and weight == 0
        old = self.destinations[key]
        upper, lower = old.upper_threshold, old.lower_threshold
        if standing.upper_threshold is not None:
            upper = standing.upper_threshold
            lower = lower if lower < upper else 0
        self.destinations[key] = DestinationAttributes(old.forwarding, weight, upper, lower, *old[4:])
