"""A node document against its site."""

from kernelbal.config.checks.node import find_node_conflicts
from kernelbal.model.node import Node
from kernelbal.model.site import Site

SITE = Site.model_validate(
    {
        "networks": {"outside": {"shared_addresses": ["192.0.2.1/24"]}, "inside": {}, "dmz": {}},
        "virtual_services": [
            {"name": "a", "address": "192.0.2.10", "ports": 80, "forwarding": "nat"},
            {"name": "b", "address": "198.51.100.1", "ports": 80, "forwarding": "nat", "network": "dmz"},
        ],
    }
)


def messages(**interfaces: str) -> list[str]:
    node = Node.model_validate({"name": "lb1", "interfaces": interfaces})
    return [finding.message for finding in find_node_conflicts(SITE, node)]


def test_network_that_carries_addresses_needs_a_device() -> None:
    assert messages() == [
        "no device for network `outside`, which its shared address needs",
        "no device for network `dmz`, which virtual service `b` needs",
    ]


def test_network_without_addresses_needs_none() -> None:
    assert messages(outside="eth0", dmz="eth0") == []


def test_networks_of_the_edge_need_devices() -> None:
    edge = {
        "source_nat": [{"name": "out", "inside": "10.0.0.0/24", "masquerade": True, "network": "wan"}],
        "routes": [{"name": "line", "source": "10.0.0.1", "network": "leased"}],
    }
    site = Site.model_validate({"edge": edge})
    node = Node.model_validate({"name": "lb1"})
    assert [finding.message for finding in find_node_conflicts(site, node)] == [
        "no device for network `wan`, which edge entry `out` needs",
        "no device for network `leased`, which edge route `line` needs",
    ]
