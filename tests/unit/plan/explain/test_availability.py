import pytest

from kernelbal.plan.explain.availability import availability
from kernelbal.plan.explain.result import Availability
from tests.unit.plan.explain.scene import attributes, counters


def test_without_thresholds_any_load_will_do() -> None:
    assert availability(attributes(1), counters(10_000)) == (Availability.AVAILABLE, "")


def test_weight_0_is_quiesced() -> None:
    state, why = availability(attributes(0, upper=5), counters())
    assert state is Availability.QUIESCED
    assert "weight 0" in why


@pytest.mark.parametrize(
    ("active", "inactive", "lower", "expected"),
    [
        (0, 0, 0, Availability.AVAILABLE),
        (74, 0, 0, Availability.AVAILABLE),
        (75, 0, 0, Availability.PERHAPS),
        (40, 35, 0, Availability.PERHAPS),
        (99, 0, 0, Availability.PERHAPS),
        (100, 0, 0, Availability.OVERLOADED),
        (1, 99, 0, Availability.OVERLOADED),
        (49, 0, 50, Availability.AVAILABLE),
        (50, 0, 50, Availability.PERHAPS),
    ],
)
def test_thresholds_count_active_and_inactive_connections(
    active: int, inactive: int, lower: int, expected: Availability
) -> None:
    state, why = availability(attributes(1, upper=100, lower=lower), counters(active, inactive))
    assert state is expected
    assert bool(why) is (expected is not Availability.AVAILABLE)
