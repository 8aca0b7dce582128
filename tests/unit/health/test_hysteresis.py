"""How many results it takes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernelbal.health.checks.dialogue import GOOD, ProbeResult
from kernelbal.health.hysteresis import next_state, not_probed
from kernelbal.model.health import AgentReading, Health, ProbeState, Timing

TIMING = Timing(9.0, 4.0, rise=2, fall=3)
REFUSED = ProbeResult(False, "connection refused")


def after(results: str, state: ProbeState | None = None) -> ProbeState:
    """Return the state after results at 1 s, 2 s ...: `+` is good, `-` is a failure."""
    state = state or ProbeState()
    for number, sign in enumerate(results, 1):
        state = next_state(state, GOOD if sign == "+" else REFUSED, float(number), 0.25, TIMING)
    return state


@pytest.mark.parametrize(
    ("results", "health", "since_at", "streak"),
    [
        ("+", Health.UP, 1, 0),
        ("-", Health.DOWN, 1, 0),
        ("+-", Health.UP, 1, 1),
        ("+--", Health.UP, 1, 2),
        ("+---", Health.DOWN, 4, 0),
        ("+--+--", Health.UP, 1, 2),
        ("-+", Health.DOWN, 1, 1),
        ("-+-+", Health.DOWN, 1, 1),
        ("-++", Health.UP, 3, 0),
        ("-++---++", Health.UP, 8, 0),
    ],
)
def test_rise_and_fall(results: str, health: Health, since_at: float, streak: int) -> None:
    state = after(results)
    assert (state.health, state.since_at, state.streak) == (health, since_at, streak)
    assert state.last_at == len(results)


def test_the_reason_is_that_of_the_last_failure_and_goes_when_all_is_well() -> None:
    assert after("+-").reason == "connection refused"
    assert after("+-+").reason == ""
    assert after("-+").reason == "connection refused"
    assert after("-++").reason == ""


def test_the_response_time_is_that_of_the_last_good_probe() -> None:
    assert after("-").response_s is None
    assert after("+-").response_s == 0.25


def test_what_an_agent_said_and_warnings_are_those_of_the_last_probe() -> None:
    said = ProbeResult(True, "", "certificate expires in 3 days", AgentReading(weight=0.5))
    state = next_state(after("+"), said, 9.0, 0.1, TIMING)
    assert (state.warning, state.reading) == (said.warning, said.reading)
    assert next_state(state, GOOD, 10.0, 0.1, TIMING).warning == ""


@given(st.text("+-", max_size=40))
def test_a_change_takes_rise_or_fall_results(results: str) -> None:
    state = ProbeState()
    for number, sign in enumerate(results, 1):
        before, state = state, after(sign, state)
        if before.health not in (Health.UNKNOWN, state.health):
            expected = TIMING.rise if state.health is Health.UP else TIMING.fall
            assert results[:number].endswith(sign * expected)
        assert state.streak < max(TIMING.rise, TIMING.fall)


def test_a_probe_that_cannot_run_keeps_its_state_and_an_unknown_one_gets_a_reason() -> None:
    up = after("+")
    assert not_probed(up, "no permission") is up
    assert not_probed(ProbeState(), "no permission") == ProbeState(reason="no permission")
