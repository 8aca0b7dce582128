"""One virtual address with all that is known, and what judges ask of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final, NamedTuple

from kernelbal.model.address import Address, format_address
from kernelbal.model.network import AddressKey, Link
from kernelbal.model.nft import NftTable
from kernelbal.realserver.desired import setup_for
from kernelbal.realserver.preparation import PortMap, Preparation
from kernelbal.realserver.setup import LOOPBACK, Setup
from kernelbal.realserver.sysctls import conf
from kernelbal.realserver.tunnels import Unwrapping, unwrapping
from kernelbal.realserver.verify.evidence import Answer, HostEvidence, Path

APPLY: Final = "kernelbal realserver apply"
"""Brings back everything that was prepared."""


class PreparedAddress(NamedTuple):
    """One virtual address with all that is known.

    Attributes:
        setup: what this preparation alone takes, by the devices that it uses.
    """

    one: Preparation
    evidence: HostEvidence
    setup: Setup

    @property
    def virtual(self) -> str:
        """The virtual address as text."""
        return format_address(self.one.virtual)

    @property
    def is_ipv4(self) -> bool:
        """Whether the virtual address is one of IPv4."""
        return len(self.one.virtual) == 4

    @property
    def wrapped(self) -> Unwrapping | None:
        """What unwraps packets; None without a tunnel."""
        one = self.one
        return unwrapping(one.tunnel, one.virtual, one.real) if one.tunnel else None

    @property
    def holder(self) -> str:
        """The device that has the virtual address."""
        return self.wrapped.device if self.wrapped else LOOPBACK

    @property
    def path(self) -> Path:
        """The ways to the client and back."""
        return self.evidence.paths[self.one.virtual]

    @property
    def target(self) -> Address:
        """Where packets end up: the virtual address, or the one to which `redirect` leads."""
        return self.one.virtual if self.one.holds_address else self.one.own or self.one.real

    @property
    def asking(self) -> tuple[str, ...]:
        """The devices by which packets come in, and the one by which replies leave."""
        reply = self.path.reply
        leaving = [] if reply is None or reply.device == LOOPBACK else [reply.device]
        return tuple(dict.fromkeys([*self.one.interfaces, *leaving]))

    def link(self, name: str) -> Link | None:
        """Return a device."""
        return self.evidence.host.link(name)

    def held(self) -> list[AddressKey]:
        """Return where the host has the virtual address."""
        return [key for key, *_ in self.evidence.host.addresses if key.address == self.one.virtual]

    def effective(self, name: str, device: str) -> int | None:
        """Return the greater of the values of `all` and a device; None where there is no such device."""
        values = [self.evidence.host.sysctls.get(conf(each, name)) for each in ("all", device)]
        if values[1] is None:
            return None
        return max(int(value) for value in values if value is not None)

    def answers(self) -> Iterator[tuple[str, Answer]]:
        """Yield interface and answer for each port that was asked for."""
        for wire in self.evidence.wires.get(self.one.virtual, ()):
            yield from ((wire.interface, answer) for answer in wire.answers)

    def named(self, port: PortMap) -> bool:
        """Whether a port is one of the virtual service; where none is known, another one was asked for."""
        return port in self.one.ports

    def missing(self, table: NftTable, *hooks: str) -> list[str]:
        """Return what this preparation wants at hooks of one of our tables, and is not there.

        Args:
            table: which one, by family and name.
            hooks: such as `prerouting`.
        """
        wanted = next((each for each in self.setup.tables if each.title == table.title), table)
        present = next((each for each in self.evidence.host.tables if each.title == table.title), table)
        there = {(*chain[:4], rule.expression) for chain in present.chains for rule in chain.rules}
        elements = {(each.name, element) for each in present.sets for element in each.elements}
        lost = [
            f"{' . '.join(element)} in set {each.name}"
            for each in wanted.sets
            for element in each.elements
            if (each.name, element) not in elements
        ]
        return lost + [
            rule.text
            for chain in wanted.chains
            if chain.hook in hooks
            for rule in chain.rules
            if (*chain[:4], rule.expression) not in there
        ]


def prepared_address(one: Preparation, evidence: HostEvidence) -> PreparedAddress:
    """Return a preparation with what is known of its host."""
    made = PreparedAddress(one, evidence, Setup())
    asking = tuple(link for link in evidence.host.links if link.name in made.asking)
    return made._replace(setup=setup_for((one,), replace(evidence.host, links=asking)))
