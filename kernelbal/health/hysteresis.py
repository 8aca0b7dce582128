"""From results to states: rise and fall."""

from __future__ import annotations

from typing import Final

from kernelbal.health.checks.dialogue import ProbeResult
from kernelbal.model.health import Health, ProbeState, Timing

_NEW = ProbeState()
_HEALTH: Final = {True: Health.UP, False: Health.DOWN}


def next_state(
    state: ProbeState, result: ProbeResult, now: float, took_s: float | None, timing: Timing
) -> ProbeState:
    """Return the state after one more result.

    The first result decides alone; after it `timing.rise` good ones in a row make up of down, `timing.fall`
    failures in a row down of up. The reason of a failure that does not decide yet is kept as well.

    Args:
        state: before it.
        result: the result.
        now: when the probe ended, in seconds on the boot clock.
        took_s: how long it took; None where that says nothing of the real server.
        timing: how many results decide.
    """
    health = _HEALTH[result.good]
    response_s = took_s if result.good and took_s is not None else state.response_s
    if health is state.health:
        # Made by position, as this happens after nearly every probe.
        reason, since_at = result.reason, state.since_at
        return ProbeState(health, since_at, reason, now, response_s, 0, result.warning, result.reading)
    streak = state.streak + 1
    needed = timing.rise if result.good else timing.fall
    if state.health is Health.UNKNOWN or streak >= needed:
        return ProbeState(health, now, result.reason, now, response_s, 0, result.warning, result.reading)
    reason = state.reason if result.good else result.reason
    return ProbeState(
        state.health, state.since_at, reason, now, response_s, streak, result.warning, result.reading
    )


def not_probed(state: ProbeState, reason: str) -> ProbeState:
    """Return the state of a probe that was skipped: only an unknown one changes, by its reason."""
    if state.health is not Health.UNKNOWN:
        return state
    return _NEW._replace(reason=reason)
