"""From the `edge` section to sets, chains, addresses and sysctls."""

import ipaddress
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernelbal.errors import PlanRefused
from kernelbal.model.address import parse_address
from kernelbal.model.nft import EMPTY_TABLE, NftChain, NftTable
from kernelbal.model.site import Site
from kernelbal.plan.classifier import MASQUERADE_RULE
from kernelbal.plan.edge import edge_table, merged
from kernelbal.plan.kind import Note, Ownership
from kernelbal.plan.kinds import DIRECTOR
from kernelbal.plan.kinds.addresses import ADDRESSES
from kernelbal.plan.kinds.sysctls import SYSCTLS
from kernelbal.plan.planning import make_plan
from tests.support.builders import desired, held, node, place, site
from tests.support.states import observed_of

NETWORKS = """
networks:
  outside: {shared_addresses: [192.0.2.10/24, "2001:db8:1::10/64"]}
  inside: {shared_addresses: [10.0.0.1/24, 10.0.0.2/24, "fd00::1/64"]}
"""


def table(entries: str, services: str = "") -> NftTable:
    return edge_table(site(f"{NETWORKS}{services}\nedge:\n{entries}"), node())


def elements(made: NftTable) -> dict[str, list[str]]:
    return {each.name: [" ".join(element) for element in each.elements] for each in made.sets}


def rules(made: NftTable, chain: str) -> list[str]:
    return [rule.text for each in made.chains if each.name == chain for rule in each.rules]


def test_without_a_section_there_is_nothing() -> None:
    assert edge_table(site(NETWORKS), node()) == EMPTY_TABLE
    assert table("  hairpin: true\n") == EMPTY_TABLE


def test_one_to_one_in_both_directions() -> None:
    made = table("  one_to_one: [{name: a, outside: 192.0.2.51, inside: 10.0.0.11}]\n  hairpin: false")
    assert elements(made) == {
        "one_to_one_in4": ["192.0.2.51 10.0.0.11"],
        "one_to_one_out4": ['"eth0" 10.0.0.11 192.0.2.51'],
    }
    assert rules(made, "nat_prerouting") == ["dnat ip to ip daddr map @one_to_one_in4"]
    assert rules(made, "nat_output") == rules(made, "nat_prerouting")
    assert rules(made, "postrouting") == [
        "ct status dnat fib saddr type local masquerade",
        "fib saddr type local accept",
        "snat ip to oifname . ip saddr map @one_to_one_out4",
    ]


def test_hairpin_is_for_the_subnet_of_the_inside_machine_alone() -> None:
    made = table('  one_to_one: [{name: a, outside: "2001:db8:1::51", inside: "fd00::11"}]')
    assert elements(made)["hairpin6"] == ["fd00::/64 fd00::/64"]
    assert rules(made, "postrouting")[0] == "ct status dnat ip6 saddr . ip6 daddr @hairpin6 masquerade"
    assert "hairpin4" not in elements(made)


def test_two_addresses_of_a_subnet_are_one_block() -> None:
    made = table("  forward: [{name: a, outside: 192.0.2.10, ports: 22, inside: 10.0.0.11}]")
    assert elements(made)["hairpin4"] == ["10.0.0.0/24 10.0.0.0/24"]


def test_ports_that_change_are_looked_up_before_those_that_stay() -> None:
    made = table(
        """
  forward:
    - {name: a, outside: 192.0.2.10, ports: 2222, inside: 10.0.0.11, inside_port: 22}
    - {name: b, outside: 192.0.2.10, protocol: udp, ports: [53, 8000-8010], inside: 10.0.0.12}
"""
    )
    assert elements(made)["forward4"] == [
        "192.0.2.10 tcp 2222 10.0.0.11",
        "192.0.2.10 udp 53 10.0.0.12",
        "192.0.2.10 udp 8000-8010 10.0.0.12",
    ]
    assert elements(made)["forward_port4"] == ["192.0.2.10 tcp 2222 22"]
    key = "ip daddr . ip protocol . th dport map"
    assert rules(made, "nat_prerouting") == [
        f"dnat ip to {key} @forward4 : {key} @forward_port4",
        f"dnat ip to {key} @forward4",
    ]


def test_packets_to_virtual_addresses_are_let_pass_before_sources_change() -> None:
    services = "virtual_services: [{name: w, address: 192.0.2.80, ports: 80, forwarding: dsr}]"
    made = table("  source_nat: [{name: a, inside: 10.0.0.0/24, masquerade: true}]", services)
    assert elements(made) == {"masquerade_out4": ['"eth0" 10.0.0.0/24'], "virtual4": ["192.0.2.80"]}
    assert rules(made, "postrouting") == [
        "fib saddr type local accept",
        "ct original ip daddr @virtual4 accept",
        "oifname . ip saddr @masquerade_out4 masquerade",
    ]
    assert rules(made, "nat_prerouting") == []


def test_first_entry_that_fits_counts() -> None:
    made = table(
        """
  source_nat:
    - {name: a, inside: 10.0.0.128/25, outside: 192.0.2.53}
    - {name: b, inside: 10.0.0.0/24, masquerade: true}
    - {name: c, inside: 10.0.0.7, outside: 192.0.2.54}
    - {name: d, inside: 10.0.0.0/24, masquerade: true, network: inside}
"""
    )
    assert elements(made) == {
        "source_nat4": ['"eth0" 10.0.0.128/25 192.0.2.53'],
        "masquerade_out4": ['"eth0" 10.0.0.0/25', '"eth1" 10.0.0.0/24'],
    }


BLOCKS = st.tuples(st.integers(0, 255), st.integers(24, 32)).map(
    lambda drawn: str(ipaddress.ip_network(f"10.0.0.{drawn[0]}/{drawn[1]}", strict=False))
)


@given(st.lists(BLOCKS, min_size=1, max_size=6))
def test_split_blocks_say_the_same_as_the_list(blocks: list[str]) -> None:
    entries = [
        {"name": f"n{i}", "inside": block, "outside": f"192.0.2.{100 + i}"} for i, block in enumerate(blocks)
    ]
    made = edge_table(Site.model_validate({"edge": {"source_nat": entries}}), node())
    found = [
        (ipaddress.ip_network(block), outside) for each in made.sets for _, block, outside in each.elements
    ]
    ordered = sorted((network for network, _ in found), key=lambda one: one.network_address)
    assert not any(before.overlaps(after) for before, after in pairwise(ordered))
    for number in range(256):
        host = ipaddress.ip_address(f"10.0.0.{number}")
        wanted = next((e["outside"] for e in entries if host in ipaddress.ip_network(e["inside"])), None)
        assert next((outside for network, outside in found if host in network), None) == wanted


def test_missing_device_is_named_with_what_needs_it() -> None:
    text = "edge: {one_to_one: [{name: geo, outside: 192.0.2.51, inside: 10.0.0.11, network: dmz}]}"
    with pytest.raises(PlanRefused, match="edge entry `geo` needs a device on network `dmz`"):
        edge_table(site(text), node())


def test_merged_chain_has_the_rules_of_both_in_order() -> None:
    armed = NftTable((), (NftChain("postrouting", "nat", "postrouting", 100, (MASQUERADE_RULE,)),))
    made = table("  source_nat: [{name: a, inside: 10.0.0.0/24, masquerade: true}]")
    both = merged(armed, made)
    assert rules(both, "postrouting") == [MASQUERADE_RULE.text, *rules(made, "postrouting")]
    assert merged(EMPTY_TABLE, made) == made
    assert merged(armed, EMPTY_TABLE) == armed


# --- beside the table ---

SITE = f"""{NETWORKS}
virtual_services: [{{name: w, address: 192.0.2.80, ports: 80, forwarding: dsr}}]
edge:
  one_to_one: [{{name: a, outside: 192.0.2.51, inside: 10.0.0.11}}]
  forward:
    - {{name: b, outside: 192.0.2.10, ports: 22, inside: 10.0.0.12}}
    - {{name: c, outside: 192.0.2.80, ports: 22, inside: 10.0.0.12}}
    - {{name: d, outside: 192.0.2.52, ports: 22, inside: 10.0.0.12}}
  source_nat: [{{name: e, inside: 10.0.0.0/24, outside: 192.0.2.53}}]
"""


def test_outside_addresses_are_held_unless_they_are_anyway() -> None:
    held = desired(SITE).of(ADDRESSES).keys()
    assert place("eth0", "192.0.2.51") in held
    assert place("eth0", "192.0.2.52") in held
    assert place("eth0", "192.0.2.53") in held
    assert place("eth0", "192.0.2.10") not in held
    assert [key.address for key in held].count(parse_address("192.0.2.80")) == 1


def test_router_routes_and_does_not_redirect() -> None:
    wanted = {
        sysctl.path: sysctl.value for sysctl in desired(SITE.split("virtual")[0] + EDGE_ALONE).of(SYSCTLS)
    }
    assert wanted == {
        "net/ipv4/ip_forward": "1",
        "net/ipv4/conf/all/send_redirects": "0",
        "net/ipv4/conf/eth0/send_redirects": "0",
        "net/ipv4/conf/eth1/send_redirects": "0",
    }


EDGE_ALONE = "edge: {one_to_one: [{name: a, outside: 192.0.2.51, inside: 10.0.0.11}]}"


def test_ipv6_alone_needs_nothing_of_ipv4() -> None:
    text = 'edge: {source_nat: [{name: a, inside: "fd00::/64", masquerade: true}]}'
    assert [sysctl.path for sysctl in desired(text).of(SYSCTLS)] == [
        "net/ipv6/conf/eth0/accept_ra",
        "net/ipv6/conf/eth1/accept_ra",
        "net/ipv6/conf/all/forwarding",
    ]


def test_idle_connections_of_others_are_remembered_longer_than_those_of_ipvs() -> None:
    armed = (
        "virtual_services: [{name: w, address: 192.0.2.80, ports: 80, forwarding: nat, one_armed: true}]\n"
    )
    path = "net/netfilter/nf_conntrack_tcp_timeout_established"

    def remembered(text: str) -> str:
        return next(sysctl.value for sysctl in desired(text).of(SYSCTLS) if sysctl.path == path)

    assert (remembered(armed), remembered(armed + EDGE_ALONE)) == ("900", "7440")


def test_an_address_of_others_that_one_to_one_takes_is_told() -> None:
    """Such as the one by which an operator reaches the director."""
    wanted = desired(NETWORKS + "edge: {one_to_one: [{name: a, outside: 192.0.2.1, inside: 10.0.0.11}]}")
    own, alias = place("eth0", "192.0.2.1", 24), place("eth0", "192.0.2.10", 24)
    observed = observed_of(addresses=(held(own), held(alias)))
    plan = make_plan(DIRECTOR, wanted, observed, Ownership(), 0.0)
    assert (plan.keys(Note.CAPTURED), plan.keys(Note.BORROWED)) == ((own,), (own, alias))
    ours = observed_of(addresses=(held(own, ours=True),))
    assert make_plan(DIRECTOR, wanted, ours, Ownership(), 0.0).keys(Note.CAPTURED) == ()
