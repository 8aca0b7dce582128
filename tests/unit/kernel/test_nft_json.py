"""Our table to and from libnftables' JSON; the documents are what libnftables 1.0.6 prints."""

from typing import Any

import pytest

from kernelbal.kernel.nft_json import UNREADABLE, parse_table, replacement
from kernelbal.model.address import parse_address
from kernelbal.model.nft import EMPTY_TABLE, NftChain
from kernelbal.plan.classifier import build_table

V4, V6 = parse_address("192.0.2.10"), parse_address("2001:db8::10")
OURS = {"family": "inet", "table": "kernelbal"}
MARKS: dict[str, Any] = {
    **OURS,
    "name": "marks4",
    "type": ["ipv4_addr", "inet_proto", "inet_service"],
    "handle": 3,
    "map": "mark",
    "flags": ["interval"],
    "elem": [
        [{"concat": ["192.0.2.10", 17, {"range": [1000, 2000]}]}, 7],
        [{"concat": ["192.0.2.10", 6, 80]}, 1],
    ],
}
MASQUERADE: dict[str, Any] = {**OURS, "name": "masquerade_marks", "type": "mark", "handle": 5, "elem": [1]}
PREROUTING = {**OURS, "name": "prerouting", "type": "filter", "hook": "prerouting", "prio": -150}
POSTROUTING = {**OURS, "name": "postrouting", "type": "nat", "hook": "postrouting", "prio": 100}
MARK_EXPRESSION = [
    {
        "mangle": {
            "key": {"meta": {"key": "mark"}},
            "value": {
                "map": {
                    "key": {
                        "concat": [
                            {"payload": {"protocol": "ip", "field": "daddr"}},
                            {"payload": {"protocol": "ip", "field": "protocol"}},
                            {"payload": {"protocol": "th", "field": "dport"}},
                        ]
                    },
                    "data": "@marks4",
                }
            },
        }
    }
]
MASQUERADE_EXPRESSION = [
    {"match": {"op": "==", "left": {"meta": {"key": "mark"}}, "right": "@masquerade_marks"}},
    {"masquerade": None},
]
LISTED: list[dict[str, Any]] = [
    {"metainfo": {"version": "1.0.6", "json_schema_version": 1}},
    {"table": {"family": "inet", "name": "kernelbal", "handle": 1}},
    {"map": MARKS},
    {"set": MASQUERADE},
    {"chain": {**PREROUTING, "policy": "accept"}},
    {"chain": {**POSTROUTING, "policy": "accept"}},
    {"rule": {**OURS, "chain": "prerouting", "handle": 6, "expr": MARK_EXPRESSION}},
    {"rule": {**OURS, "chain": "postrouting", "handle": 8, "expr": MASQUERADE_EXPRESSION}},
]
WANTED = build_table({(V4, 6, 80, 80): 1, (V4, 17, 1000, 2000): 7}, frozenset({1}))


def test_listed_table_is_the_one_that_was_built() -> None:
    assert parse_table(LISTED) == WANTED


@pytest.mark.parametrize(
    "ports",
    [{"range": [1024, 2047]}, {"prefix": {"addr": 1024, "len": 6}}],
)
def test_range_of_ports_in_either_form(ports: dict[str, Any]) -> None:
    listed = {**MARKS, "elem": [[{"concat": ["192.0.2.10", 6, ports]}, 1]]}
    (marks,) = parse_table([{"map": listed}]).sets
    assert marks.elements == (("192.0.2.10", "tcp", "1024-2047", "0x00000001"),)


def test_addresses_are_canonical() -> None:
    listed = {**MARKS, "type": ["ipv6_addr"], "map": "mark", "elem": [["2001:DB8:0::0010", 1]]}
    (marks,) = parse_table([{"map": listed}]).sets
    assert marks.elements == (("2001:db8::10", "0x00000001"),)


@pytest.mark.parametrize(
    "changed",
    [
        {"map": {**MARKS, "elem": MARKS["elem"][:1]}},
        {"map": {**MARKS, "flags": []}},
        {"map": {**MARKS, "flags": ["interval", "timeout"]}},
        {"map": {**MARKS, "elem": [*MARKS["elem"], [{"concat": ["198.51.100.0/24", 6, "http"]}, 1]]}},
        {"set": {**MASQUERADE, "elem": [1, {"range": [5, 9]}]}},
        {"set": {"name": "more", "type": {"typeof": {"concat": []}}, "elem": [1]}},
        {"chain": {**PREROUTING, "policy": "drop"}},
        {"chain": {**PREROUTING, "prio": -149}},
        {"chain": {**OURS, "name": "more"}},
        {"counter": {**OURS, "name": "more"}},
        {"rule": {**OURS, "chain": "postrouting", "expr": [{"drop": None}]}},
    ],
)
def test_every_edit_is_a_difference(changed: dict[str, Any]) -> None:
    ((kind, body),) = changed.items()
    others = [each for each in LISTED if kind == "rule" or each.get(kind, {}).get("name") != body.get("name")]
    position = next((n for n, each in enumerate(others) if "rule" in each), len(others))
    found = parse_table([*others[:position], changed, *others[position:]])
    assert found != WANTED


@pytest.mark.parametrize(
    "strange",
    [
        {"rule": {**OURS, "chain": "nowhere", "expr": []}},
        {"map": {**MARKS, "elem": [[{"concat": ["192.0.2.10", 6]}, 1]]}},
        {"map": {**MARKS, "elem": ["192.0.2.10"]}},
        {"chain": {}},
    ],
)
def test_what_cannot_be_expressed_is_a_difference_and_no_crash(strange: dict[str, Any]) -> None:
    assert parse_table([*LISTED, strange]) == UNREADABLE
    assert UNREADABLE.chains == (NftChain("unreadable", "", "", 0, ()),)


def test_replacement_is_stateless_and_complete() -> None:
    commands = replacement(WANTED)
    verbs = [(verb, kind) for command in commands for verb, body in command.items() for kind in body]
    assert verbs == [
        ("add", "table"),
        ("delete", "table"),
        ("add", "table"),
        ("add", "map"),
        ("add", "set"),
        ("add", "chain"),
        ("add", "chain"),
        ("add", "rule"),
        ("add", "rule"),
    ]
    assert commands[3]["add"]["map"]["elem"] == list(reversed(MARKS["elem"]))
    assert commands[-1]["add"]["rule"]["expr"] == MARK_EXPRESSION


def test_replacement_by_nothing_only_deletes() -> None:
    assert [next(iter(command)) for command in replacement(EMPTY_TABLE)] == ["add", "delete"]


@pytest.mark.parametrize("protocol", [6, 17, 132, 33])
def test_own_objects_are_read_back(protocol: int) -> None:
    wanted = build_table(
        {(V4, protocol, 0, 65535): 1, (V6, protocol, 53, 53): 0xFFFFFFFF}, frozenset({1, 0xFFFFFFFF})
    )
    objects = [command["add"] for command in replacement(wanted) if "add" in command]
    assert parse_table(objects) == wanted
