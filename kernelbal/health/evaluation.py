"""What checks, agents and operators say of one real server, before its pool is looked at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

from kernelbal.health.adaptive import reading_of
from kernelbal.health.decision import Inputs, ServerMemory
from kernelbal.health.orders import OrderIndex
from kernelbal.health.path_cause import explain_path
from kernelbal.model.choices import Unable
from kernelbal.model.health import AgentReading, AgentRequest, Health, ProbeState
from kernelbal.model.overlay import IN_SERVICE, Admin, Order, ServerState
from kernelbal.model.site.services import RealServer, ServerKey, VirtualService

_CANDIDATES: Final = frozenset({ServerState.SERVING, ServerState.DOWN, ServerState.UNKNOWN})
NEWCOMER: Final = ServerMemory()
"""What is remembered of a real server that is new."""


class ServerEvaluation(NamedTuple):
    """What is said of a real server.

    Attributes:
        before: what is remembered of it.
        health: by its checks.
        state: `SERVING` when it is usable.
        reason: why it is not usable.
        order: in force, or None.
        everywhere: whether the order holds in all virtual services.
        cut_at: when a drain cuts what is left, on the boot clock; 0.0 without one.
        reading: what its agent says now, or None.
        warning: of its checks.
    """

    key: ServerKey
    server: RealServer
    before: ServerMemory
    health: Health
    state: ServerState
    reason: str = ""
    order: Order | None = None
    everywhere: bool = False
    cut_at: float = 0.0
    reading: AgentReading | None = None
    warning: str = ""

    @property
    def usable(self) -> bool:
        """Whether it may take connections."""
        return self.state is ServerState.SERVING

    @property
    def candidate(self) -> bool:
        """Whether it can be kept in service although it is down."""
        return self.state in _CANDIDATES and self.server.weight > 0 and not self._away

    @property
    def _away(self) -> bool:
        return self.reading is not None and self.reading.request is AgentRequest.MAINT


class _Checked(NamedTuple):
    """What the checks say.

    Attributes:
        health: by the runs that were made.
        key: of the probe that counts, empty when all is well.
        unable: that a check cannot be run, and why; empty when all can.
        failing: whether a check that can be run makes it down.
    """

    health: Health
    key: str = ""
    warning: str = ""
    unable: str = ""
    failing: bool = False


def cannot_be_checked(cause: str) -> str:
    """Return that a check cannot be run, as a reason."""
    return f"cannot be checked: {cause}"


_UP: Final = _Checked(Health.UP)
_NO_STATE: Final = ProbeState()
_CHANGED: Final = "not checked since its check changed"
_WAS_UP: Final = IN_SERVICE | {ServerState.QUIESCED}
"""Who stands so has been found up, and is taken to be so until there is a result again."""


@dataclass(frozen=True, slots=True)
class ServerEvaluator:
    """Looks at real servers one by one."""

    inputs: Inputs
    orders: OrderIndex

    def evaluate(self, service: VirtualService, server: RealServer, key: ServerKey) -> ServerEvaluation:
        """Return what is said of a real server."""
        before = self.inputs.memory.servers.get(key, NEWCOMER)
        checked = self._check(self.inputs.probes.checks.get(key, ()))
        health = Health.UNKNOWN if checked.unable and not checked.failing else checked.health
        warning = checked.unable or checked.warning or self._agent_warning(key)
        reading = self._read(service, key)
        found = self.orders.find(key)
        if found is not None:
            state, reason, cut_at = self._obey(key, found.order, before)
            return ServerEvaluation(
                key, server, before, health, state, reason, *found, cut_at, reading, warning
            )
        state, reason = self._state(service, server, checked, reading, before)
        return ServerEvaluation(key, server, before, health, state, reason, reading=reading, warning=warning)

    def _check(self, keys: tuple[str, ...]) -> _Checked:
        """Any that fails makes it down; else one that cannot be run counts, else one that is unknown."""
        states = self.inputs.states
        worst = _UP
        for key in keys:
            state = states.get(key, _NO_STATE)
            if state.unable and not worst.unable:
                worst = worst._replace(unable=cannot_be_checked(state.unable))
            if state.health is Health.DOWN:
                warning = worst.warning or state.warning
                worst = _Checked(Health.DOWN, key, warning, worst.unable, failing=not state.unable)
                if worst.failing:
                    return worst
            elif state.health is Health.UNKNOWN and worst.health is Health.UP:
                worst = worst._replace(health=Health.UNKNOWN, key=key)
            elif state.warning:
                worst = worst._replace(warning=worst.warning or state.warning)
        return worst

    def _read(self, service: VirtualService, key: ServerKey) -> AgentReading | None:
        if service.adaptive is None:
            return None
        agent = self.inputs.probes.agents.get(key)
        state = None if agent is None else self.inputs.states.get(agent)
        return reading_of(state, service.adaptive, self.inputs.now)

    def _agent_warning(self, key: ServerKey) -> str:
        agent = self.inputs.states.get(self.inputs.probes.agents.get(key, ""), _NO_STATE)
        return f"its agent cannot be asked: {agent.unable}" if agent.unable else ""

    def _obey(self, key: ServerKey, order: Order, before: ServerMemory) -> tuple[ServerState, str, float]:
        """Return the state, the reason and, for a drain, its deadline on the boot clock."""
        who = f"by {order.by}" + (f": {order.reason}" if order.reason else "")
        if order.admin is Admin.DISABLE:
            return ServerState.DISABLED, f"disabled {who}", 0.0
        now, same = self.inputs.now, before.deadline == order.deadline
        cut_at = before.cut_at if same else now + (order.deadline - self.inputs.wall)
        over = not order.hold and now >= cut_at
        empty = key in self.inputs.drained and before.state in (ServerState.DRAINING, ServerState.DRAINED)
        if over or empty or (same and before.state is ServerState.DRAINED):
            return ServerState.DRAINED, f"drained {who}", cut_at
        return ServerState.DRAINING, f"drained {who}", cut_at

    def _state(
        self,
        service: VirtualService,
        server: RealServer,
        checked: _Checked,
        reading: AgentReading | None,
        before: ServerMemory,
    ) -> tuple[ServerState, str]:
        unable, why = checked.unable, self._why_down(service, checked)
        if checked.failing or why:
            return ServerState.DOWN, why
        if reading is not None and reading.request in (AgentRequest.DOWN, AgentRequest.MAINT):
            return ServerState.DOWN, f"its agent says `{reading.text}`"
        if checked.health is Health.UNKNOWN:
            if before.state is ServerState.DOWN:
                return ServerState.DOWN, f"{unable or _CHANGED}; it was down before"
            if before.state not in _WAS_UP:
                return ServerState.UNKNOWN, unable or "not checked yet"
        if server.weight == 0:
            return ServerState.QUIESCED, "its weight is 0 in the site file"
        if reading is not None and reading.request is AgentRequest.DRAIN:
            return ServerState.QUIESCED, f"its agent says `{reading.text}`"
        if checked.health is Health.UNKNOWN:
            return ServerState.SERVING, f"{unable or _CHANGED}; it was up before"
        return ServerState.SERVING, f"{unable}; it was up before" if unable else ""

    def _why_down(self, service: VirtualService, checked: _Checked) -> str:
        """Return why its checks make it down; empty when they do not."""
        if checked.failing:
            return self._why_failing(service, checked.key)
        if checked.unable and service.check.unable is Unable.DOWN:
            return checked.unable
        return f"{checked.unable}; it was down before" if checked.health is Health.DOWN else ""

    def _why_failing(self, service: VirtualService, key: str) -> str:
        state = self.inputs.states[key]
        direct = self.inputs.probes.causes.get(key)
        if direct is None:
            return state.reason
        timing = self.inputs.probes.probes[key].timing
        failing_s = (timing.fall - 1) * timing.interval_s + timing.timeout_s
        return explain_path(state, self.inputs.states.get(direct), service.forwarding, failing_s)
