"""Slow start."""

import pytest

from kernelbal.health.decision import ServerMemory
from kernelbal.health.ramp import FULL, Ramp, furthest, next_ramp, next_step_s, ramped_weight
from kernelbal.model.overlay import ServerState

SLOW_S = 60.0
OUT = ServerMemory(ServerState.DOWN)


def test_weight_climbs_in_a_straight_line_from_1() -> None:
    assert [ramped_weight(100, step / 4, SLOW_S) for step in range(5)] == [1, 25, 50, 75, 100]


def test_a_small_weight_climbs_in_few_steps() -> None:
    weights = [ramped_weight(3, step / 60, SLOW_S) for step in range(61)]
    assert weights == [1] * 30 + [2] * 30 + [3]
    assert next_step_s(3, 0.0, SLOW_S) == 30.0


def test_weight_1_has_nowhere_to_climb() -> None:
    assert ramped_weight(1, 0.0, SLOW_S) == ramped_weight(1, 1.0, SLOW_S) == 1


@pytest.mark.parametrize("weight", [2, 3, 100, 65535])
@pytest.mark.parametrize("slow_start_s", [0.3, 1.0, 10.0, 3600.0])
def test_steps_are_a_second_or_longer(weight: int, slow_start_s: float) -> None:
    now, seen = 0.0, [ramped_weight(weight, 0.0, slow_start_s)]
    while now < slow_start_s:
        step_s = next_step_s(weight, now / slow_start_s, slow_start_s)
        assert step_s >= 1.0
        now += step_s
        seen.append(ramped_weight(weight, min(1.0, now / slow_start_s), slow_start_s))
    assert seen == sorted(seen)
    assert (seen[0], seen[-1]) == (1, weight)
    assert len(seen) <= 102


def test_who_comes_begins() -> None:
    assert next_ramp(OUT, in_service=True, now=5.0, slow_start_s=SLOW_S, skip=False) == Ramp(5.0)


def test_who_comes_at_the_start_has_its_full_weight() -> None:
    assert next_ramp(OUT, in_service=True, now=5.0, slow_start_s=SLOW_S, skip=True) == FULL


def test_it_ends() -> None:
    ramping = ServerMemory(ServerState.RAMPING, up=True, ramp_at=5.0)
    assert next_ramp(ramping, True, 64.9, SLOW_S, False) == Ramp(5.0)
    assert next_ramp(ramping, True, 65.0, SLOW_S, False) == FULL


def test_an_interrupted_one_goes_on_minus_the_time_away() -> None:
    ramping = ServerMemory(ServerState.RAMPING, up=True, ramp_at=5.0)
    away = next_ramp(ramping, False, 35.0, SLOW_S, False)
    assert away == Ramp(35.0, 0.5)
    gone = ServerMemory(ServerState.DOWN, ramp_at=away.at, ramp_from=away.origin)
    assert next_ramp(gone, False, 40.0, SLOW_S, False) == away
    back = next_ramp(gone, True, 41.0, SLOW_S, False)
    assert back.at == 41.0
    assert back.origin == pytest.approx(0.4)
    assert next_ramp(gone, True, 100.0, SLOW_S, False) == Ramp(100.0, 0.0)
    assert next_ramp(gone, False, 100.0, SLOW_S, False) == FULL, "nothing is left to go on from"


def test_flapping_cannot_keep_it_down_for_ever() -> None:
    """Five seconds up, one down: slow start takes longer, and ends."""
    memory, now, ended = OUT, 0.0, 0
    for _ in range(30):
        for up, seconds in ((True, 5.0), (False, 1.0)):
            ramp = next_ramp(memory, up, now, SLOW_S, False)
            now += seconds
            memory = ServerMemory("x", up=up, ramp_at=ramp.at, ramp_from=ramp.origin)
            ended += up and next_ramp(memory, True, now, SLOW_S, False) == FULL
    assert ended >= 1


def test_those_who_are_furthest_end_when_nobody_has_its_full_weight() -> None:
    assert furthest([0.2, 0.5, 0.5]) == 0.5
    assert furthest([0.0, 0.0]) == 0.0
    assert furthest([0.2, 1.0]) is None
    assert furthest([]) is None
