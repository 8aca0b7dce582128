"""Topologies: what the package brings, and what is refused."""

import pytest

from kernelbal.lab.errors import TopologyError
from kernelbal.lab.topology import Role, load_topology, parse_topology, topology_names

HOST = """
name: tiny
switches: [lan]
hosts:
  - name: a
    role: {role}
    {extra}
    links:
      - {{device: eth0, switch: {switch}, addresses: [{address}]}}
    routes: [{route}]
"""


def tiny(
    role: str = "client", extra: str = "", switch: str = "lan", address: str = "10.0.0.1/24", route: str = ""
) -> str:
    return HOST.format(role=role, extra=extra, switch=switch, address=address, route=route)


def refusal(text: str) -> str:
    with pytest.raises(TopologyError) as caught:
        parse_topology(text, "t.yaml")
    return caught.value.message


def test_package_brings_both_shapes() -> None:
    assert topology_names() == ("one-arm", "two-arm")


@pytest.mark.parametrize("name", topology_names())
def test_every_topology_is_a_whole_site_in_both_families(name: str) -> None:
    topology = load_topology(name)
    assert [host.name for host in topology.with_role(Role.REAL_SERVER)] == ["rs1", "rs2", "rs3"]
    assert len(topology.with_role(Role.CLIENT)) == len(topology.with_role(Role.DIRECTOR)) == 1
    for host in topology.hosts:
        assert host.address(4)
        assert host.address(6)


def test_two_arm_real_servers_route_back_through_the_director() -> None:
    topology = load_topology("two-arm")
    director = topology.host("director")
    inside = {director.address(4, director.inside), director.address(6, director.inside)}
    for server in topology.with_role(Role.REAL_SERVER):
        assert {str(route.via) for route in server.routes if route.to == "default"} == inside


def test_one_arm_hangs_on_one_switch() -> None:
    topology = load_topology("one-arm")
    director = topology.host("director")
    assert topology.switches == ("inside",)
    assert director.outside == director.inside


def test_two_directors_fit() -> None:
    first = tiny("director", "outside: eth0\n    inside: eth0")
    second = first.split("hosts:\n")[1].replace("name: a", "name: b").replace("10.0.0.1/24", "10.0.0.2/24")
    assert len(parse_topology(first + second, "t.yaml").with_role(Role.DIRECTOR)) == 2


def test_unknown_topology_names_the_known() -> None:
    with pytest.raises(TopologyError) as caught:
        load_topology("three-arm")
    assert caught.value.hint == "there are one-arm, two-arm"


def test_unknown_host_names_the_known() -> None:
    with pytest.raises(TopologyError, match="no host rs9"):
        load_topology("one-arm").host("rs9")


def test_missing_address_is_named() -> None:
    with pytest.raises(KeyError, match="a has no IPv6 address on eth0"):
        parse_topology(tiny(), "t.yaml").host("a").address(6, "eth0")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (tiny(switch="wan"), "a is plugged into wan, which is not in `switches`"),
        (tiny(role="router"), "hosts.0.role"),
        (tiny(role="director"), "must name its `outside` and `inside` devices"),
        (tiny(extra="outside: eth7"), "a has no device eth7; its devices are eth0"),
        (tiny(address="10.0.0.300/24"), "hosts.0.links.0.addresses.0"),
        (tiny(address="10.0.0.1/24, 10.0.0.1/24"), "address 10.0.0.1 is used 2 times"),
        (tiny(route="{to: default, via: 10.9.0.1}"), "gateway 10.9.0.1 is in none of its networks"),
        (tiny(route='{to: "fd00::/64", via: 10.0.0.2}'), "different address families"),
        (tiny(extra="colour: red"), "colour"),
        (tiny().replace("[lan]", "[a]"), "name a is used 2 times"),
        ("name: [", "t.yaml: while parsing"),
        ("- 1", "t.yaml: "),
    ],
)
def test_inconsistent_topology_is_refused(text: str, message: str) -> None:
    assert message in refusal(text)
