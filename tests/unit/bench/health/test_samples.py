"""Samples of health checks as lines."""

import pytest

from bench.health.samples import Contender, HealthSample, decode, encode
from kernelbal.lab.errors import GuestFailed

SAMPLES = [
    HealthSample(Contender.KEEPALIVED, 1000, 1, 20.0, 4000, 1.2),
    HealthSample(Contender.KERNELBAL, 5000, 2, 20.0, 20000, 2.0, 0.2, 0.01, 40.0, "1 of 2 targets are up"),
]


@pytest.mark.parametrize("sample", SAMPLES)
def test_a_sample_comes_back_as_it_was(sample: HealthSample) -> None:
    assert decode(encode(sample)) == sample


@pytest.mark.parametrize("line", ["", "panic", "[]", '["nobody", 1, 1, 1, 1, 1, null, null, 1, ""]'])
def test_anything_else_is_no_sample(line: str) -> None:
    with pytest.raises(GuestFailed, match="something else than samples"):
        decode(line)


def test_the_cost_of_a_thousand_checks() -> None:
    assert SAMPLES[0].cpu_s_per_1000 == pytest.approx(0.3)
    assert SAMPLES[0]._replace(checks=0).cpu_s_per_1000 == 0
