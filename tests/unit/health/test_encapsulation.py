"""What tunnels take; `tests/lab/test_rs_verify.py` compares it with what the kernel takes."""

import pytest

from kernelbal.health.encapsulation import overhead_bytes
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
