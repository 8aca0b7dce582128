"""Sizes of headers; `tests/lab/test_rs_verify.py` compares them with what the kernel takes."""

import pytest

from kernelbal.model.address import AF_INET, AF_INET6, parse_address
from kernelbal.model.headers import (
    encapsulation_bytes,
    most_encapsulation_bytes,
    packet_bytes,
    segment_bytes,
)
from kernelbal.model.ipvs import TunnelFlag, TunnelType


@pytest.mark.parametrize(
    ("kind", "flag", "four", "six"),
    [
        (TunnelType.IPIP, TunnelFlag.NOCSUM, 20, 40),
        (TunnelType.GRE, TunnelFlag.NOCSUM, 24, 44),
        (TunnelType.GRE, TunnelFlag.CSUM, 28, 48),
        (TunnelType.GUE, TunnelFlag.NOCSUM, 32, 52),
        (TunnelType.GUE, TunnelFlag.CSUM, 32, 52),
        (TunnelType.GUE, TunnelFlag.REMCSUM, 40, 60),
    ],
)
def test_encapsulation(kind: TunnelType, flag: TunnelFlag, four: int, six: int) -> None:
    assert encapsulation_bytes(AF_INET, kind, flag) == four
    assert encapsulation_bytes(AF_INET6, kind, flag) == six


@pytest.mark.parametrize(
    ("kind", "four", "six"), [(TunnelType.IPIP, 20, 40), (TunnelType.GRE, 28, 48), (TunnelType.GUE, 40, 60)]
)
def test_the_most_that_an_encapsulation_takes(kind: TunnelType, four: int, six: int) -> None:
    assert (most_encapsulation_bytes(AF_INET, kind), most_encapsulation_bytes(AF_INET6, kind)) == (four, six)


@pytest.mark.parametrize(("address", "mss"), [("10.0.0.11", 1460), ("fd00::11", 1440)])
def test_full_segments_fill_a_packet(address: str, mss: int) -> None:
    assert packet_bytes(parse_address(address), mss) == 1500
    assert segment_bytes(parse_address(address), 1500) == mss
