"""The probes of a site: each real server's checks, its agent, and the paths through virtual addresses.

A probe is known by a digest of everything in it. Two services with the same check of the same target at the
same interval therefore share one probe, and a probe that a new version of the site does not change keeps its
state.

With direct server return and tunnels, real servers get packets for the virtual address. They are probed by
that address: a firewall mark of its own for each real server leads the probe through an IPVS service that
has this one destination. Beside each such probe goes a slower one to the real server's own address, which
distinguishes a dead real server from one that lacks the virtual address.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Final, NamedTuple

from kernelbal.health.path_marks import (
    PATH_MARK_BASE,
    ProbePath,
    assign_path_marks,
    path_attributes,
    path_hops,
)
from kernelbal.health.probe_templates import (
    ProbeTemplate,
    agent_template,
    cause_template,
    check_templates,
    uses_virtual_address,
)
from kernelbal.model.address import Address, family_of, format_address
from kernelbal.model.health import PathCheck, Probe, ProbePlan, Target
from kernelbal.model.ipvs import DestinationAttributes, DestinationKey
from kernelbal.model.site import Site
from kernelbal.model.site.check import HttpCheck, ScriptCheck
from kernelbal.model.site.services import RealServer, VirtualService

KEY_DIGITS: Final = 16
"""Hexadecimal digits of a probe's key."""

_NOWHERE: Final = Address(b"")


class _CheckTemplate(NamedTuple):
    """One check of a service.

    Attributes:
        cause: the slower check of the real server's own address, where this one goes through the virtual
            address; else None.
    """

    template: ProbeTemplate
    cause: ProbeTemplate | None


class _ServiceTemplates(NamedTuple):
    """The templates of one virtual service.

    Attributes:
        forwarding: how its paths forward.
    """

    service: VirtualService
    checks: tuple[_CheckTemplate, ...]
    agent: ProbeTemplate | None
    forwarding: DestinationAttributes

    def path(self, server: RealServer) -> ProbePath:
        return ProbePath(Address(self.service.address), Address(server.address), self.forwarding)


def plan_probes(site: Site, mark_base: int = PATH_MARK_BASE) -> ProbePlan:
    """Return the probes of a valid site; names and order of its services change no probe.

    Args:
        site: whose real servers are probed.
        mark_base: first mark of the range for probes through virtual addresses.
    """
    services = [_service_templates(service) for service in site.virtual_services]
    marks = assign_path_marks(site, _paths(services), mark_base)
    paths = tuple(
        PathCheck(family_of(path.virtual), mark, DestinationKey(path.server, 0), path.attributes)
        for path, mark in marks.items()
    )
    planner = _ProbePlanner(ProbePlan(paths=paths), marks)
    for templates in services:
        planner.add(templates)
    return planner.plan


def _service_templates(service: VirtualService) -> _ServiceTemplates:
    checks = (
        _CheckTemplate(
            template, cause_template(template) if uses_virtual_address(service, template) else None
        )
        for template in check_templates(service)
    )
    return _ServiceTemplates(service, tuple(checks), agent_template(service), path_attributes(service))


def _paths(services: list[_ServiceTemplates]) -> Iterator[ProbePath]:
    for templates in services:
        if any(pair.cause for pair in templates.checks):
            yield from map(templates.path, templates.service.real_servers)


@dataclass(frozen=True, slots=True)
class _ProbePlanner:
    """Collects the probes of a plan."""

    plan: ProbePlan
    marks: dict[ProbePath, int]

    def add(self, templates: _ServiceTemplates) -> None:
        """Add the probes of one virtual service."""
        for server in templates.service.real_servers:
            key = templates.service.server_key(server)
            self.plan.checks[key] = tuple(self._check(templates, server, pair) for pair in templates.checks)
            if templates.agent is not None:
                self.plan.agents[key] = self._probe(templates.agent, _agent_target(templates, server))

    def _check(self, templates: _ServiceTemplates, server: RealServer, pair: _CheckTemplate) -> str:
        template, cause = pair
        if cause is None:
            return self._probe(template, _check_target(templates.service, server, template))
        mark = self.marks[templates.path(server)]
        key = self._probe(template, _path_target(templates.service, server, template, mark))
        if key not in self.plan.causes:
            self.plan.causes[key] = self._probe(cause, _check_target(templates.service, server, cause))
        return key

    def _probe(self, template: ProbeTemplate, target: Target) -> str:
        key = _key(template, target)
        if key not in self.plan.probes:
            self.plan.probes[key] = Probe(key, template.protocol, target, template.timing, template.agent)
        return key


def _check_target(service: VirtualService, server: RealServer, template: ProbeTemplate) -> Target:
    """Return the target of a check that does not use the virtual address."""
    check = service.check
    own = Address(server.address)
    address = own if check.address is None else Address(check.address)
    is_script = isinstance(template.protocol, ScriptCheck)
    return Target(
        address,
        _port(server, template),
        _host(service, template, address),
        own if is_script else address,  # only scripts distinguish real servers with a shared `check.address`
        _source(service, address),
        check.mark or 0,
    )


def _path_target(service: VirtualService, server: RealServer, template: ProbeTemplate, mark: int) -> Target:
    virtual = Address(service.address)
    host = _host(service, template, virtual)
    source = _source(service, virtual)
    own, port = Address(server.address), _port(server, template)
    return Target(virtual, port, host, own, source, mark, through=True, hops=path_hops(service))


def _agent_target(templates: _ServiceTemplates, server: RealServer) -> Target:
    address = Address(server.address)
    port = templates.agent.port if templates.agent else 0
    source = _source(templates.service, address)
    return Target(address, port, format_address(address), address, source, templates.service.check.mark or 0)


def _port(server: RealServer, template: ProbeTemplate) -> int:
    return (template.own_port and server.port) or template.port


def _host(service: VirtualService, template: ProbeTemplate, address: Address) -> str:
    """Return the name for `Host`: clients' where it matters, so that it keeps no others from sharing."""
    matters = isinstance(template.protocol, HttpCheck | ScriptCheck)
    return format_address(Address(service.address) if matters else address)


def _source(service: VirtualService, address: Address) -> Address:
    """Return the source address, unless it is of the other family: tunnels may join the two."""
    source = service.check.source
    return Address(source) if source is not None and len(source) == len(address) else _NOWHERE


def _key(template: ProbeTemplate, target: Target) -> str:
    parts = (part.hex() if isinstance(part, bytes) else str(part) for part in target)
    where = " ".join((*parts, template.definition))
    return sha256(where.encode()).hexdigest()[:KEY_DIGITS]
