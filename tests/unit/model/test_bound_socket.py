"""Which packets are for which socket."""

import pytest

from kernelbal.model.address import parse_address
from kernelbal.model.bound_socket import BoundSocket

V4, V6 = "10.0.0.80", "fd00::80"


@pytest.mark.parametrize(
    ("address", "only_ipv6", "takes4", "takes6"),
    [
        ("0.0.0.0", None, True, False),
        ("::", False, True, True),
        ("::", None, True, True),
        ("::", True, False, True),
        (V4, None, True, False),
        (V6, False, False, True),
        ("127.0.0.1", None, False, False),
    ],
)
def test_addresses(address: str, only_ipv6: bool | None, *, takes4: bool, takes6: bool) -> None:
    one = BoundSocket(6, parse_address(address), 80, only_ipv6)
    assert one.takes(6, parse_address(V4), 80) is takes4
    assert one.takes(6, parse_address(V6), 80) is takes6
    assert not one.takes(6, parse_address(V4), 81)
    assert not one.takes(17, parse_address(V4), 80)
