"""A setup in the words of `ip`; the lab runs them all."""

import pytest

from kernelbal.model.network import AddressAttributes, GueListener, LinkState, Sysctl
from kernelbal.realserver.commands import (
    LinkCommands,
    address_command,
    kept_value,
    link_commands,
    listener_check,
    listener_command,
    sysctl_key,
)
from tests.support.builders import place
from tests.support.realserver_host import REAL6


def test_a_device_of_a_module_is_brought_up() -> None:
    assert link_commands(LinkState("tunl0", "ipip")) == LinkCommands("", "ip link set tunl0 up")


def test_a_device_of_our_own_is_made() -> None:
    made = link_commands(LinkState("kernelbal6", "ip6tnl", local=REAL6))
    assert made.create == "ip link add kernelbal6 type ip6tnl mode any local fd00::11"


@pytest.mark.parametrize(
    ("family", "adding", "checking"),
    [
        (2, "ip fou add port 5555 gue", "ip fou show | grep -qx 'port 5555 gue'"),
        (10, "ip -6 fou add port 5555 gue", "ip fou show | grep -qx 'port 5555 gue -6'"),
    ],
)
def test_a_port_is_opened_for_one_family(family: int, adding: str, checking: str) -> None:
    assert listener_command(GueListener(5555, family)) == adding
    assert listener_check(GueListener(5555, family)) == checking


def test_an_ipv6_address_is_usable_at_once_and_never_a_source() -> None:
    flags = AddressAttributes(no_dad=True, deprecated=True)
    command = "ip address replace fd00::80/128 dev lo nodad preferred_lft 0"
    assert address_command(place("lo", "fd00::80"), flags) == command
    plain = address_command(place("lo", "10.0.0.80"), AddressAttributes())
    assert plain == "ip address replace 10.0.0.80/32 dev lo"


@pytest.mark.parametrize(
    ("path", "key"),
    [
        ("net/ipv4/conf/all/arp_ignore", "net.ipv4.conf.all.arp_ignore"),
        ("net/ipv4/conf/eth0.100/arp_ignore", "net/ipv4/conf/eth0.100/arp_ignore"),
        ("net/ipv4/conf/${interface}/arp_ignore", "net/ipv4/conf/${interface}/arp_ignore"),
    ],
)
def test_dots_of_a_device_are_not_taken_for_slashes(path: str, key: str) -> None:
    assert sysctl_key(path) == key


def test_a_value_of_the_operator_that_does_as_well_stays() -> None:
    wanted = Sysctl("net/ipv4/conf/all/arp_ignore", "1", "why", also=("2",))
    assert kept_value(wanted, {wanted.path: "2"}) == "2"
    assert kept_value(wanted, {wanted.path: "0"}) == "1"
    assert kept_value(wanted, {}) == "1"


def test_a_filter_that_is_off_stays_off() -> None:
    wanted = Sysctl("own", "2", "why", replaces="1", beside="all")
    assert kept_value(wanted, {"own": "0", "all": "0"}) == "0"
    assert kept_value(wanted, {"own": "0", "all": "1"}) == "2"
    assert kept_value(wanted, {"own": "1", "all": "0"}) == "2"
