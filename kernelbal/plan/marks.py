"""Firewall marks: which services need one, and which one each gets.

A mark ties several ports, or a range of them, to one IPVS service, and tells packets of one-armed services
apart on their way out. Marks derive from the service's name and address, so that a service keeps its mark,
and with it its connections, whatever else changes in the site; and from what the mark is for, so that an
IPVS service by mark that drains never gets the packets of the service by address that takes its place.
"""

from __future__ import annotations

import zlib

from kernelbal.model.address import format_address
from kernelbal.model.site import Site
from kernelbal.model.site.services import VirtualService

MARK_BASE = 0x4B000000
"""Marks of kernelbal are 0x4b000000-0x4bffffff, clear of keepalived's (from 1000) and Kubernetes' bits."""
_MARK_MASK = 0x00FFFFFF


def by_mark(service: VirtualService) -> bool:
    """Return whether IPVS must know this service by firewall mark instead of address and port."""
    return service.port_following or any(ports.low != ports.high for ports in service.ports)


def needs_mark(service: VirtualService) -> bool:
    """Return whether packets of this service are marked."""
    return by_mark(service) or service.one_armed


def assign_marks(site: Site) -> dict[str, int]:
    """Return the mark of each service that needs one, by service name.

    A derived mark that is taken moves on to the next free one, in the order of names.
    """
    marks = {s.name: s.mark for s in site.virtual_services if needs_mark(s) and s.mark is not None}
    taken = set(marks.values())
    derived = [s for s in site.virtual_services if needs_mark(s) and s.mark is None]
    for service in sorted(derived, key=lambda service: service.name):
        offset = _offset(service)
        while MARK_BASE + offset in taken:
            offset = (offset + 1) & _MARK_MASK
        marks[service.name] = MARK_BASE + offset
        taken.add(MARK_BASE + offset)
    return marks


def _offset(service: VirtualService) -> int:
    use = "service" if by_mark(service) else "masquerade"
    text = f"{service.name} {format_address(service.address)} {use}"
    return zlib.crc32(text.encode()) & _MARK_MASK
