"""Addresses as `ip address` names them."""

import pytest

from kernelbal.model.network import AddressAttributes, AddressKey, GueListener, Sysctl
from tests.unit.plan.samples import place


@pytest.mark.parametrize(
    ("key", "text"),
    [
        (place("eth0", "192.0.2.10", 24), "192.0.2.10/24 dev eth0"),
        (place("vlan.7", "2001:DB8:0::10"), "2001:db8::10/128 dev vlan.7"),
    ],
)
def test_address_is_named_with_prefix_and_device(key: AddressKey, text: str) -> None:
    assert str(key) == text


def test_same_address_on_two_devices_is_two_objects() -> None:
    assert place("eth0", "192.0.2.10") != place("eth1", "192.0.2.10")


def test_defaults_ask_for_nothing_special() -> None:
    assert not any(AddressAttributes())
    assert not Sysctl("net/a", "1", "Why.").optional


def test_further_values_that_do() -> None:
    ignore = Sysctl("net/ipv4/conf/all/arp_ignore", "1", "why", also=("2",))
    assert [value for value in "01238" if ignore.holds({ignore.path: value})] == ["1", "2"]


def test_listener_in_words() -> None:
    assert str(GueListener(5555, 2)) == "gue 5555/udp ipv4"
    assert str(GueListener(5555, 10)) == "gue 5555/udp ipv6"
