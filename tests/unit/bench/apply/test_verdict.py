"""Medians, ratios within the run, and targets."""

import pytest

from bench.apply.samples import Measure, Sample
from bench.apply.verdict import TARGETS, Row, judge, missed, rows_of

WALL_S = {
    Measure.NETLINK_PROGRAM: 0.3,
    Measure.NETLINK_READ: 0.2,
    Measure.IPVSADM_RESTORE: 10.0,
    Measure.IPVSADM_SAVE: 1.0,
    Measure.KEEPALIVED_START: 3.0,
    Measure.APPLY: 4.0,
    Measure.APPLY_CHANGE_ONE: 2.0,
}


def samples(services: int, scale: float = 1.0, without: Measure | None = None) -> list[Sample]:
    return [
        Sample(measure, services, 1, wall_s * scale, wall_s, 300.0)
        for measure, wall_s in WALL_S.items()
        if measure is not without
    ]


def help_sample() -> Sample:
    return Sample(Measure.HELP, 0, 1, 0.12)


def timed(*wall_s: float) -> Row:
    return Row(Measure.APPLY, 10, tuple(Sample(Measure.APPLY, 10, n, t) for n, t in enumerate(wall_s, 1)))


def test_rows_are_grouped_in_the_order_of_the_table() -> None:
    rows = rows_of([*reversed(samples(10000)), *samples(1000), help_sample()])
    assert [row.services for row in rows] == [0] + [1000] * 7 + [10000] * 7
    assert [row.measure for row in rows[1:8]] == list(WALL_S)


def test_a_row_says_its_median_its_spread_and_whether_repeats_drift() -> None:
    row = timed(2.0, 9.0, 3.0, 1.0, 4.0)
    assert row.wall_s == 3.0
    assert row.spread_s == (1.0, 9.0)
    assert row.drift == 2.0
    assert timed(0.0, 1.0).drift is None


def test_one_failed_repeat_spoils_a_row() -> None:
    row = Row(Measure.APPLY, 10, (*timed(1.0).samples, Sample(Measure.APPLY, 10, 2, 1.0, fault="9 services")))
    assert row.fault == "9 services"


def test_peak_memory_is_the_largest_and_processor_time_the_median() -> None:
    row = Row(
        Measure.APPLY,
        10,
        tuple(Sample(Measure.APPLY, 10, n, 1.0, float(n), 100.0 * n) for n in (1, 2, 3)),
    )
    assert row.peak_rss_mib == 300.0
    assert row.cpu_s == 2.0


def test_the_verdict_is_about_the_largest_workload() -> None:
    verdict = judge(rows_of([*samples(1000, scale=7.0), *samples(10000), help_sample()]))
    assert verdict == pytest.approx((0.1, 0.03, 0.4, 0.2, 300.0, 120.0))
    assert missed(verdict) == ()


def test_a_contender_without_figures_misses_every_target_that_needs_it() -> None:
    rows = rows_of([*samples(10000, without=Measure.IPVSADM_RESTORE), help_sample()])
    assert [line.partition(":")[0] for line in missed(judge(rows))] == [
        "netlink_vs_ipvsadm",
        "apply_vs_ipvsadm",
        "change_one_vs_ipvsadm",
    ]


def test_a_failed_row_gives_no_figure() -> None:
    failed = Sample(Measure.KEEPALIVED_START, 10000, 2, 0.1, fault="services and real servers are (1, 1)")
    verdict = judge(rows_of([*samples(10000), failed, help_sample()]))
    assert verdict.netlink_vs_keepalived is None
    assert verdict.netlink_vs_ipvsadm is not None


@pytest.mark.parametrize("field", TARGETS._fields)
def test_each_target_can_be_missed(field: str) -> None:
    at_the_limit = TARGETS
    assert missed(at_the_limit) == ()
    above = at_the_limit._replace(**{field: getattr(TARGETS, field) * 1.01})
    assert [line.partition(":")[0] for line in missed(above)] == [field]
