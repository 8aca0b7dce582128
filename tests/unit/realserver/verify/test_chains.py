"""Rules of others, as libnftables shows them: what could drop a packet."""

from typing import Any

import pytest

from kernelbal.model.address import parse_address
from kernelbal.realserver.verify.chains import Packet, Suspect, Tri, all_of, suspects

WEB = Packet(
    {
        "nfproto": "ipv4",
        "saddr": parse_address("198.51.100.7"),
        "daddr": parse_address("10.0.0.80"),
        "l4proto": "tcp",
        "dport": 80,
        "iifname": "eth0",
        "state": "new",
    },
    ("prerouting", "input"),
    ("inet", "ip"),
)
DROP, ACCEPT = {"drop": None}, {"accept": None}


def base(policy: str = "accept", hook: str = "input", family: str = "inet", **more: object) -> dict[str, Any]:
    body = {"family": family, "table": "filter", "name": hook, "hook": hook, "policy": policy, **more}
    return {"chain": body}


def rule(*expressions: object, chain: str = "input", family: str = "inet") -> dict[str, Any]:
    return {"rule": {"family": family, "table": "filter", "chain": chain, "expr": list(expressions)}}


def match(left: object, right: object, op: str = "==") -> dict[str, Any]:
    return {"match": {"op": op, "left": left, "right": right}}


def payload(protocol: str, field: str) -> dict[str, Any]:
    return {"payload": {"protocol": protocol, "field": field}}


def meta(key: str) -> dict[str, Any]:
    return {"meta": {"key": key}}


STATE = {"ct": {"key": "state"}}
YES = [
    match(payload("ip", "daddr"), "10.0.0.80"),
    match(payload("ip", "daddr"), {"prefix": {"addr": "10.0.0.0", "len": 24}}),
    match(payload("ip", "saddr"), {"range": ["198.51.100.0", "198.51.100.9"]}),
    match(payload("ip", "saddr"), "10.0.0.99", "!="),
    match(payload("ip", "protocol"), 6),
    match(payload("tcp", "dport"), 80),
    match(payload("tcp", "dport"), {"range": [1, 1023]}),
    match(payload("tcp", "dport"), {"set": [22, {"range": [79, 81]}]}),
    match(payload("th", "dport"), 80),
    match(meta("l4proto"), "tcp"),
    match(meta("l4proto"), 6),
    match(meta("nfproto"), 2),
    match(meta("iifname"), "eth0"),
    match(meta("iifname"), "eth*"),
    match(meta("iif"), "eth0"),
    match(STATE, ["new", "untracked"], "in"),
    match(STATE, 8),
    match(payload("tcp", "dport"), {"set": [{"elem": {"val": 80, "comment": "web"}}]}),
]
NO = [
    match(payload("ip", "daddr"), "10.0.0.81"),
    match(payload("ip6", "daddr"), "fd00::80"),
    match(payload("ip", "saddr"), {"prefix": {"addr": "192.0.2.0", "len": 24}}),
    match(payload("ip", "daddr"), "10.0.0.80", "!="),
    match(payload("tcp", "dport"), {"set": [22, 443]}),
    match(payload("udp", "dport"), 80),
    match(meta("l4proto"), {"set": ["udp", 1]}),
    match(meta("iifname"), "lo"),
    match(STATE, ["established", "related"], "in"),
    match(STATE, 1),
]
PERHAPS = [
    match(payload("ip", "saddr"), "@friends"),
    match(payload("ip", "saddr"), "@friends", "!="),
    match(payload("tcp", "sport"), 1024),
    match(payload("tcp", "dport"), 1024, ">"),
    match(payload("tcp", "flags"), "syn", "in"),
    match(meta("mark"), 7),
    match({"fib": {"result": "oif"}}, "eth0"),
    match(payload("ip", "saddr"), {"set": ["@others", "10.0.0.1"]}),
    {"xt": {"type": "match", "name": "recent"}},
]


@pytest.mark.parametrize("expression", YES)
def test_what_matches_drops_for_certain(expression: dict[str, Any]) -> None:
    assert suspects([base(), rule(expression, DROP)], WEB) == (Suspect("inet filter input: drop", True),)


@pytest.mark.parametrize("expression", NO)
def test_what_does_not_match_is_no_suspect(expression: dict[str, Any]) -> None:
    assert suspects([base(), rule(expression, DROP)], WEB) == ()


@pytest.mark.parametrize("expression", PERHAPS)
def test_what_is_not_understood_is_a_suspect(expression: dict[str, Any]) -> None:
    assert suspects([base(), rule(expression, DROP)], WEB) == (Suspect("inet filter input: drop", False),)


POLICY = "inet filter input (policy drop)"


@pytest.mark.parametrize(
    ("rules", "found"),
    [
        ([], (Suspect(POLICY, True),)),
        ([rule(ACCEPT)], ()),
        ([rule(YES[5], ACCEPT)], ()),
        ([rule(NO[0], ACCEPT)], (Suspect(POLICY, True),)),
        ([rule(PERHAPS[0], ACCEPT)], (Suspect(POLICY, False),)),
        ([rule({"counter": {}}, {"log": None})], (Suspect(POLICY, True),)),
        ([rule({"reject": {"type": "tcp reset"}})], (Suspect("inet filter input: reject", True),)),
        ([rule({"xt": {"type": "target", "name": "REJECT"}}), rule(ACCEPT)],
         (Suspect("inet filter input: REJECT", False),)),
    ],
)  # fmt: skip
def test_order_and_policy_count(rules: list[dict[str, Any]], found: tuple[Suspect, ...]) -> None:
    assert suspects([base("drop"), *rules], WEB) == found


def test_called_chains_are_followed() -> None:
    call = rule({"jump": {"target": "web"}})
    inner = {"chain": {"family": "inet", "table": "filter", "name": "web"}}
    assert suspects([base("drop"), call, inner, rule(YES[5], ACCEPT, chain="web")], WEB) == ()
    found = suspects([base(), call, inner, rule(DROP, chain="web")], WEB)
    assert found == (Suspect("inet filter web: drop", True),)
    returned = [rule({"return": None}, chain="web"), rule(DROP, chain="web")]
    assert suspects([base(), call, inner, *returned], WEB) == ()
    gone = [base("drop"), rule({"goto": {"target": "web"}}), rule(ACCEPT), inner]
    assert suspects(gone, WEB) == (Suspect(POLICY, True),)


def test_chains_that_call_each_other_end() -> None:
    round_ = [rule({"jump": {"target": "input"}})]
    assert suspects([base("drop"), *round_], WEB) == (Suspect(POLICY, False),)


def test_verdict_map_may_take_any_verdict() -> None:
    choice = {"vmap": {"key": payload("tcp", "dport"), "data": {"set": [[22, ACCEPT], [80, DROP]]}}}
    assert suspects([base(), rule(choice)], WEB) == (Suspect("inet filter input: drop", False),)
    named = {"vmap": {"key": STATE, "data": "@verdicts"}}
    assert suspects([base(), rule(named)], WEB) == (
        Suspect("inet filter input: verdict map @verdicts", False),
    )


@pytest.mark.parametrize(
    "chain", [base("drop", "forward"), base("drop", "output"), base("drop", family="ip6")]
)
def test_chains_that_do_not_see_the_packet(chain: dict[str, Any]) -> None:
    assert suspects([chain], WEB) == ()


def test_chain_of_another_device_does_not_see_it() -> None:
    here = WEB._replace(hooks=("ingress",), families=("netdev",))
    assert suspects([base("drop", "ingress", "netdev", dev="eth1")], here) == ()
    assert suspects([base("drop", "ingress", "netdev", dev=["eth0", "eth1"])], here) != ()


def test_certain_one_stands_for_both() -> None:
    found = suspects([base(), rule(PERHAPS[0], DROP), rule(YES[0], DROP)], WEB)
    assert found == (Suspect("inet filter input: drop", True),)


@pytest.mark.parametrize(
    ("parts", "whole"),
    [((), Tri.YES), ((Tri.YES, Tri.PERHAPS), Tri.PERHAPS), ((Tri.PERHAPS, Tri.NO), Tri.NO)],
)
def test_weakest_part_counts(parts: tuple[Tri, ...], whole: Tri) -> None:
    assert all_of(parts) is whole
