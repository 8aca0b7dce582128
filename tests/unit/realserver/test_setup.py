"""What is known of a host."""

from kernelbal.model.address import AF_INET, AF_INET6
from tests.support.builders import held, place
from tests.support.realserver_host import REAL, REAL6, VIP, host


def test_own_address_is_none_of_the_virtual_ones() -> None:
    virtual = held(place("eth0", "10.0.0.80"))
    assert host(virtual).own_address("eth0", AF_INET, frozenset({VIP})) == REAL
    assert host().own_address("eth0", AF_INET, frozenset({REAL})) is None


def test_own_address_is_neither_link_local_nor_deprecated() -> None:
    assert host().own_address("eth0", AF_INET6, frozenset()) == REAL6
    old = held(place("eth1", "fd00:1::1", 64), deprecated=True)
    assert host(old).own_address("eth1", AF_INET6, frozenset()) is None


def test_own_address_is_one_that_stays() -> None:
    """The kernel lists the newest IPv6 address first, which often is a temporary one."""
    fleeting = held(place("eth0", "fd00::abcd", 64), temporary=True)
    shared = held(place("eth0", "fd00::1", 64), ours=True)
    found = host(addresses=(fleeting, shared, *host().addresses))
    assert found.own_address("eth0", AF_INET6, frozenset()) == REAL6


def test_link_by_name() -> None:
    found = host().link("eth0")
    assert found is not None
    assert found.up
    assert host().link("eth9") is None
