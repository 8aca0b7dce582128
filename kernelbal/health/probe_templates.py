"""Templates of probes: protocol, port and timing of each check, before any address is known."""

from __future__ import annotations

import json
from functools import cache
from hashlib import pbkdf2_hmac
from typing import Final, NamedTuple

from kernelbal.health.defaults import default_protocol, fits, has_port, settled
from kernelbal.model.choices import ForwardingName, Through
from kernelbal.model.health import Timing
from kernelbal.model.site.check import (
    DEFAULT_FALL,
    DEFAULT_RISE,
    Check,
    HttpAgent,
    IcmpCheck,
    NoCheck,
    ProbeProtocol,
    ScriptCheck,
    TextAgent,
)
from kernelbal.model.site.services import VirtualService

MAX_PORTS: Final = 16
"""Most ports of one real server that are probed."""
CAUSE_SLOWNESS: Final = 3
"""How many times slower the probe beside one through the virtual address is."""
AGENT_JITTER: Final = 0.05
"""Share of the interval by which an agent may be probed later."""

SECRET_ROUNDS: Final = 50_000
"""About ten milliseconds per secret: at each start here, and at each guess of an attacker."""

_AGENTS: Final = {HttpAgent.kind: "http", TextAgent.kind: "text"}


class ProbeTemplate(NamedTuple):
    """The probe of each real server at one port, without its address.

    Attributes:
        port: destination port; 0 where the protocol has none.
        own_port: whether a port of the real server's own replaces `port`.
        definition: everything but the target, as text that is equal for equal probes.
        agent: `http` or `text`; empty for a check.
    """

    protocol: ProbeProtocol
    port: int
    own_port: bool
    timing: Timing
    definition: str
    agent: str = ""


def check_templates(service: VirtualService) -> list[ProbeTemplate]:
    """Return the checks that a real server of this service must pass to be up; without any, all are up."""
    check, transport = service.check, service.protocol
    timing = check_timing(check)
    templates: list[ProbeTemplate] = []
    for port in checked_ports(service):
        named = check.protocols[0] if check.protocols else default_protocol(transport, port)
        if isinstance(named, NoCheck):
            return []
        protocol = settled(named, transport, port)
        at = 0 if isinstance(protocol, IcmpCheck) else port or protocol.port
        template = _template(protocol, at, timing, own_port=at > 0 and check.port is None)
        if template not in templates:
            templates.append(template)
    return templates


def agent_template(service: VirtualService) -> ProbeTemplate | None:
    """Return the template of the agents of this service's real servers, or None."""
    adaptive = service.adaptive
    agent = (adaptive.http_agent or adaptive.text_agent) if adaptive else None
    if adaptive is None or agent is None:
        return None
    jitter_s = adaptive.interval * AGENT_JITTER
    timing = Timing(adaptive.interval, adaptive.timeout, DEFAULT_RISE, DEFAULT_FALL, jitter_s)
    return _template(agent, agent.port, timing, own_port=False)


def cause_template(template: ProbeTemplate) -> ProbeTemplate:
    """Return the slower check of the own address beside one of the virtual address; each result counts."""
    interval_s, timeout_s, _, _, jitter_s = template.timing
    timing = Timing(interval_s * CAUSE_SLOWNESS, timeout_s, 1, 1, jitter_s * CAUSE_SLOWNESS)
    return _template(template.protocol, template.port, timing, own_port=template.own_port)


def uses_virtual_address(service: VirtualService, template: ProbeTemplate) -> bool:
    """Return whether a check goes through the virtual address: unless the document says otherwise."""
    check = service.check
    if service.forwarding is ForwardingName.NAT or not has_port(template.protocol):
        return False
    if check.through is not None:
        return check.through is Through.VIRTUAL
    return check.address is None and check.mark is None


def checked_ports(service: VirtualService) -> tuple[int, ...]:
    """Return the checked ports of a real server; 0 stands for `ports: all`.

    `check.port`; else each port of the service, of a range the lowest, `MAX_PORTS` at most. A named
    protocol leaves out ports that are known for another one, unless none would be left: `https` with the
    ports 80 and 443 checks 443. A script runs once, with the first port.
    """
    check = service.check
    if check.port is not None:
        return (check.port,)
    ports = tuple(dict.fromkeys(each.low for each in service.ports))
    if check.protocols and isinstance(check.protocols[0], ScriptCheck):
        return ports[:1]
    if check.protocols:
        fitting = (port for port in ports if fits(check.protocols[0], service.protocol, port))
        ports = tuple(fitting) or ports
    return ports[:MAX_PORTS]


def check_timing(check: Check) -> Timing:
    """Return the timing of a check."""
    jitter_s = check.interval * check.jitter / 100
    return Timing(check.interval, check.timeout, check.rise, check.fall, jitter_s)


def _template(protocol: ProbeProtocol, port: int, timing: Timing, *, own_port: bool) -> ProbeTemplate:
    agent = _AGENTS.get(protocol.kind, "")
    settings = protocol.model_dump(mode="json")
    for name, field in type(protocol).model_fields.items():
        if not field.repr and settings[name]:
            secret = settings[name]
            settings[name] = _secret_digest(
                secret if isinstance(secret, str) else json.dumps(secret, sort_keys=True)
            )
    definition = [protocol.kind, settings, timing, agent]
    return ProbeTemplate(protocol, port, own_port, timing, json.dumps(definition, sort_keys=True), agent)


@cache
def _secret_digest(secret: str) -> str:
    """Return a slow digest of a secret for the definition.

    A probe's key is a digest of its definition, and shown in the status. It must not help to guess secrets.
    """
    return pbkdf2_hmac("sha256", secret.encode(), b"kernelbal probe", SECRET_ROUNDS).hex()
