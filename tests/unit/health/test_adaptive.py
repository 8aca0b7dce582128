"""From readings of load to shares of a weight."""

import pytest

from kernelbal.health.adaptive import (
    NO_SHARE,
    WeightShare,
    is_fresh,
    next_share,
    reading_of,
    reevaluate_after_s,
    response_shares,
)
from kernelbal.health.decision import ServerMemory
from kernelbal.model.health import AgentReading, Health, ProbeState
from kernelbal.model.overlay import ServerState
from kernelbal.model.site.check import Adaptive

SETTINGS = Adaptive(interval=5.0, timeout=1.0, smoothing=10.0, step=5, minimum=10)
STARTED = ServerMemory(ServerState.SERVING, up=True, share=1.0, share_at=0.0, applied=1.0)


def test_the_first_reading_counts_at_once() -> None:
    assert next_share(ServerMemory(), 0.4, SETTINGS, 0.0) == WeightShare(0.4, 0.4)


def test_without_readings_there_is_no_share() -> None:
    assert next_share(ServerMemory(), None, SETTINGS, 0.0) == NO_SHARE


def test_after_its_time_constant_two_thirds_of_a_change_are_in_force() -> None:
    share = next_share(STARTED, 0.0 + 0.5, SETTINGS, 10.0)
    assert share.average == pytest.approx(0.5 + 0.5 / 2.71828, abs=1e-4)
    assert share.applied == share.average
    assert not share.settled


def test_no_time_no_change() -> None:
    assert next_share(STARTED, 0.5, SETTINGS, 0.0) == WeightShare(1.0, 1.0, False)


def test_a_step_that_does_not_matter_is_not_written() -> None:
    share = next_share(STARTED, 0.96, SETTINGS, 1000.0)
    assert share == WeightShare(0.96, 1.0)


def test_the_bounds_are_reached_exactly() -> None:
    near = ServerMemory(ServerState.SERVING, up=True, share=0.12, applied=0.12)
    assert next_share(near, 0.0, SETTINGS, 1000.0) == WeightShare(0.1, 0.1)
    assert next_share(STARTED, 9.0, SETTINGS, 1000.0) == WeightShare(2.56, 2.56)


def test_without_smoothing_each_reading_counts() -> None:
    quick = SETTINGS.model_copy(update={"smoothing": 0.0})
    assert next_share(STARTED, 0.5, quick, 0.1) == WeightShare(0.5, 0.5)
    assert reevaluate_after_s(quick) == 1.0


def test_the_median_keeps_its_weight() -> None:
    assert response_shares([0.01, 0.02, 0.04], 1.0) == [2.0, 1.0, 0.5]
    assert response_shares([0.01, 0.02, 0.04], 0.5) == pytest.approx([2**0.5, 1.0, 0.5**0.5])
    assert response_shares([0.02], 1.0) == [1.0]
    assert response_shares([None, 0.02], 1.0) == [None, 1.0]
    assert response_shares([None], 1.0) == [None]
    assert response_shares([], 1.0) == []


def test_a_response_without_duration_divides_nothing_by_zero() -> None:
    assert response_shares([0.0, 0.0], 4.0) == [1.0, 1.0]


def test_a_reading_counts_for_three_intervals() -> None:
    state = ProbeState(Health.UP, 0.0, "", 100.0, 0.1, reading=AgentReading(0.5))
    assert reading_of(state, SETTINGS, 116.0) == AgentReading(0.5)
    assert reading_of(state, SETTINGS, 116.1) is None
    assert reading_of(None, SETTINGS, 0.0) is None
    assert not is_fresh(state._replace(health=Health.DOWN), 5.0, 1.0, 100.0)
    assert not is_fresh(state._replace(last_at=None), 5.0, 1.0, 100.0)
