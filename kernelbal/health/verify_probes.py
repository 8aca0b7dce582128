"""The probes of `kernelbal rs verify`: each real server once by its own and once by the virtual address."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Final

from kernelbal.health.path_marks import VERIFY_MARK_BASE
from kernelbal.health.probe_templates import check_templates, uses_virtual_address
from kernelbal.health.probes import plan_probes
from kernelbal.model.choices import ForwardingName, ProtocolName, Through
from kernelbal.model.health import Probe, ProbePlan, Timing
from kernelbal.model.site import Site
from kernelbal.model.site.check import CheckProtocol, TcpCheck, UdpCheck
from kernelbal.model.site.services import VirtualService

SECOND_TRY_S: Final = 1.0
"""How soon after a failure a probe is repeated, at least."""
_STAND_INS: Final[dict[ProtocolName, CheckProtocol]] = {
    ProtocolName.TCP: TcpCheck(),
    ProtocolName.UDP: UdpCheck(),
}
"""Checks with a port, for services whose own check cannot go to the virtual address.

A datagram without content is rarely answered: it finds a closed port, and proves no more.
"""


def verify_site(site: Site, names: Collection[str]) -> Site:
    """Return the site with real servers in the named services alone, each with a check that can go through.

    The other services stay: their settings take marks.
    """
    services = tuple(
        _verifiable(service) if service.name in names else service.model_copy(update={"real_servers": ()})
        for service in site.virtual_services
    )
    return site.model_copy(update={"virtual_services": services})


def _verifiable(service: VirtualService) -> VirtualService:
    """Return a service with a check that has probes, and can go through its virtual address unless by nat."""
    templates = check_templates(service)
    through = service.forwarding is ForwardingName.NAT or all(
        uses_virtual_address(service, q) for q in templates
    )
    protocol = _STAND_INS.get(service.protocol)
    if (templates and through) or protocol is None or not _has_port(service):
        return service
    virtual = None if service.forwarding is ForwardingName.NAT else Through.VIRTUAL
    instead: dict[str, object] = {each.kind: None for each in service.check.protocols}
    instead |= {protocol.kind: protocol, "through": virtual, "address": None, "mark": None}
    check = service.check.model_copy(update=instead)
    return service.model_copy(update={"check": check})


def _has_port(service: VirtualService) -> bool:
    return service.check.port is not None or any(ports.low for ports in service.ports)


def plan_verification(site: Site) -> ProbePlan:
    """Return the probes of a verification; each runs once, and once more when it fails.

    Args:
        site: what `verify_site` returns.
    """
    plan = plan_probes(site, VERIFY_MARK_BASE)
    probes = {key: _at_once(probe) for key, probe in plan.probes.items() if not probe.agent}
    return replace(plan, probes=probes, agents={})


def _at_once(probe: Probe) -> Probe:
    timeout_s = probe.timing.timeout_s
    return replace(probe, timing=Timing(timeout_s + SECOND_TRY_S, timeout_s, rise=1, fall=1))


def is_conclusive(probe: Probe) -> bool:
    """Return whether success means that the server answered: a datagram without `expect` may be lost."""
    return not (isinstance(probe.protocol, UdpCheck) and probe.protocol.expect is None)
