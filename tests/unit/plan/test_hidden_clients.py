"""Clients that something in front has hidden."""

import pytest

from kernelbal.model.address import Address, parse_address
from kernelbal.plan.hidden_clients import MIN_CONNECTIONS, hidden_clients

FIREWALL, OTHER = parse_address("192.0.2.254"), parse_address("2001:db8::254")
SUBSCRIBERS = {parse_address(f"198.51.100.{number}"): 1 for number in range(1, 251)}


def test_one_firewall() -> None:
    assert hidden_clients({FIREWALL: 990, **dict(list(SUBSCRIBERS.items())[:10])}) == (
        "990 of 1000 connections come from 1 address (192.0.2.254): source NAT in front of this director"
        " seems to hide the clients; persistence, hashes and GEO see them as one"
    )


def test_cluster_of_firewalls_the_busiest_first() -> None:
    said = hidden_clients({FIREWALL: 400, OTHER: 600})
    assert "1000 of 1000 connections come from 2 addresses (2001:db8::254, 192.0.2.254)" in said


@pytest.mark.parametrize(
    "connections",
    [
        {},
        SUBSCRIBERS,
        {FIREWALL: MIN_CONNECTIONS - 1},
        {FIREWALL: 4000, **SUBSCRIBERS},
        {parse_address(f"192.0.2.{number}"): 50 for number in range(1, 7)},
    ],
    ids=["nobody", "many", "few connections", "a proxy among many", "six"],
)
def test_clients_that_are_there_themselves(connections: dict[Address, int]) -> None:
    assert hidden_clients(connections) == ""
