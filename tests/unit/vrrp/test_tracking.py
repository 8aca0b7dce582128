"""Weights, faults, and how long something has to be down."""

import pytest

from kernelbal.vrrp.machine import NEVER
from kernelbal.vrrp.tracking import Standing, Track, Tracked, report, settle, standing_of

UP, DOWN = Tracked(True), Tracked(False)


@pytest.mark.parametrize(
    ("weight", "tracked", "expected"),
    [
        (30, UP, Standing(130)),
        (30, DOWN, Standing(100)),
        (30, Tracked(), Standing(130)),
        (-30, UP, Standing(100)),
        (-30, DOWN, Standing(70)),
        (-30, Tracked(), Standing(100)),
        (0, UP, Standing(100)),
        (0, DOWN, Standing(100, ("link",))),
        (0, Tracked(), Standing(100)),
        (-253, DOWN, Standing(1)),
        (253, UP, Standing(254)),
    ],
)
def test_weights_are_those_of_keepalived(weight: int, tracked: Tracked, expected: Standing) -> None:
    assert standing_of(100, [(Track("link", weight), tracked)]) == expected


def test_weights_add_up_before_the_bounds() -> None:
    both = [(Track("a", 200), UP), (Track("b", -200), DOWN)]
    assert standing_of(100, both) == Standing(100)


def test_owner_has_faults_and_no_weights() -> None:
    assert standing_of(255, [(Track("a", -30), DOWN), (Track("b"), DOWN)]) == Standing(255, ("b",))


def test_first_report_counts_at_once() -> None:
    slow = Track("a", 0, 1000, 1000)
    assert report(slow, Tracked(), False, 5) == DOWN
    assert report(slow, Tracked(), True, 5) == UP


def test_change_counts_when_it_has_lasted() -> None:
    track = Track("a", 0, rise_ns=30, fall_ns=10)
    falling = report(track, UP, False, 100)
    assert falling == Tracked(True, 110)
    assert report(track, falling, False, 105) == falling
    assert report(track, falling, True, 109) == UP
    assert settle(falling, 109) == falling
    assert settle(falling, 110) == report(track, falling, False, 111) == DOWN
    assert report(track, DOWN, True, 200) == Tracked(False, 230)
    assert report(Track("a"), UP, False, 7) == DOWN
    assert settle(UP, NEVER - 1) == UP
