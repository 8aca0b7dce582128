"""IPVS objects: how they are named, and how they are told apart."""

import pytest

from kernelbal.model.address import Address, parse_address
from kernelbal.model.ipvs import (
    Connection,
    DestinationKey,
    Forwarding,
    Protocol,
    ServiceAttributes,
    ServiceFlag,
    ServiceKey,
    TunnelFlag,
    TunnelType,
    VirtualServer,
)
from tests.unit.plan.samples import by_mark, real, service


@pytest.mark.parametrize(
    ("key", "text"),
    [
        (service("192.0.2.10", 80), "192.0.2.10:80/tcp"),
        (service("192.0.2.10", 0, "udp"), "192.0.2.10:*/udp"),
        (service("2001:db8::10", 5060, "sctp"), "[2001:db8::10]:5060/sctp"),
        (by_mark(7), "mark 0x7"),
        (by_mark(0x4B000001, 10), "mark 0x4b000001 ipv6"),
    ],
)
def test_service_is_named_by_endpoint_or_mark(key: ServiceKey, text: str) -> None:
    assert str(key) == text


@pytest.mark.parametrize(
    ("key", "text"),
    [
        (real("10.0.0.11", 8080), "10.0.0.11:8080"),
        (real("10.0.0.11", 0), "10.0.0.11:*"),
        (real("2001:db8::11", 80), "[2001:db8::11]:80"),
    ],
)
def test_real_server_is_named_by_endpoint(key: DestinationKey, text: str) -> None:
    assert str(key) == text


def test_same_mark_in_both_families_is_two_services() -> None:
    assert by_mark(7, 2) != by_mark(7, 10)


def test_real_servers_sort_by_address_then_port() -> None:
    """As numbers, not as text: .9 comes before .10."""
    keys = [real("10.0.0.10", 80), real("10.0.0.9", 81), real("10.0.0.9", 80)]
    assert list(map(str, sorted(keys))) == ["10.0.0.9:80", "10.0.0.9:81", "10.0.0.10:80"]


def test_values_are_those_of_the_kernel() -> None:
    """`linux/ip_vs.h`."""
    assert [each.value for each in Protocol] == [6, 17, 132]
    assert [each.value for each in Forwarding] == [0, 1, 2, 3, 4]
    assert [each.value for each in TunnelType] == [0, 1, 2]
    assert [each.value for each in TunnelFlag] == [0, 1, 2]
    assert [each.value for each in ServiceFlag] == [0x1, 0x2, 0x4, 0x8, 0x10, 0x20]


def test_virtual_servers_do_not_share_their_real_servers() -> None:
    attributes = ServiceAttributes("rr", 0, 0, 32, "")
    first, second = VirtualServer(attributes), VirtualServer(attributes)
    assert first.destinations is not second.destinations


@pytest.mark.parametrize(("client_port", "expected"), [(0, True), (40000, False)])
def test_template_has_no_client_port(client_port: int, expected: bool) -> None:
    client, vip = parse_address("198.51.100.7"), parse_address("192.0.2.10")
    entry = Connection(6, Address(client), client_port, vip, 80, real("10.0.0.11"), "ESTABLISHED", 60)
    assert entry.template is expected
