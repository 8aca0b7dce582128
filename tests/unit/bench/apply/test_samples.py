"""Samples survive the way out of the guest."""

import pytest

from bench.apply.samples import Measure, Sample, decode, encode
from kernelbal.lab.errors import GuestFailed


@pytest.mark.parametrize(
    "sample",
    [
        Sample(Measure.APPLY, 1000, 2, 1.25, 1.0, 52.5),
        Sample(Measure.KEEPALIVED_START, 10, 1, 0.5, None, None, "exit status 1: no \u201cfile\u201d\nend"),
    ],
)
def test_round_trip(sample: Sample) -> None:
    line = encode(sample)
    assert line.count("\n") == 1
    assert decode(line) == sample


@pytest.mark.parametrize(
    "line", ["", "Traceback (most recent call last):", "[]", '["apply", 1, 1, "x", 1, 1, ""]']
)
def test_what_is_no_sample_is_quoted(line: str) -> None:
    with pytest.raises(GuestFailed) as caught:
        decode(line)
    assert repr(line) in caught.value.message
