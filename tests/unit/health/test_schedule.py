"""When probes run, in virtual time."""

import math
from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernelbal.health.schedule import (
    MAX_TICK_S,
    MIN_TICK_S,
    PAUSE_S,
    Schedule,
    ScheduleEntry,
    TimingWheel,
    phase_of,
    tick_length,
)
from kernelbal.model.health import Timing

EVERY_5_S = Timing(5.0, 4.0)


def entries(count: int, timing: Timing = EVERY_5_S) -> list[ScheduleEntry]:
    return [ScheduleEntry(f"probe {number}", timing) for number in range(count)]


def planned(probes: list[ScheduleEntry], now: float) -> Schedule[ScheduleEntry]:
    schedule: Schedule[ScheduleEntry] = Schedule(tick_length(probe.timing for probe in probes))
    for probe in probes:
        probe.begin(now, len(probes))
        schedule.plan(probe)
    return schedule


def play(
    schedule: Schedule[ScheduleEntry], now: float, until: float, chance: float = 0.0
) -> list[tuple[float, str]]:
    """Run every probe that is due, each in no time, and return when which one ran."""
    ran = []
    while (at := schedule.next_at()) is not None and at <= until:
        now = max(now, at)
        for entry in schedule.due(now).entries:
            ran.append((now, entry.key))
            entry.advance(now, chance)
            schedule.plan(entry)
    return ran


def test_new_probes_run_at_once_but_not_all_in_the_same_instant() -> None:
    ran = play(planned(entries(1000), 100.0), 100.0, 101.1)
    assert len({key for _, key in ran}) == len(ran) == 1000
    assert max(Counter(at for at, _ in ran).values()) < 100


def test_many_new_probes_are_spread_over_their_interval_at_most() -> None:
    ran = play(planned(entries(20_000), 0.0), 0.0, 5.0 + MAX_TICK_S)
    assert len({key for _, key in ran}) == 20_000


def test_a_single_new_probe_runs_within_a_tick() -> None:
    assert play(planned(entries(1), 50.0), 50.0, 50.0 + 2 * MAX_TICK_S)


def test_the_load_is_even() -> None:
    ran = play(planned(entries(5000), 0.0), 0.0, 60.0)
    per_second = Counter(int(at) for at, _ in ran if at > 10)
    assert all(850 < count < 1150 for second, count in per_second.items() if second < 60)


def test_slots_do_not_drift_and_are_the_same_for_a_checker_that_starts_later() -> None:
    probes = entries(50)
    early = play(planned(probes, 0.0), 0.0, 3600.0)
    late = play(planned(entries(50), 3000.2), 3000.2, 3600.0)
    assert {ran for ran in late if ran[0] > 3010} == {ran for ran in early if ran[0] > 3010}
    last = {key: at for at, key in early}
    tick_s = tick_length([EVERY_5_S] * 50)
    for key, at in last.items():
        assert 0 <= (at - phase_of(key) * 5.0) % 5.0 < tick_s


def test_between_two_starts_is_an_interval_and_after_the_first_at_least_half_of_one() -> None:
    for probe in entries(100):
        starts = [at for at, _ in play(planned([probe], 7.7), 7.7, 40.0)]
        gaps = [b - a for a, b in pairwise(starts)]
        assert 2.4 <= gaps[0] <= 7.6
        assert all(math.isclose(gap, 5.0, abs_tol=MAX_TICK_S) for gap in gaps[1:])


@given(st.floats(0, 0.999), st.floats(0, 1e7))
def test_jitter_only_delays_and_does_not_add_up(chance: float, now: float) -> None:
    probe = ScheduleEntry("probe", Timing(9.0, 4.0, jitter_s=0.45))
    probe.begin(now, 1)
    for _ in range(20):
        probe.advance(probe.start_at, chance)
    in_slot = (probe.start_at - phase_of("probe") * 9.0 + 1e-6) % 9.0
    assert in_slot - 2e-6 <= 0.45


@given(st.floats(0.1, 1e4), st.floats(0, 1e8), st.floats(0, 100))
def test_the_next_slot_always_lies_ahead(interval_s: float, now: float, took_s: float) -> None:
    probe = ScheduleEntry("probe", Timing(interval_s, 4.0))
    probe.begin(now, 1)
    ended_at = probe.start_at + took_s
    probe.advance(ended_at, 0.0)
    assert ended_at - 1e-6 <= probe.start_at <= ended_at + 1.5 * interval_s + 1e-6


def test_a_probe_that_outlasts_its_interval_skips_slots_and_never_runs_twice_at_a_time() -> None:
    (probe,) = entries(1)
    schedule = planned([probe], 0.0)
    assert schedule.due(1.0).entries == [probe]
    assert schedule.next_at() is None
    probe.advance(23.0, 0.0)
    schedule.plan(probe)
    assert 23.0 <= (schedule.next_at() or 0) <= 28.0 + MAX_TICK_S


@pytest.mark.parametrize("pause_s", [PAUSE_S + 6, 600.0, 86_400.0])
def test_after_a_pause_nothing_bursts_and_everything_runs_soon(pause_s: float) -> None:
    probes = entries(5000)
    schedule = planned(probes, 0.0)
    play(schedule, 0.0, 20.0)
    resumed_at = 20.0 + pause_s
    ran = play(schedule, resumed_at, resumed_at + 5.5)
    assert {key for _, key in ran} == {probe.key for probe in probes}
    most = Counter(round(at / 0.1) for at, _ in ran if at > resumed_at + 0.1).most_common(1)[0][1]
    assert most < 300, "not much more than twice the usual load"
    at_once = sum(at <= resumed_at + 0.01 for at, _ in ran)
    assert at_once <= PAUSE_S * 1000 * 1.25


def test_what_is_a_little_late_runs_and_reports_how_late() -> None:
    (probe,) = entries(1)
    schedule = planned([probe], 10.0)
    at = schedule.next_at()
    assert at is not None
    due = schedule.due(at + 0.3)
    assert due.entries == [probe]
    assert due.late_s == pytest.approx(0.3)


def test_what_is_gone_is_not_due() -> None:
    probes = entries(2)
    schedule = planned(probes, 0.0)
    probes[0].gone = True
    assert schedule.due(0.5).entries == [probes[1]]


@pytest.mark.parametrize(
    ("timings", "tick_s"),
    [
        ([], MAX_TICK_S),
        ([EVERY_5_S], MAX_TICK_S),
        ([EVERY_5_S] * 1000, 0.0485),
        ([EVERY_5_S] * 5000, 0.029),
        ([EVERY_5_S] * 100_000, MIN_TICK_S),
        ([EVERY_5_S, Timing(0.3, 0.2)], 0.02),
        ([Timing(5.0, 0.01)], MIN_TICK_S),
    ],
)
def test_ticks_are_short_enough_for_the_hastiest_and_long_enough_to_share(
    timings: list[Timing], tick_s: float
) -> None:
    assert tick_length(timings) == pytest.approx(tick_s)


@given(st.lists(st.integers(-5, 20)), st.integers(-5, 20))
def test_a_wheel_gives_everything_back_in_order(ticks: list[int], until: int) -> None:
    wheel: TimingWheel[int] = TimingWheel()
    for number, tick in enumerate(ticks):
        wheel.add(tick, number)
    found = []
    while slot := wheel.pop(until):
        found += [(slot[0], number) for number in slot[1]]
    assert found == sorted((tick, number) for number, tick in enumerate(ticks) if tick <= until)
    left = [tick for tick in ticks if tick > until]
    assert wheel.next_tick() == (min(left) if left else None)
