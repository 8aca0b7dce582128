"""What checks, agents and operators say of one real server, before its pool is looked at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

from kernelbal.health.adaptive import reading_of
from kernelbal.health.decision import Inputs, ServerMemory
from kernelbal.health.orders import OrderIndex
from kernelbal.health.path_cause import explain_path
from kernelbal.model.health import AgentReading, AgentRequest, Health, ProbeState
from kernelbal.model.overlay import IN_SERVICE, Admin, Order, ServerState
from kernelbal.model.site.services import RealServer, ServerKey, VirtualService

_CANDIDATES: Final = frozenset({ServerState.SERVING, ServerState.DOWN, ServerState.UNKNOWN})
NEWCOMER: Final = ServerMemory()
"""What is remembered of a real server that is new."""


class Judged(NamedTuple):
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
    """What the checks say; `key` of the probe that counts, empty when all is well."""

    health: Health
    key: str = ""
    warning: str = ""


_UP: Final = _Checked(Health.UP)
_NO_STATE: Final = ProbeState()
_WAS_UP: Final = IN_SERVICE | {ServerState.QUIESCED}
"""Who stands so has been found up, and is taken to be so until there is a result again."""


@dataclass(frozen=True, slots=True)
class Judge:
    """Looks at real servers one by one."""

    inputs: Inputs
    orders: OrderIndex

    def judge(self, service: VirtualService, server: RealServer, key: ServerKey) -> Judged:
        """Return what is said of a real server."""
        before = self.inputs.memory.servers.get(key, NEWCOMER)
        checked = self._check(self.inputs.probes.checks.get(key, ()))
        reading = self._read(service, key)
        found = self.orders.find(key)
        if found is not None:
            state, reason, cut_at = self._obey(key, found.order, before)
            health, _, warning = checked
            return Judged(key, server, before, health, state, reason, *found, cut_at, reading, warning)
        state, reason = self._state(service, server, checked, reading, before)
        return Judged(
            key, server, before, checked.health, state, reason, reading=reading, warning=checked.warning
        )

    def _check(self, keys: tuple[str, ...]) -> _Checked:
        """Any that is down makes it down; else any that is unknown makes it unknown."""
        states = self.inputs.states
        worst = _UP
        for key in keys:
            state = states.get(key, _NO_STATE)
            if state.health is Health.DOWN:
                return _Checked(Health.DOWN, key, worst.warning or state.warning)
            if state.health is Health.UNKNOWN:
                worst = _Checked(Health.UNKNOWN, key, worst.warning)
            elif state.warning:
                worst = worst._replace(warning=worst.warning or state.warning)
        return worst

    def _read(self, service: VirtualService, key: ServerKey) -> AgentReading | None:
        if service.adaptive is None:
            return None
        agent = self.inputs.probes.agents.get(key)
        state = None if agent is None else self.inputs.states.get(agent)
        return reading_of(state, service.adaptive, self.inputs.now)

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
        if checked.health is Health.DOWN:
            return ServerState.DOWN, self._why_down(service, checked.key)
        if reading is not None and reading.request in (AgentRequest.DOWN, AgentRequest.MAINT):
            return ServerState.DOWN, f"its agent says `{reading.text}`"
        if checked.health is Health.UNKNOWN:
            if before.state is ServerState.DOWN:
                return ServerState.DOWN, "not checked since its check changed; it was down before"
            if before.state not in _WAS_UP:
                return ServerState.UNKNOWN, "not checked yet"
        if server.weight == 0:
            return ServerState.QUIESCED, "its weight is 0 in the site file"
        if reading is not None and reading.request is AgentRequest.DRAIN:
            return ServerState.QUIESCED, f"its agent says `{reading.text}`"
        if checked.health is Health.UNKNOWN:
            return ServerState.SERVING, "not checked since its check changed; it was up before"
        return ServerState.SERVING, ""

    def _why_down(self, service: VirtualService, key: str) -> str:
        state = self.inputs.states[key]
        direct = self.inputs.probes.causes.get(key)
        if direct is None:
            return state.reason
        timing = self.inputs.probes.probes[key].timing
        failing_s = (timing.fall - 1) * timing.interval_s + timing.timeout_s
        return explain_path(state, self.inputs.states.get(direct), service.forwarding, failing_s)
