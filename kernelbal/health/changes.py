"""Events for what a decision changed."""

from __future__ import annotations

from typing import Final

from kernelbal.health.evaluation import NEWCOMER, ServerEvaluation
from kernelbal.model.address import Address, format_address, format_endpoint
from kernelbal.model.event import Event, Severity, Topic
from kernelbal.model.overlay import IN_SERVICE, SENT_AWAY, Mode, ServerState
from kernelbal.model.site.services import VirtualService
from kernelbal.model.units import format_duration

WARN_AGAIN_S: Final = 60.0
"""How often a real server has another warning reported at most, in seconds."""
_AWAY = {
    ServerState.DOWN: (Topic.SERVER_DOWN, Severity.WARNING, "is down"),
    ServerState.DRAINING: (Topic.SERVER_DRAINING, Severity.NOTICE, "is draining"),
    ServerState.DRAINED: (Topic.SERVER_DRAINED, Severity.NOTICE, "has drained"),
    ServerState.DISABLED: (Topic.SERVER_DISABLED, Severity.NOTICE, "is disabled"),
    ServerState.QUIESCED: (Topic.SERVER_DRAINING, Severity.NOTICE, "takes no new connections"),
}
_MODES = {
    Mode.SERVING: "serves again",
    Mode.SORRY: "uses its sorry server",
    Mode.REFUSING: "refuses clients",
    Mode.KEPT: "keeps all its real servers in service",
    Mode.WITHDRAWN: "withdraws its address",
}


def warns_anew(evaluation: ServerEvaluation, now: float) -> bool:
    """Return whether the warning of a real server is to be reported: its words may be those of a stranger."""
    before = evaluation.before
    if not evaluation.warning or evaluation.warning == before.warning:
        return False
    return before.warned_at is None or now - before.warned_at >= WARN_AGAIN_S


def server_events(
    service: VirtualService, evaluation: ServerEvaluation, state: ServerState, now: float, starting: bool
) -> list[Event]:
    """Return the events of a real server whose state or warning changed."""
    events: list[Event] = []
    before = evaluation.before
    if state != before.state and not _expected(evaluation, state, starting):
        events += _state_events(service, evaluation, state)
    if warns_anew(evaluation, now):
        text = f"{_who(service, evaluation)}: {evaluation.warning}"
        events.append(_event(Topic.SERVER_WARNING, Severity.WARNING, text, service, evaluation))
    return events


def _expected(evaluation: ServerEvaluation, state: ServerState, starting: bool) -> bool:
    """Whether it is no news: weight 0 of the site file, and real servers found up when the daemon starts."""
    is_new = evaluation.before is NEWCOMER
    if state is ServerState.QUIESCED:
        return evaluation.server.weight == 0
    return is_new and starting and state in IN_SERVICE


def _state_events(service: VirtualService, evaluation: ServerEvaluation, state: ServerState) -> list[Event]:
    who, old = _who(service, evaluation), evaluation.before.state
    if state in _AWAY:
        topic, severity, what = _AWAY[state]
        why = f": {evaluation.reason}" if evaluation.reason else ""
        return [_event(topic, severity, f"{who} {what}{why}", service, evaluation)]
    if state is ServerState.UNKNOWN:
        return []
    events = []
    if old in (ServerState.DOWN, ServerState.UNKNOWN):
        events.append(_event(Topic.SERVER_UP, Severity.NOTICE, f"{who} is up", service, evaluation))
    elif old in SENT_AWAY:
        text = f"{who} takes new connections again"
        events.append(_event(Topic.SERVER_ENABLED, Severity.NOTICE, text, service, evaluation))
    if state is ServerState.RAMPING:
        text = f"{who} is in slow start: full weight within {format_duration(service.slow_start)}"
        events.append(_event(Topic.SERVER_RAMPING, Severity.INFO, text, service, evaluation))
    return events


def mode_event(service: VirtualService, mode: Mode, usable: int) -> Event:
    """Return the event for a virtual service that lost or gained its quorum, or has another mode."""
    total = len(service.real_servers)
    counts = f"{usable} of {total} real servers usable, quorum {service.quorum}"
    text = f"virtual service `{service.name}` {_MODES[mode]}: {counts}"
    fields = (("mode", mode.value), ("usable", str(usable)), ("quorum", str(service.quorum)))
    if mode is Mode.SERVING:
        return Event(Topic.SERVICE_QUORUM_GAINED, Severity.NOTICE, text, service.name, fields=fields)
    return Event(Topic.SERVICE_QUORUM_LOST, Severity.ERROR, text, service.name, fields=fields)


def _event(
    topic: Topic, severity: Severity, text: str, service: VirtualService, evaluation: ServerEvaluation
) -> Event:
    fields = []
    if evaluation.key.port:
        fields.append(("port", str(evaluation.key.port)))
    if evaluation.server.name is not None:
        fields.append(("name", evaluation.server.name))
    if evaluation.reason:
        fields.append(("reason", evaluation.reason))
    address = format_address(evaluation.key.address)
    return Event(topic, severity, text, service.name, address, tuple(fields))


def _who(service: VirtualService, evaluation: ServerEvaluation) -> str:
    address, port = Address(evaluation.server.address), evaluation.key.port
    where = format_endpoint(address, port) if port else format_address(address)
    name = f"{evaluation.server.name} ({where})" if evaluation.server.name else where
    return f"real server {name} of `{service.name}`"
