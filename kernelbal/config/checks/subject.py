"""What the checks look at: a site, or the valid parts of one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from kernelbal.config.finding import Finding, Path
from kernelbal.model.address import Address
from kernelbal.model.site import Site
from kernelbal.model.site.services import VirtualService

NOTHING: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Subject:
    """One virtual service.

    Attributes:
        index: its place in the document.
        server_indices: places of its real servers in the document; a faulty one is left out.
        addresses: addresses of its real servers.
        invalid: its fields that hold no valid value; what `service` has there means nothing.
    """

    index: int
    service: VirtualService
    server_indices: Sequence[int]
    addresses: list[Address]
    invalid: frozenset[str] = NOTHING

    def path(self, *steps: str | int) -> Path:
        """Return the path of a setting of this service."""
        return ("virtual_services", self.index, *steps)

    def server_path(self, position: int, *steps: str | int) -> Path:
        """Return the path of a setting of the real server at a position of `service.real_servers`."""
        return ("virtual_services", self.index, "real_servers", self.server_indices[position], *steps)

    def finding(
        self,
        steps: tuple[str | int, ...],
        message: str,
        expected: str,
        hint: str,
        other: tuple[Path, str] | None = None,
    ) -> Finding:
        """Return a finding at a setting of this service."""
        return Finding(self.path(*steps), message, expected, hint, other=other)

    @property
    def title(self) -> str:
        """How messages of other services call this one."""
        return f"virtual_services[{self.index}]" if "name" in self.invalid else self.service.name


class Context(NamedTuple):
    """The whole site, for checks of one service.

    Attributes:
        subjects: the virtual services.
        virtual: the first service of each virtual address.
        crowded: virtual addresses of several services.
        shared: network and path of each shared address.
        taken: all of these addresses.
        invalid: sections of the document that hold no valid value.
    """

    site: Site
    subjects: tuple[Subject, ...]
    virtual: dict[Address, Subject]
    crowded: frozenset[Address]
    shared: dict[Address, tuple[str, Path]]
    taken: frozenset[Address]
    invalid: frozenset[str] = NOTHING


def context_of(
    site: Site,
    invalid_sections: frozenset[str] = NOTHING,
    invalid_fields: Mapping[int, frozenset[str]] | None = None,
    server_indices: Mapping[int, Sequence[int]] | None = None,
) -> Context:
    """Return what the checks look at; without the optional arguments, a valid site."""
    fields, indices = invalid_fields or {}, server_indices or {}
    subjects = tuple(
        Subject(
            index,
            service,
            indices.get(index, range(len(service.real_servers))),
            [Address(server.address) for server in service.real_servers],
            fields.get(index, NOTHING),
        )
        for index, service in enumerate(site.virtual_services)
    )
    virtual: dict[Address, Subject] = {}
    crowded: set[Address] = set()
    for subject in subjects:
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
    return Context(site, subjects, virtual, frozenset(crowded), shared, taken, invalid_sections)
