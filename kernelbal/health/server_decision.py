"""What follows from the state of a real server: for the kernel, for the status, for the next decision."""

from __future__ import annotations

from kernelbal.health.changes import warns_anew
from kernelbal.health.decision import ServerMemory, ServerView
from kernelbal.health.pool import ServerDecision
from kernelbal.health.quorum import removed_on_down
from kernelbal.model.health import Health
from kernelbal.model.overlay import DesiredServer, Mode, ServerState
from kernelbal.model.site.services import VirtualService

_MODE_REASONS = {
    Mode.SORRY: "the sorry server is in use",
    Mode.REFUSING: "clients are refused",
    Mode.WITHDRAWN: "the address is withdrawn",
}
_KEPT = "kept in service: too few real servers are usable"


def desired_server(service: VirtualService, decided: ServerDecision) -> DesiredServer:
    """Return its desired state in the kernel."""
    reading = decided.evaluation.reading
    limit = None if reading is None else reading.max_connections
    if decided.weight:
        return DesiredServer(decided.weight, upper_threshold=limit)
    state, evaluation = decided.state, decided.evaluation
    if state is ServerState.DISABLED:
        return DesiredServer(0, False, 0.0)
    if state in (ServerState.DRAINING, ServerState.DRAINED):
        if evaluation.health is Health.DOWN and removed_on_down(service):
            return DesiredServer(0, False, 0.0)
        if evaluation.order is not None and evaluation.order.hold:
            return DesiredServer(0, upper_threshold=limit)
        return DesiredServer(0, False, evaluation.cut_at)
    if state is ServerState.UNKNOWN or (state is ServerState.STANDBY and removed_on_down(service)):
        return DesiredServer(0, False)
    if state is ServerState.DOWN and removed_on_down(service):
        return DesiredServer(0, False, 0.0)
    return DesiredServer(0, upper_threshold=limit)


def memory_of(decided: ServerDecision, now: float) -> ServerMemory:
    """Return what the next decision needs to know."""
    evaluation, ramp, share = decided.evaluation, decided.ramp, decided.share
    before = evaluation.before
    warned = warns_anew(evaluation, now)
    return ServerMemory(
        decided.state,
        before.since_at if before.state == decided.state and before.since_at else now,
        decided.in_service,
        ramp.at,
        ramp.origin,
        share.average,
        0.0 if share.average is None else now,
        decided.weight,
        None if share.average is None else share.applied,
        0.0 if evaluation.order is None else evaluation.order.deadline,
        evaluation.cut_at,
        evaluation.warning if warned or not evaluation.warning else before.warning,
        now if warned else before.warned_at,
    )


def view_of(
    service: VirtualService, decided: ServerDecision, since_at: float, mode: Mode, now: float
) -> ServerView:
    """Return what the status shows."""
    evaluation, weight = decided.evaluation, decided.weight
    reason, weight_reason, left_s = evaluation.reason, "", None
    if decided.state is ServerState.STANDBY:
        reason = _MODE_REASONS[mode]
    elif weight and not decided.in_service and decided.state is not ServerState.QUIESCED:
        weight_reason = _KEPT
    elif decided.in_service and weight != evaluation.server.weight:
        weight_reason = _why_weight(service, decided)
    if decided.in_service and decided.progress < 1.0:
        left_s = (1.0 - decided.progress) * service.slow_start
    return ServerView(
        decided.state,
        evaluation.health,
        since_at,
        reason,
        weight,
        weight_reason,
        left_s,
        evaluation.order,
        evaluation.everywhere,
    )


def _why_weight(service: VirtualService, decided: ServerDecision) -> str:
    reasons = []
    if decided.progress < 1.0:
        reasons.append(f"slow start, {decided.progress:.0%} done")
    if decided.share.applied != 1.0:
        adaptive = service.adaptive
        by = "by its agent"
        if adaptive is not None and adaptive.response_time is not None:
            by = "by response time"
        elif decided.evaluation.reading is None:
            by = "while its agent is silent"
        reasons.append(f"{decided.share.applied:.0%} {by}")
    return ", ".join(reasons)
