"""The table of marks and masquerading."""

import itertools
import json

import pytest

from kernelbal.model.address import parse_address
from kernelbal.model.nft import EMPTY_TABLE, NftChain, NftRule, NftSet
from kernelbal.plan.classifier import (
    ALL_PORTS,
    MARK_RULE4,
    MARK_RULE6,
    MASQUERADE_RULE,
    RULES,
    Where,
    build_table,
    canonical,
    rule_of,
)

V4, V6 = parse_address("192.0.2.10"), parse_address("2001:db8::10")
TCP, UDP = 6, 17


def test_nothing_to_mark_is_no_table() -> None:
    assert build_table({}, frozenset()) == EMPTY_TABLE


def test_one_service_of_each_family() -> None:
    table = build_table({(V4, TCP, 80, 80): 1, (V6, UDP, 1000, 2000): 0xFFFFFFFF}, frozenset())
    assert table.sets == (
        NftSet(
            "marks4",
            ("ipv4_addr", "inet_proto", "inet_service"),
            "mark",
            interval=True,
            elements=(("192.0.2.10", "tcp", "80", "0x00000001"),),
        ),
        NftSet(
            "marks6",
            ("ipv6_addr", "inet_proto", "inet_service"),
            "mark",
            interval=True,
            elements=(("2001:db8::10", "udp", "1000-2000", "0xffffffff"),),
        ),
    )
    assert table.chains == (NftChain("prerouting", "filter", "prerouting", -150, (MARK_RULE4, MARK_RULE6)),)


def test_one_family_alone_has_no_rule_of_the_other() -> None:
    (chain,) = build_table({(V6, TCP, 80, 80): 1}, frozenset()).chains
    assert chain.rules == (MARK_RULE6,)


def test_all_ports_and_unnamed_protocols() -> None:
    table = build_table({(V4, TCP, *ALL_PORTS): 1, (V4, 33, 5, 5): 2}, frozenset())
    assert [element[1:3] for element in table.sets[0].elements] == [("33", "5"), ("tcp", "0-65535")]


def test_masqueraded_marks() -> None:
    table = build_table({(V4, TCP, 80, 80): 7}, frozenset({7, 0x4B000001}))
    listed = next(each for each in table.sets if each.name == "masquerade_marks")
    assert (listed.key_types, listed.value_type, listed.interval) == (("mark",), "", False)
    assert listed.elements == (("0x00000007",), ("0x4b000001",))
    chain = next(chain for chain in table.chains if chain.name == "postrouting")
    assert chain == NftChain("postrouting", "nat", "postrouting", 100, (MASQUERADE_RULE,))


def test_order_of_the_services_does_not_matter() -> None:
    marks: list[tuple[Where, int]] = [
        ((V4, TCP, 80, 80), 1),
        ((V4, TCP, 443, 443), 1),
        ((V4, UDP, 9, 9), 3),
        ((V6, TCP, 80, 80), 2),
    ]
    tables = {build_table(dict(order), frozenset({1, 2})) for order in itertools.permutations(marks)}
    assert len(tables) == 1
    (table,) = tables
    assert all(each.elements == tuple(sorted(set(each.elements))) for each in table.sets)
    assert [each.name for each in table.sets] == sorted(each.name for each in table.sets)
    assert [chain.name for chain in table.chains] == sorted(chain.name for chain in table.chains)


@pytest.mark.parametrize("rule", RULES.values(), ids=lambda rule: rule.text)
def test_rules_are_canonical_json(rule: NftRule) -> None:
    assert canonical(json.loads(rule.expression)) == rule.expression
    assert rule_of(rule.expression) is rule


def test_rule_in_words() -> None:
    assert MARK_RULE4.text == "meta mark set ip daddr . ip protocol . th dport map @marks4"
    assert MARK_RULE6.text == "meta mark set ip6 daddr . ip6 nexthdr . th dport map @marks6"
    assert MASQUERADE_RULE.text == "meta mark @masquerade_marks masquerade"


def test_protocol_is_not_taken_from_meta() -> None:
    """nft converts the byte order of `meta l4proto` inside an interval key, which Linux 7 refuses."""
    assert not any("l4proto" in rule.expression for rule in RULES.values())


def test_rule_of_someone_else_is_its_own_text() -> None:
    assert rule_of('[{"drop":null}]') == NftRule('[{"drop":null}]', '[{"drop":null}]')
