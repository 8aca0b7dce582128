"""Hello messages of HSRP."""

import pytest

from kernelbal.model.address import parse_address
from kernelbal.vrrp.hsrp import Hello, parse_hello

V1 = bytes.fromhex("0000100a1e6e0100") + b"cisco\0\0\0" + parse_address("192.0.2.1")
V2 = (
    bytes.fromhex("012802000604012c") + bytes(6) + bytes.fromhex("00000064" "00000bb8" "00002710")
    + parse_address("192.0.2.2") + bytes(12)
)  # fmt: skip


def test_both_versions() -> None:
    assert parse_hello(V1) == Hello(1, 1, 110, 10_000, parse_address("192.0.2.1"))
    assert parse_hello(V2 + b"more") == Hello(2, 300, 100, 3000, parse_address("192.0.2.2"))
    v6 = V2[:5] + b"\6" + V2[6:-16] + parse_address("fe80::1")
    assert parse_hello(v6) == Hello(2, 300, 100, 3000, parse_address("fe80::1"))


@pytest.mark.parametrize(
    "payload",
    [b"", V1[:19], V1[:1] + b"\1" + V1[2:], V2[:41], V2[:3] + b"\1" + V2[4:], V2[:5] + b"\5" + V2[6:]],
)
def test_anything_else(payload: bytes) -> None:
    assert parse_hello(payload) is None
