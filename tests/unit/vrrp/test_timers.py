"""Times of VRRP: figures of the RFCs."""

import pytest

from kernelbal.vrrp.timers import down_ns, skew_ns


@pytest.mark.parametrize(
    ("version", "priority", "interval_cs", "expected_s"),
    [
        (2, 100, 100, 3.609375),
        (2, 200, 100, 3.21875),
        (2, 254, 100, 3.0078125),
        (2, 100, 300, 9.609375),
        (3, 100, 10, 0.3609375),
        (3, 255, 100, 3.00390625),
        (3, 254, 1, 0.030078125),
    ],
)
def test_down_interval(version: int, priority: int, interval_cs: int, expected_s: float) -> None:
    assert down_ns(version, priority, interval_cs) == expected_s * 1e9


def test_skew_of_short_intervals_is_not_lost() -> None:
    assert skew_ns(3, 254, 1) == 78_125
