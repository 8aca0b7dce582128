"""What follows from the state of a real server: for the kernel, for the status, for the next decision."""

from __future__ import annotations

from kernelbal.health.decision import ServerMemory, ServerView
from kernelbal.health.pool import Stand
from kernelbal.health.quorum import removed_on_down
from kernelbal.model.health import Health
from kernelbal.model.site.services import VirtualService
from kernelbal.model.standing import Mode, ServerState, Standing

_MODE_REASONS = {
    Mode.SORRY: "the sorry server is in use",
    Mode.REFUSING: "clients are refused",
    Mode.WITHDRAWN: "the address is withdrawn",
}
_KEPT = "kept in service: too few real servers are usable"


def standing_of(service: VirtualService, stand: Stand) -> Standing:
    """Return its desired state in the kernel."""
    reading = stand.judged.reading
    limit = None if reading is None else reading.max_connections
    if stand.weight:
        return Standing(stand.weight, upper_threshold=limit)
    state, judged = stand.state, stand.judged
    if state is ServerState.DISABLED:
        return Standing(0, False, 0.0)
    if state in (ServerState.DRAINING, ServerState.DRAINED):
        if judged.health is Health.DOWN and removed_on_down(service):
            return Standing(0, False, 0.0)
        if judged.order is not None and judged.order.hold:
            return Standing(0, upper_threshold=limit)
        return Standing(0, False, judged.cut_at)
    if state is ServerState.UNKNOWN or (state is ServerState.STANDBY and removed_on_down(service)):
        return Standing(0, False)
    if state is ServerState.DOWN and removed_on_down(service):
        return Standing(0, False, 0.0)
    return Standing(0, upper_threshold=limit)


def memory_of(stand: Stand, now: float) -> ServerMemory:
    """Return what the next decision needs to know."""
    judged, ramp, share = stand.judged, stand.ramp, stand.share
    before = judged.before
    return ServerMemory(
        stand.state,
        before.since_at if before.state == stand.state and before.since_at else now,
        stand.in_service,
        ramp.at,
        ramp.origin,
        share.average,
        0.0 if share.average is None else now,
        stand.weight,
        None if share.average is None else share.applied,
        0.0 if judged.order is None else judged.order.deadline,
        judged.cut_at,
        judged.warning,
    )


def view_of(service: VirtualService, stand: Stand, since_at: float, mode: Mode, now: float) -> ServerView:
    """Return what the status shows."""
    judged, weight = stand.judged, stand.weight
    reason, weight_reason, left_s = judged.reason, "", None
    if stand.state is ServerState.STANDBY:
        reason = _MODE_REASONS[mode]
    elif weight and not stand.in_service and stand.state is not ServerState.QUIESCED:
        weight_reason = _KEPT
    elif stand.in_service and weight != judged.server.weight:
        weight_reason = _why_weight(service, stand)
    if stand.in_service and stand.progress < 1.0:
        left_s = (1.0 - stand.progress) * service.slow_start
    return ServerView(
        stand.state,
        judged.health,
        since_at,
        reason,
        weight,
        weight_reason,
        left_s,
        judged.order,
        judged.everywhere,
    )


def _why_weight(service: VirtualService, stand: Stand) -> str:
    reasons = []
    if stand.progress < 1.0:
        reasons.append(f"slow start, {stand.progress:.0%} done")
    if stand.share.applied != 1.0:
        adaptive = service.adaptive
        by = "by its agent"
        if adaptive is not None and adaptive.response_time is not None:
            by = "by response time"
        elif stand.judged.reading is None:
            by = "while its agent is silent"
        reasons.append(f"{stand.share.applied:.0%} {by}")
    return ", ".join(reasons)
