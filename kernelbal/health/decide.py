"""What holds now: from the site file, probes, operators' orders and what is remembered.

For each real server the strongest voice counts: an order before the checks, the checks before the agent, the
agent before slow start and load. Who is left makes the quorum of the virtual service; the quorum decides its
mode; the mode decides what becomes of those who are up.
"""

from __future__ import annotations

from collections.abc import Iterable

from kernelbal.health.changes import mode_event, server_events
from kernelbal.health.decision import Decision, Inputs, Memory, ServerView, ServiceMemory, ServiceView
from kernelbal.health.evaluation import ServerEvaluator
from kernelbal.health.orders import OrderIndex
from kernelbal.health.pool import Pool, ServerDecision
from kernelbal.health.quorum import has_quorum, mode_of
from kernelbal.health.server_decision import desired_server, memory_of, view_of
from kernelbal.model.event import Event
from kernelbal.model.overlay import DesiredServer, Mode, Overlay, ServerState
from kernelbal.model.site.services import ServerKey, VirtualService


def decide(inputs: Inputs) -> Decision:
    """Return what holds now."""
    maker = _Maker(ServerEvaluator(inputs, OrderIndex(inputs.orders)))
    for service in inputs.site.virtual_services:
        maker.add(service)
    overlay = Overlay(maker.standings, maker.modes, inputs.probes.paths)
    return Decision(
        overlay,
        maker.memory,
        maker.servers,
        maker.services,
        tuple(maker.events),
        min(maker.due, default=None),
    )


class _Maker:
    """Collects a decision, service by service."""

    def __init__(self, evaluator: ServerEvaluator) -> None:
        self.evaluator = evaluator
        self.standings: dict[ServerKey, DesiredServer] = {}
        self.modes: dict[str, Mode] = {}
        self.memory = Memory()
        self.servers: dict[ServerKey, ServerView] = {}
        self.services: dict[str, ServiceView] = {}
        self.events: list[Event] = []
        self.due: list[float] = []

    def add(self, service: VirtualService) -> None:
        name, evaluator = service.name, self.evaluator
        evaluations = [
            evaluator.evaluate(service, server, service.server_key(server)) for server in service.real_servers
        ]
        usable = sum(1 for each in evaluations if each.usable)
        before = evaluator.inputs.memory.services.get(name)
        quorum = has_quorum(service, usable, None if before is None else before.quorum)
        mode = mode_of(service, quorum, any(each.candidate for each in evaluations))
        self.modes[name] = mode
        began_at = None if before is None else before.began_at
        pool = Pool(service, mode, evaluator.inputs, began_at)
        self._decide(service, pool.decisions(evaluations), mode)
        self.due += pool.due
        after = ServiceMemory(mode, evaluator.inputs.now, quorum, pool.began_at)
        if before is None and not quorum and any(each.state is ServerState.UNKNOWN for each in evaluations):
            self.services[name] = ServiceView(
                mode, evaluator.inputs.now, usable
            )  # no news before the first probes
        else:
            self._remember(service, before, after, usable)

    def _decide(self, service: VirtualService, decisions: Iterable[ServerDecision], mode: Mode) -> None:
        now, starting = self.evaluator.inputs.now, self.evaluator.inputs.starting
        for decided in decisions:
            key, state = decided.evaluation.key, decided.state
            if state != decided.evaluation.before.state or decided.evaluation.warning:
                self.events += server_events(service, decided.evaluation, state, now, starting)
            memory = memory_of(decided, now)
            self.memory.servers[key] = memory
            self.standings[key] = desired_server(service, decided)
            self.servers[key] = view_of(service, decided, memory.since_at, mode, now)

    def _remember(
        self, service: VirtualService, before: ServiceMemory | None, after: ServiceMemory, usable: int
    ) -> None:
        changed = before is None or before.mode is not after.mode
        if before is not None and not changed:
            after = after._replace(since_at=before.since_at)
        if changed and (before is not None or after.mode is not Mode.SERVING):
            self.events.append(mode_event(service, after.mode, usable))
        self.memory.services[service.name] = after
        self.services[service.name] = ServiceView(after.mode, after.since_at, usable)
