"""From results to states: how many probes in a row it takes until a real server is up or down."""

from __future__ import annotations

from typing import Final

from kernelbal.health.checks.dialogue import Verdict
from kernelbal.model.health import Health, ProbeState, Timing

_NEW = ProbeState()
_HEALTH: Final = {True: Health.UP, False: Health.DOWN}


def judged(
    state: ProbeState, verdict: Verdict, now: float, took_s: float | None, timing: Timing
) -> ProbeState:
    """Return the state after one more result.

    The first result decides alone; after it `timing.rise` good ones in a row make up of down, `timing.fall`
    failures in a row down of up. The reason of a failure that does not decide yet is kept as well.

    Args:
        state: before it.
        verdict: the result.
        now: when the probe ended, in seconds on the boot clock.
        took_s: how long it took; None where that says nothing of the real server.
        timing: how many results decide.
    """
    result = _HEALTH[verdict.good]
    response_s = took_s if verdict.good and took_s is not None else state.response_s
    if result is state.health:
        # Made by position, as this happens after nearly every probe.
        reason, since_at = verdict.reason, state.since_at
        return ProbeState(result, since_at, reason, now, response_s, 0, verdict.warning, verdict.reading)
    streak = state.streak + 1
    wanted = timing.rise if verdict.good else timing.fall
    if state.health is Health.UNKNOWN or streak >= wanted:
        return ProbeState(result, now, verdict.reason, now, response_s, 0, verdict.warning, verdict.reading)
    reason = state.reason if verdict.good else verdict.reason
    return ProbeState(
        state.health, state.since_at, reason, now, response_s, streak, verdict.warning, verdict.reading
    )


def stopped(state: ProbeState, reason: str) -> ProbeState:
    """Return the state of a probe that cannot be run: its health stays, and only an unknown one says why."""
    if state.health is not Health.UNKNOWN:
        return state
    return _NEW._replace(reason=reason)
