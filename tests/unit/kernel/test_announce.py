"""Telling neighbours who holds an address."""

import pytest

from kernelbal.kernel.announce import announce, frames
from kernelbal.kernel.links import IFF_LOOPBACK, IFF_NOARP, IFF_UP, LinkDetail
from kernelbal.model.address import parse_address
from kernelbal.model.network import AddressKey, Link

VIRTUAL_MAC = bytes.fromhex("00005e000133")
V4, V6 = parse_address("192.0.2.100"), parse_address("2001:db8::100")


def test_ipv4_is_announced_in_both_forms_and_ipv6_once() -> None:
    assert [frame[20:22] for frame in frames(VIRTUAL_MAC, V4, router=False)] == [b"\0\1", b"\0\2"]
    assert len(list(frames(VIRTUAL_MAC, V6, router=False))) == 1


@pytest.mark.parametrize(
    ("flags", "hardware_type", "announces"),
    [
        (IFF_UP, 1, True),
        (0, 1, False),
        (IFF_UP | IFF_NOARP, 1, False),
        (IFF_UP | IFF_LOOPBACK, 772, False),
        (IFF_UP, 768, False),
    ],
)
def test_only_ethernet_that_is_up_and_resolves_has_neighbours(
    flags: int, hardware_type: int, announces: bool
) -> None:
    detail = LinkDetail(
        Link("x0", 9, bool(flags & IFF_UP), "", 1500, "00:00:5e:00:01:33"), flags, hardware_type
    )
    assert detail.announces is announces
    if not announces:
        assert announce([AddressKey("x0", V4, 32)], {"x0": detail}) == {}
