"""Which device leads where."""

import pytest

from kernelbal.errors import PlanRefused
from kernelbal.model.address import parse_address
from kernelbal.plan.networks import device_of, devices_towards, network_of
from tests.support.builders import node, site

NETWORKS = """
networks:
  outside: {shared_addresses: [192.0.2.10/24, "2001:db8:1::10/64"]}
  inside: {shared_addresses: [10.0.0.1/24]}
"""


@pytest.mark.parametrize(
    ("address", "settings", "network"),
    [
        ("10.0.0.80", "network: elsewhere", "elsewhere"),
        ("10.0.0.80", "scheduler: rr", "inside"),
        ("198.51.100.1", "scheduler: rr", "outside"),
    ],
    ids=["what the service says", "the subnet that holds it", "outside otherwise"],
)
def test_network_of_a_service(address: str, settings: str, network: str) -> None:
    text = f"virtual_services: [{{name: w, address: {address}, ports: 80, forwarding: nat, {settings}}}]"
    document = site(NETWORKS + text)
    assert network_of(document, document.virtual_services[0]) == network


def test_device_of_a_network() -> None:
    assert device_of(node(), "inside", "w") == "eth1"
    with pytest.raises(PlanRefused, match="w needs a device on network `dmz`"):
        device_of(node(), "dmz", "w")


@pytest.mark.parametrize(
    ("address", "devices"),
    [
        ("10.0.0.11", {"eth1"}),
        ("2001:db8:1::11", {"eth0"}),
        ("198.51.100.1", {"eth0", "eth1"}),
        ("fd00::11", {"eth0", "eth1"}),
    ],
    ids=["IPv4", "IPv6", "in no subnet", "in no subnet of its family"],
)
def test_devices_towards_an_address(address: str, devices: set[str]) -> None:
    assert devices_towards(site(NETWORKS), node(), parse_address(address)) == devices


def test_a_network_without_a_device_tells_nothing() -> None:
    assert devices_towards(site(NETWORKS), node(outside="eth0"), parse_address("10.0.0.11")) == {"eth0"}
