"""What is known of probes at the start and after a reload, so that nothing flaps."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from kernelbal.health.schedule import spread_s
from kernelbal.model.health import Health, Probe, ProbePlan, ProbeState, ProbeStates
from kernelbal.model.site.services import ServerKey

PATIENCE_S = 1.0
"""How much longer than any probe may take the first round waits for results, in seconds."""


def unanswered(probes: Iterable[str], states: ProbeStates) -> int:
    """Return how many probes that can be run have no result yet, not even one from before a restart."""
    return sum(1 for key in probes if _awaited(states.get(key)))


def _awaited(state: ProbeState | None) -> bool:
    return state is None or (state.health is Health.UNKNOWN and not state.unable)


def longest_wait_s(probes: Collection[Probe]) -> float:
    """Return how long first results may take once the checker runs: each probe has its turn and its time.

    Many probes do not begin at once; one that has not had its turn says nothing of its real server.
    """
    count = len(probes)
    needed = (spread_s(each.timing, count) + each.timing.timeout_s for each in probes)
    return max(needed, default=-PATIENCE_S) + PATIENCE_S


def inherit(
    old: ProbePlan, new: ProbePlan, states: ProbeStates, known: Collection[ServerKey], now: float
) -> dict[str, ProbeState]:
    """Return the states for a new plan.

    A probe that is the same keeps its state. One that replaces others, such as after a change of the
    interval, starts where its real server stands, and has to prove the contrary; otherwise every change of a
    check would take all its real servers out of service until their first result.

    Args:
        old: the plan before.
        new: the plan from now on.
        states: by probe of the old plan.
        known: real servers that were in the site before.
        now: seconds on the boot clock.
    """
    kept = {key: states[key] for key in new.probes if key in states}
    for server, checks in new.checks.items():
        if server not in known:
            continue
        stood = combined(old.checks.get(server, ()), states)
        if stood.health is Health.UNKNOWN:
            continue
        for key in checks:
            if key not in kept or kept[key].health is Health.UNKNOWN:
                kept[key] = ProbeState(stood.health, now, stood.reason)
    return kept


def combined(checks: Iterable[str], states: ProbeStates) -> ProbeState:
    """Return the worst state of checks; up when there are none."""
    found = [states.get(key, ProbeState()) for key in checks]
    for health in (Health.DOWN, Health.UNKNOWN):
        for state in found:
            if state.health is health:
                return state
    return ProbeState(Health.UP)
