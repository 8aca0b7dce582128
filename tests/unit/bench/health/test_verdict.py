"""Ratios between contenders, and targets."""

import pytest

from bench.health.samples import Contender, HealthSample
from bench.health.verdict import HealthVerdict, judge, missed, rows_of


def samples(ours: float = 0.1, theirs: float = 0.4, fault: str = "") -> list[HealthSample]:
    """Three repeats of both contenders; the middle one is the median."""
    return [
        HealthSample(contender, targets, repeat, 20.0, 1000, cost * factor, director, late, 30.0, fault)
        for targets in (5000, 1000)
        for repeat, factor in enumerate((1.0, 0.5, 9.0), 1)
        for contender, cost, director, late in (
            (Contender.KERNELBAL, ours, 0.01, 0.001 * repeat),
            (Contender.KEEPALIVED, theirs, None, None),
        )
    ]


def test_rows_are_in_order_with_their_medians() -> None:
    rows = rows_of(samples())
    assert [(row.targets, row.contender.value) for row in rows] == [
        (1000, "keepalived"),
        (1000, "kernelbal"),
        (5000, "keepalived"),
        (5000, "kernelbal"),
    ]
    ours = rows[1]
    assert ours.cpu_s_per_1000 == pytest.approx(0.1)
    assert ours.spread_s == pytest.approx((0.05, 0.9))
    assert ours.director_s_per_1000 == pytest.approx(0.01)
    assert ours.late_p99_ms == pytest.approx(3)
    assert ours.checks == 3000
    assert (rows[0].director_s_per_1000, rows[0].late_p99_ms) == (None, None)


def test_the_verdict() -> None:
    assert judge(rows_of(samples())) == pytest.approx(HealthVerdict(0.25, 0.25, 3))
    assert missed(judge(rows_of(samples()))) == ()


def test_a_target_that_is_missed() -> None:
    lines = missed(judge(rows_of(samples(ours=0.36))))
    assert lines == (
        "cpu_vs_keepalived_1000: 0.9, at most 0.8 wanted",
        "cpu_vs_keepalived_5000: 0.9, at most 0.8 wanted",
    )


def test_a_contender_that_failed_gives_no_figure() -> None:
    verdict = judge(rows_of(samples(fault="too few checks")))
    assert verdict == HealthVerdict(None, None, None)
    assert len(missed(verdict)) == 2
