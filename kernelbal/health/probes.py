"""What to probe for a site: each real server's checks, its agent, and the paths through virtual addresses.

A probe is known by a digest of everything in it. Two services that ask the same of the same target in the
same rhythm therefore share one probe, and a probe that a new version of the site does not change keeps its
state.

With direct server return and tunnels, real servers get packets for the virtual address. They are probed by
that address: a firewall mark of its own for each real server leads the probe through an IPVS service that
has this one destination. Beside each such probe goes a slower one to the real server's own address, which
tells a real server that is dead from one that lacks the virtual address.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Final, NamedTuple

from kernelbal.health.path_marks import (
    PATH_MARK_BASE,
    Path,
    assign_path_marks,
    path_attributes,
    path_hops,
)
from kernelbal.health.questions import Question, agent_question, check_questions, goes_through, slower
from kernelbal.model.address import Address, family_of, format_address
from kernelbal.model.health import PathCheck, Probe, ProbePlan, Target
from kernelbal.model.ipvs import DestinationAttributes, DestinationKey
from kernelbal.model.site import Site
from kernelbal.model.site.check import HttpCheck, ScriptCheck
from kernelbal.model.site.services import RealServer, VirtualService

KEY_DIGITS: Final = 16
"""Hexadecimal digits of a probe's key."""

_NOWHERE: Final = Address(b"")


class _Asking(NamedTuple):
    """One question of a service.

    Attributes:
        beside: the slower question to the real server's own address, where this one goes through the virtual
            address; else None.
    """

    question: Question
    beside: Question | None


class _Asker(NamedTuple):
    """One virtual service and all that it asks.

    Attributes:
        way: how its paths forward.
    """

    service: VirtualService
    checks: tuple[_Asking, ...]
    agent: Question | None
    way: DestinationAttributes

    def path(self, server: RealServer) -> Path:
        return Path(Address(self.service.address), Address(server.address), self.way)


def plan_probes(site: Site, mark_base: int = PATH_MARK_BASE) -> ProbePlan:
    """Return everything to probe for a valid site; names and order of its services change no probe.

    Args:
        site: whose real servers are probed.
        mark_base: first mark of the range for probes through virtual addresses.
    """
    askers = [_asker(service) for service in site.virtual_services]
    marks = assign_path_marks(site, _paths(askers), mark_base)
    paths = tuple(
        PathCheck(family_of(path.virtual), mark, DestinationKey(path.server, 0), path.attributes)
        for path, mark in marks.items()
    )
    planner = _Planner(ProbePlan(paths=paths), marks)
    for asker in askers:
        planner.add(asker)
    return planner.plan


def _asker(service: VirtualService) -> _Asker:
    checks = (
        _Asking(question, slower(question) if goes_through(service, question) else None)
        for question in check_questions(service)
    )
    return _Asker(service, tuple(checks), agent_question(service), path_attributes(service))


def _paths(askers: list[_Asker]) -> Iterator[Path]:
    for asker in askers:
        if any(asking.beside for asking in asker.checks):
            yield from map(asker.path, asker.service.real_servers)


@dataclass(frozen=True, slots=True)
class _Planner:
    """Fills a plan."""

    plan: ProbePlan
    marks: dict[Path, int]

    def add(self, asker: _Asker) -> None:
        """Add the probes of one virtual service."""
        for server in asker.service.real_servers:
            key = asker.service.server_key(server)
            self.plan.checks[key] = tuple(self._check(asker, server, asking) for asking in asker.checks)
            if asker.agent is not None:
                self.plan.agents[key] = self._probe(asker.agent, _agent_target(asker, server))

    def _check(self, asker: _Asker, server: RealServer, asking: _Asking) -> str:
        question, beside = asking
        if beside is None:
            return self._probe(question, _check_target(asker.service, server, question))
        mark = self.marks[asker.path(server)]
        key = self._probe(question, _path_target(asker.service, server, question, mark))
        if key not in self.plan.causes:
            self.plan.causes[key] = self._probe(beside, _check_target(asker.service, server, beside))
        return key

    def _probe(self, question: Question, target: Target) -> str:
        key = _key(question, target)
        if key not in self.plan.probes:
            self.plan.probes[key] = Probe(key, question.protocol, target, question.timing, question.agent)
        return key


def _check_target(service: VirtualService, server: RealServer, question: Question) -> Target:
    """Return where a check goes that does not go through the virtual address."""
    check = service.check
    own = Address(server.address)
    address = own if check.address is None else Address(check.address)
    is_script = isinstance(question.protocol, ScriptCheck)
    return Target(
        address,
        _port(server, question),
        _host(service, question, address),
        own if is_script else address,  # only scripts tell apart whom a shared `check.address` is meant for
        _source(service, address),
        check.mark or 0,
    )


def _path_target(service: VirtualService, server: RealServer, question: Question, mark: int) -> Target:
    virtual = Address(service.address)
    host = _host(service, question, virtual)
    source = _source(service, virtual)
    own, port = Address(server.address), _port(server, question)
    return Target(virtual, port, host, own, source, mark, through=True, hops=path_hops(service))


def _agent_target(asker: _Asker, server: RealServer) -> Target:
    address = Address(server.address)
    port = asker.agent.port if asker.agent else 0
    source = _source(asker.service, address)
    return Target(address, port, format_address(address), address, source, asker.service.check.mark or 0)


def _port(server: RealServer, question: Question) -> int:
    return (question.own_port and server.port) or question.port


def _host(service: VirtualService, question: Question, address: Address) -> str:
    """Return the name for `Host`: clients' where it matters, so that it keeps no others from sharing."""
    matters = isinstance(question.protocol, HttpCheck | ScriptCheck)
    return format_address(Address(service.address) if matters else address)


def _source(service: VirtualService, address: Address) -> Address:
    """Return the source address, unless it is of the other family: tunnels may join the two."""
    source = service.check.source
    return Address(source) if source is not None and len(source) == len(address) else _NOWHERE


def _key(question: Question, target: Target) -> str:
    parts = (part.hex() if isinstance(part, bytes) else str(part) for part in target)
    where = " ".join((*parts, question.definition))
    return sha256(where.encode()).hexdigest()[:KEY_DIGITS]
