"""What tunnels take; `tests/lab/test_rs_verify.py` compares it with what the kernel takes."""

import pytest

from kernelbal.health.encapsulation import overhead_bytes, packet_bytes, segment_bytes
from kernelbal.model.address import parse_address
from tests.unit.health.scene import site_of

V4, V6 = parse_address("10.0.0.11"), parse_address("fd00::11")


@pytest.mark.parametrize(
    ("forwarding", "tunnel", "four", "six"),
    [
        ("nat", "", 0, 0),
        ("dsr", "", 0, 0),
        ("tunnel", "", 20, 40),
        ("tunnel", "tunnel: {type: ipip}", 20, 40),
        ("tunnel", "tunnel: {type: gre}", 24, 44),
        ("tunnel", "tunnel: {type: gre, checksum: full}", 28, 48),
        ("tunnel", "tunnel: {type: gue, port: 5555}", 32, 52),
        ("tunnel", "tunnel: {type: gue, port: 5555, checksum: remote}", 40, 60),
    ],
)
def test_overhead(forwarding: str, tunnel: str, four: int, six: int) -> None:
    (service,) = site_of(tunnel, forwarding=forwarding).virtual_services
    assert (overhead_bytes(service, V4), overhead_bytes(service, V6)) == (four, six)


@pytest.mark.parametrize(("virtual", "mss"), [(V4, 1460), (V6, 1440)])
def test_full_segments_fill_a_packet(virtual: bytes, mss: int) -> None:
    address = parse_address("10.0.0.11") if virtual == V4 else parse_address("fd00::11")
    assert packet_bytes(address, mss) == 1500
    assert segment_bytes(address, 1500) == mss
