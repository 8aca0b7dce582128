"""What the checks look at: a site, or the valid parts of one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from kernelbal.config.violation import Path, Violation
from kernelbal.model.address import Address
from kernelbal.model.site import Site
from kernelbal.model.site.services import VirtualService

NOTHING: frozenset[str] = frozenset()
_FIELDS = frozenset(VirtualService.model_fields)


@dataclass(frozen=True, slots=True)
class CheckedService:
    """One virtual service.

    Attributes:
        index: its place in the document.
        addresses: addresses of its real servers.
        invalid: its fields that hold no valid value; `service` has no such attributes.
    """

    index: int
    service: VirtualService
    addresses: list[Address]
    invalid: frozenset[str] = NOTHING

    def path(self, *steps: str | int) -> Path:
        """Return the path of a setting of this service."""
        return ("virtual_services", self.index, *steps)

    def server_path(self, position: int, *steps: str | int) -> Path:
        """Return the path of a setting of one of its real servers."""
        return ("virtual_services", self.index, "real_servers", position, *steps)

    def violation(
        self,
        steps: tuple[str | int, ...],
        message: str,
        expected: str,
        hint: str,
        other: tuple[Path, str] | None = None,
    ) -> Violation:
        """Return a violation at a setting of this service."""
        return Violation(self.path(*steps), message, expected, hint, other=other)

    @property
    def title(self) -> str:
        """How messages of other services call this one."""
        return f"virtual_services[{self.index}]" if "name" in self.invalid else self.service.name


class SiteContext(NamedTuple):
    """The whole site, for checks of one service.

    Attributes:
        subjects: the virtual services.
        virtual: the first service of each virtual address.
        crowded: virtual addresses of several services.
        shared: network and path of each shared address.
        taken: all of these addresses.
        writing: the virtual services that write a key, by key.
        incomplete: sections of the document of which some part is not valid.
    """

    site: Site
    subjects: tuple[CheckedService, ...]
    virtual: dict[Address, CheckedService]
    crowded: frozenset[Address]
    shared: dict[Address, tuple[str, Path]]
    taken: frozenset[Address]
    writing: Mapping[str, Sequence[CheckedService]]
    incomplete: frozenset[str] = NOTHING


def context_of(site: Site, incomplete: frozenset[str] = NOTHING) -> SiteContext:
    """Return what the checks look at; `incomplete` names sections of which some part is not valid."""
    subjects = tuple(_subject(index, service) for index, service in enumerate(site.virtual_services))
    virtual: dict[Address, CheckedService] = {}
    crowded: set[Address] = set()
    writing: defaultdict[str, list[CheckedService]] = defaultdict(list)
    for subject in subjects:
        for key in subject.service.model_fields_set:
            writing[key].append(subject)
        if "address" not in subject.invalid:
            address = Address(subject.service.address)
            if virtual.setdefault(address, subject) is not subject:
                crowded.add(address)
    shared: dict[Address, tuple[str, Path]] = {
        Address(interface.address): (name, ("networks", name, "shared_addresses", index))
        for name, network in site.networks.items()
        for index, interface in enumerate(network.shared_addresses)
    }
    taken = frozenset((*virtual, *shared))
    return SiteContext(site, subjects, virtual, frozenset(crowded), shared, taken, writing, incomplete)


def _subject(index: int, service: VirtualService) -> CheckedService:
    held = service.__dict__
    invalid = NOTHING if len(held) == len(_FIELDS) else _FIELDS - held.keys()
    servers = () if "real_servers" in invalid else service.real_servers
    return CheckedService(index, service, [Address(server.address) for server in servers], invalid)
