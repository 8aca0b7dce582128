from ipaddress import ip_network

from kernelbal.model.ipvs import DestinationKey
from kernelbal.model.network import AddressAttributes, AddressKey, ObservedAddress, Route
from kernelbal.model.node import Node
from kernelbal.model.site import Site
from kernelbal.plan.desire import desired_state
from kernelbal.plan.explain.query import FactSource
from kernelbal.plan.explain.views import NEEDED, kernel_view, site_view
from kernelbal.plan.kind import DesiredState, ObservedState
from kernelbal.plan.kinds.sysctls import ROUTES
from tests.support.states import observed_of
from tests.unit.plan.explain.scene import (
    VIRTUAL,
    address,
    counters,
    real_server,
    service,
    service_key,
)

SITE = Site.model_validate(
    {
        "networks": {
            "outside": {"shared_addresses": ["192.0.2.10/24"]},
            "inside": {"shared_addresses": ["10.0.0.1/24"]},
        },
        "virtual_services": [
            {
                "name": "web",
                "address": "192.0.2.10",
                "ports": 80,
                "forwarding": "nat",
                "real_servers": [
                    {"address": "10.0.0.11", "name": "alpha"},
                    {"address": "10.0.0.12", "port": 8080, "name": "beta"},
                    {"address": "10.0.0.13"},
                ],
            },
            {
                "name": "closed",
                "address": "192.0.2.10",
                "ports": 81,
                "forwarding": "nat",
                "sorry_server": {"address": "10.0.0.99"},
            },
        ],
    }
)
NODE = Node(name="d1", interfaces={"outside": "eth0", "inside": "eth1"})


def desired() -> DesiredState:
    return desired_state(SITE, NODE)


def test_site_is_seen_as_a_first_apply_leaves_it() -> None:
    seen = site_view(SITE, desired())
    assert seen.source is FactSource.SITE_FILE
    newest_first = [real_server(13), real_server(12, 8080), real_server(11)]
    assert list(seen.services[service_key()].destinations) == newest_first
    assert seen.connections == ()
    assert seen.counters == {}


def test_site_brings_addresses_and_the_routes_to_their_subnets() -> None:
    seen = site_view(SITE, desired())
    assert seen.local(VIRTUAL) == AddressKey("eth0", VIRTUAL, 24)
    subnets = {(str(ip_network((route.destination, route.prefix))), route.device) for route in seen.routes}
    assert subnets == {("192.0.2.0/24", "eth0"), ("10.0.0.0/24", "eth1")}


def test_names() -> None:
    seen = site_view(SITE, desired())
    assert seen.service_names == {service_key(): "web", service_key(81): "closed"}
    assert seen.server_names == {
        (service_key(), real_server(11)): "alpha",
        (service_key(), real_server(12, 8080)): "beta",
        (service_key(81), DestinationKey(address("10.0.0.99"), 81)): "sorry server",
    }


def test_sysctls_of_a_site_are_known() -> None:
    assert site_view(SITE, desired()).sysctls["net/ipv4/vs/expire_quiescent_template"] == "1"


def test_live_kernel() -> None:
    key = AddressKey("eth0", VIRTUAL, 24)
    observed = observed_of(
        services={service_key(): service("rr", 1)},
        counters={service_key(): {real_server(11): counters(3)}},
        addresses=(ObservedAddress(key, AddressAttributes(), ours=True),),
        routes=(Route(address("10.0.0.0"), 24, None, "eth1", 0),),
        sysctls=dict.fromkeys(NEEDED, "1"),
        foreign_nft=("ip filter",),
        ipvs_available=True,
    )
    seen = kernel_view(observed, None, (SITE, desired()))
    assert seen.source is FactSource.KERNEL
    assert seen.counters_of(service_key(), real_server(11)).active == 3
    assert (seen.addresses, seen.routes, seen.connections) == ((key,), observed.of(ROUTES), None)
    assert (seen.foreign_nft, seen.service_names[service_key()]) == (("ip filter",), "web")
    assert AddressKey("eth1", address("10.0.0.1"), 24) in seen.desired_addresses


def test_live_kernel_without_documents_has_no_names() -> None:
    seen = kernel_view(ObservedState(), ())
    assert (seen.service_names, seen.server_names, seen.desired_addresses) == ({}, {}, ())
