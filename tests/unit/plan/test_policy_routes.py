"""From `edge.routes` to rules and tables."""

from kernelbal.model.address import parse_address
from kernelbal.model.policy_route import ANYWHERE, NextHop, Rule, TableRouteKey
from kernelbal.model.site.edge import Edge
from kernelbal.plan.kinds.routing import Routing
from kernelbal.plan.policy_routes import TABLE_BASE, TABLES, assign_tables, families_of, policy_routes
from tests.support.builders import node, site

ROUTES = """
edge:
  routes:
    - {name: a, source: 10.0.0.11, destination: 198.51.100.0/24, gateway: 192.0.2.254}
    - {name: b, destination: "2001:db8:9::/48", network: inside, table: 300, priority: 500}
    - {name: c, source: 0.0.0.0/0, table: 300}
"""


def edge(*names: str, **tables: int) -> Edge:
    routes = [{"name": name, "source": "10.0.0.1", "table": tables.get(name)} for name in names]
    return Edge.model_validate({"routes": routes})


def test_rules_and_their_tables() -> None:
    wanted = site(ROUTES)
    made = policy_routes(wanted, node())
    assert wanted.edge is not None
    table = assign_tables(wanted.edge)["a"]
    source, there = parse_address("10.0.0.11"), parse_address("198.51.100.0")
    nine = parse_address("2001:db8:9::")
    assert made.rules == {
        Rule(2, TABLE_BASE, table, source, 32, there, 24),
        Rule(10, 500, 300, ANYWHERE[10], 0, nine, 48),
        Rule(2, TABLE_BASE + 2, 300, ANYWHERE[2], 0, ANYWHERE[2], 0),
    }
    assert made.routes == {
        TableRouteKey(table, ANYWHERE[2], 0): NextHop(parse_address("192.0.2.254"), "eth0"),
        TableRouteKey(300, ANYWHERE[10], 0): NextHop(None, "eth1"),
        TableRouteKey(300, ANYWHERE[2], 0): NextHop(None, "eth0"),
    }


def test_the_subnets_of_the_site_stay_on_their_links() -> None:
    """A route for all that machines of a subnet send would lead the director's answers to them away, too."""
    subnets = """
networks:
  outside: {shared_addresses: [192.0.2.10/24, "2001:db8:1::10/64", 192.0.2.9/32]}
  inside: {shared_addresses: [10.0.0.1/24]}
"""
    line = "edge: {routes: [{name: a, source: 10.0.0.0/24, gateway: 192.0.2.254%s}]}"
    wide, exact, narrow, other = (
        {
            str(key).split(" table")[0]: str(hop)
            for key, hop in policy_routes(site(text), node()).routes.items()
        }
        for text in (
            subnets + line % "",
            subnets + line % ", destination: 192.0.2.0/24",
            subnets + line % ", destination: 192.0.2.77",
            subnets + line % ", destination: 198.51.100.0/24",
        )
    )
    away = {"default": "via 192.0.2.254 dev eth0"}
    assert wide == away | {"192.0.2.0/24": "dev eth0", "10.0.0.0/24": "dev eth1"}
    assert exact == away | {"192.0.2.0/24": "dev eth0"}
    assert narrow == other == away


def test_a_site_without_edge_wants_none() -> None:
    assert policy_routes(site(""), node()) == Routing()


def test_table_stays_whatever_else_changes() -> None:
    alone, beside = assign_tables(edge("one")), assign_tables(edge("another", "one", "two"))
    assert beside["one"] == alone["one"]
    assert TABLE_BASE <= alone["one"] < TABLE_BASE + TABLES


def test_taken_table_moves_on_to_the_next_free_one() -> None:
    first = assign_tables(edge("one"))["one"]
    tables = assign_tables(edge("one", "theirs", theirs=first))
    assert tables["one"] == (first + 1 if first + 1 < TABLE_BASE + TABLES else TABLE_BASE)
    assert tables["theirs"] == first


def test_every_route_has_a_table_of_its_own() -> None:
    names = [f"r{number}" for number in range(256)]
    assert len(set(assign_tables(edge(*names)).values())) == 256


def test_family_of_what_it_names() -> None:
    made = Edge.model_validate(
        {"routes": [{"name": "x"}, {"name": "y", "gateway": "fd00::1"}, {"name": "z", "source": "10.0.0.1"}]}
    )
    assert [families_of(route) for route in made.routes] == [(2, 10), (10,), (2,)]
