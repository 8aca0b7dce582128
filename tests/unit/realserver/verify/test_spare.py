"""Addresses that nobody has."""

from kernelbal.model.address import format_address, parse_address
from kernelbal.model.network import AddressKey
from kernelbal.realserver.verify.spare import FAR_CLIENTS, spare_address
from tests.unit.plan.samples import place


def spare(own: AddressKey, *taken: str) -> str | None:
    found = spare_address(own, [parse_address(each) for each in taken])
    return format_address(found) if found else None


def test_last_address_of_the_network_that_is_free() -> None:
    own = place("eth0", "10.0.0.11", 24)
    assert spare(own) == "10.0.0.254"
    assert spare(own, "10.0.0.254", "10.0.0.253") == "10.0.0.252"
    assert spare(place("eth0", "10.0.0.254", 24)) == "10.0.0.253"


def test_networks_without_room_have_none() -> None:
    assert spare(place("eth0", "10.0.0.11", 32)) is None
    assert spare(place("eth0", "10.0.0.1", 30)) is None
    full = [f"10.0.0.{number}" for number in range(1, 8)]
    assert spare(place("eth0", "10.0.0.1", 29), *full) is None


def test_ipv6_has_an_interface_identifier_of_its_own() -> None:
    assert spare(place("eth0", "fd00::11", 64)) == "fd00::24b:42ff:fe4b:4277"


def test_clients_far_away_are_those_of_documentation() -> None:
    assert {format_address(each) for each in FAR_CLIENTS.values()} == {"203.0.113.77", "2001:db8:77::77"}
