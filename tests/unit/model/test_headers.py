"""Sizes of headers; `tests/lab/test_rs_verify.py` compares them with what the kernel takes."""

import pytest

from kernelbal.model.address import AF_INET, AF_INET6, parse_address
from kernelbal.model.headers import (
    encapsulation_bytes,
    internet_checksum,
    most_encapsulation_bytes,
    packet_bytes,
    segment_bytes,
    transport_checksum,
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


def test_the_checksum_of_rfc_1071() -> None:
    assert internet_checksum(bytes.fromhex("0001f203f4f5f6f7")) == 0x220D
    assert internet_checksum(b"\xff") == 0x00FF


def test_checksum_of_an_echo_request() -> None:
    """RFC 4443 echo request `80 00 .. 00 01 00 01` from fe80::1 to fe80::2, summed by hand."""
    echo = bytes.fromhex("8000000000010001")
    total = 2 * 0xFE80 + 1 + 2 + len(echo) + 58 + 0x8000 + 1 + 1
    expected = 0xFFFF - (total % 0xFFFF)
    assert transport_checksum(parse_address("fe80::1"), parse_address("fe80::2"), 58, echo) == expected
