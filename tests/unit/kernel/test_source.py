"""Which of its addresses a machine uses, asked of the loopback device and of made-up ones."""

import pytest

from kernelbal.kernel.source import first_usable, source_towards
from kernelbal.model.address import parse_address
from kernelbal.model.network import ObservedAddress
from tests.support.builders import held, place

V4, V6 = parse_address("192.0.2.80"), parse_address("2001:db8::80")
LOOPBACK = parse_address("127.0.0.1")


@pytest.mark.parametrize("address", ["127.0.0.1", "127.0.0.9"])
def test_the_kernels_choice_towards_the_real_server_counts(address: str) -> None:
    assert source_towards(parse_address(address), V4) == LOOPBACK


def test_an_address_that_the_kernel_cannot_reach_has_no_source() -> None:
    assert source_towards(parse_address("255.255.255.255"), V4) is None


def on(device: str, address: str, *, ours: bool = False, deprecated: bool = False) -> ObservedAddress:
    return held(place(device, address), ours=ours, deprecated=deprecated)


def test_the_first_own_address_of_the_device_and_family_is_used() -> None:
    held_addresses = [
        on("lo", "127.0.0.1"),
        on("eth0", "198.51.100.1"),
        on("eth1", "192.0.2.80"),
        on("eth1", "192.0.2.10", ours=True),
        on("eth1", "192.0.2.1"),
        on("eth1", "192.0.2.2"),
        on("eth1", "fe80::1"),
        on("eth1", "2001:db8::10", deprecated=True),
        on("eth1", "2001:db8::1"),
    ]
    assert first_usable(held_addresses, "eth1", V4) == parse_address("192.0.2.1")
    assert first_usable(held_addresses, "eth1", V6) == parse_address("2001:db8::1")
    assert first_usable(held_addresses, "eth2", V4) is None
