"""Whether real servers can work with the forwarding method that the site gives them."""

import pytest

from kernelbal.model.address import parse_address
from kernelbal.model.network import Route
from kernelbal.plan.kinds.links import LINKS
from kernelbal.plan.reachability import RouteTable, reachability_problems, unroutable_servers
from tests.support.builders import held, link, node, place, route, site
from tests.support.states import observed_of

ROUTES = (
    route("192.0.2.0/24", "eth0"),
    route("10.0.0.0/24", "eth1"),
    route("0.0.0.0/0", "eth0", "192.0.2.1"),
    route("2001:db8::/64", "eth0"),
    route("fd00::/64", "eth1"),
    route("::/0", "eth0", "2001:db8::1"),
)
OBSERVED = observed_of(
    routes=ROUTES,
    links=(link("eth0"), link("eth1")),
    addresses=(held(place("eth1", "10.0.0.2", 24)),),
)


def _web(forwarding: str, *servers: str, more: str = "") -> str:
    real_servers = ", ".join(f'{{address: "{server}"}}' for server in servers)
    vip = "2001:db8::10" if ":" in servers[0] else "192.0.2.10"
    return (
        f'virtual_services: [{{name: web, address: "{vip}", ports: 80, forwarding: {forwarding},'
        f" real_servers: [{real_servers}]{more}}}]"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (_web("nat", "10.0.0.11"), None),
        (_web("nat", "fd00::11"), None),
        (_web("nat", "192.0.2.77"), "real server 192.0.2.77: on `eth0`, the side of the clients"),
        (_web("nat", "2001:db8::77"), "real server 2001:db8::77: on `eth0`, the side of the clients"),
        (_web("nat", "203.0.113.5"), "real server 203.0.113.5: reached through a gateway"),
        (_web("nat", "10.0.0.2"), None),  # the director itself
        (_web("nat", "192.0.2.77", more=", one_armed: true"), None),
        (_web("nat", "203.0.113.5", more=", one_armed: true"), None),
        (_web("dsr", "192.0.2.77"), None),
        (_web("dsr", "10.0.0.11"), None),
        (_web("dsr", "203.0.113.5"), "real server 203.0.113.5: behind a gateway; direct server return"),
        (_web("dsr", "10.0.0.2"), None),
        (_web("tunnel", "203.0.113.5"), None),
    ],
)
def test_fault(text: str, message: str | None) -> None:
    found = reachability_problems(site(text), node(), OBSERVED)
    if message is None:
        assert found == ()
    else:
        assert [problem.service for problem in found] == ["web"]
        assert found[0].message.startswith(message)


def test_problem_names_a_few_real_servers_and_counts_the_others() -> None:
    (problem,) = reachability_problems(
        site(_web("nat", *(f"203.0.113.{n}" for n in range(1, 6)))), node(), OBSERVED
    )
    assert problem.message.startswith("real servers 203.0.113.1, 203.0.113.2, 203.0.113.3 and 2 more: ")


def test_both_problems_of_one_service_are_reported() -> None:
    assert len(reachability_problems(site(_web("nat", "203.0.113.5", "192.0.2.77")), node(), OBSERVED)) == 2


def test_missing_device_is_the_problem_that_is_reported() -> None:
    (problem,) = reachability_problems(site(_web("nat", "203.0.113.5")), node(outside="eth7"), OBSERVED)
    assert problem.message == "its network is on device `eth7`, which node `d1` does not have"


def test_shared_address_of_the_plan_makes_its_subnet_on_link() -> None:
    """A director without an address of its own beside the real servers."""
    text = "networks: {inside: {shared_addresses: [10.0.0.1/24]}}\n" + _web("nat", "10.0.0.11")
    fresh = observed_of(routes=ROUTES[:1] + ROUTES[2:3], links=OBSERVED.of(LINKS))
    assert reachability_problems(site(text), node(), fresh) == ()
    assert len(reachability_problems(site(_web("nat", "10.0.0.11")), node(), fresh)) == 1


@pytest.mark.parametrize(
    ("networks", "routes", "lost"),
    [
        ("{}", ROUTES, []),
        ("{}", ROUTES[:2], []),
        ("{}", ROUTES[:1], ["real server 10.0.0.11: no route"]),
        ("{inside: {shared_addresses: [10.0.0.1/24]}}", ROUTES[:1], []),
    ],
)
def test_real_server_without_a_route_is_named(
    networks: str, routes: tuple[Route, ...], lost: list[str]
) -> None:
    document = site(f"networks: {networks}\n" + _web("nat", "10.0.0.11"))
    assert [problem.message for problem in unroutable_servers(document, observed_of(routes=routes))] == lost


@pytest.mark.parametrize(
    ("address", "device"),
    [
        ("10.0.0.11", "eth1"),
        ("10.0.0.200", "eth3"),
        ("10.9.0.1", "eth2"),
        ("8.8.8.8", "eth0"),
        ("fd00::1", None),
    ],
)
def test_longest_prefix_then_lowest_metric(address: str, device: str | None) -> None:
    table = RouteTable(
        (
            route("0.0.0.0/0", "eth0", "192.0.2.1"),
            route("10.0.0.0/8", "eth2", metric=5),
            route("10.0.0.0/8", "eth9", metric=50),
            route("10.0.0.0/24", "eth1"),
            route("10.0.0.200/32", "eth3"),
        )
    )
    found = table.lookup(parse_address(address))
    assert (found.device if found else None) == device
