"""How often the kernel is read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernelbal.runtime.director.pace import ASKED_SHARE, GLANCE_SHARE, TABLE_SHARE, Look, Looks, Pace


def test_a_cheap_reading_comes_often_and_a_dear_one_rarely() -> None:
    pace = Pace(0.01, 0.25, 30.0)
    pace.spent(0.0005, 100.0)
    assert pace.next_at == 100.25
    dear = Pace(0.01, 0.25, 30.0)
    dear.spent(0.2, 100.0)
    assert dear.next_at == 120.0
    dear.spent(60.0, 120.0)
    dear.spent(60.0, 140.0)
    assert dear.next_at == 170.0


def test_one_reading_that_was_interrupted_makes_no_other_rarer() -> None:
    pace = Pace(0.005, 0.25, 5.0)
    for at, cost_s in ((10.0, 0.001), (10.25, 0.8), (10.5, 0.001)):
        pace.spent(cost_s, at)
        assert pace.next_at == at + 0.25


def test_a_site_that_grew_is_read_more_rarely_from_its_second_reading_on() -> None:
    pace = Pace(0.01, 0.25, 30.0)
    for at, cost_s in ((10.0, 0.001), (10.25, 0.1), (10.5, 0.1)):
        pace.spent(cost_s, at)
    assert pace.next_at == 20.5


@given(st.floats(0.0001, 0.3))
def test_watching_takes_at_most_two_hundredths_of_a_core(cost_s: float) -> None:
    looks, now, spent_s = Looks(), 0.0, 0.0
    for _ in range(200):
        now = max(now, looks.next_at())
        look = looks.due(now)
        assert look is not None
        cost = {Look.GLANCE: cost_s / 100, Look.TABLE: cost_s, Look.COUNTERS: 0.0}[look]
        spent_s += cost
        looks.spent(look, cost, now)
    assert spent_s <= (GLANCE_SHARE + TABLE_SHARE) * now + 2 * cost_s


def test_what_is_removed_by_hand_is_seen_within_half_a_second_of_cheap_readings() -> None:
    looks = Looks()
    for look in Look:
        looks.spent(look, 0.001, 10.0)
    assert looks.due(10.0) is None
    assert looks.next_at() == 10.25
    assert looks.due(10.25) is Look.GLANCE
    looks.spent(Look.GLANCE, 0.001, 10.25)
    assert looks.due(10.5) is Look.GLANCE


def test_counters_are_read_more_often_while_somebody_looks() -> None:
    looks = Looks()
    for look in (Look.GLANCE, Look.TABLE):
        looks.spent(look, 1e6, 0.0)
    looks.spent(Look.COUNTERS, 0.5, 0.0)
    alone = looks._paces[Look.COUNTERS].next_at
    assert alone == pytest.approx(50.0)
    looks.asked(1.0)
    assert looks._paces[Look.COUNTERS].next_at == pytest.approx(1.0 + 0.5 / ASKED_SHARE)


def test_after_a_round_nothing_is_read_at_once() -> None:
    looks = Looks()
    assert looks.due(5.0) is Look.GLANCE
    looks.settled(5.0)
    assert looks.due(5.0) is Look.COUNTERS


def test_a_round_that_read_everything_spares_the_next_reading() -> None:
    looks = Looks()
    looks.spent(Look.TABLE, 0.15, 0.0)
    looks.settled(9.0)
    assert looks._paces[Look.TABLE].next_at == pytest.approx(9.0 + 0.15 / TABLE_SHARE)
