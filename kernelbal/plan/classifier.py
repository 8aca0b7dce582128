"""The nftables table of a site: firewall marks in prerouting, masquerading in postrouting.

One lookup per packet, however many services there are: a map from address, protocol and port to a mark for
each family, and a set of the marks whose packets are masqueraded. The protocol is taken from the IP header
and not from `meta l4proto`: nft converts the byte order of the latter inside a key with intervals, which
Linux 7 refuses for a single byte. So IPv6 packets with an extension header before the transport header are
not marked.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from kernelbal.model.address import Address, format_address
from kernelbal.model.nft import EMPTY_TABLE, Element, NftChain, NftRule, NftSet, NftTable

MARKS4 = "marks4"
MARKS6 = "marks6"
MASQUERADE = "masquerade_marks"
"""Not `masquerade`, which is a keyword of nft."""

PRIORITY_MANGLE = -150
PRIORITY_SRCNAT = 100

ALL_PORTS = (0, 65535)
PROTOCOL_NAMES = {6: "tcp", 17: "udp", 132: "sctp"}
"""Names of IP protocols in elements; others stay numbers."""

Where = tuple[Address, int, int, int]
"""Address, IP protocol, lowest and highest port of packets to a service."""


def canonical(expression: object) -> str:
    """Return JSON text that is equal for equal values: sorted keys, no spaces."""
    return json.dumps(expression, sort_keys=True, separators=(",", ":"))


def _mark_rule(protocol: str, header: str, name: str) -> NftRule:
    key = [
        {"payload": {"protocol": protocol, "field": "daddr"}},
        {"payload": {"protocol": protocol, "field": header}},
        {"payload": {"protocol": "th", "field": "dport"}},
    ]
    value = {"map": {"key": {"concat": key}, "data": f"@{name}"}}
    statement = {"mangle": {"key": {"meta": {"key": "mark"}}, "value": value}}
    text = f"meta mark set {protocol} daddr . {protocol} {header} . th dport map @{name}"
    return NftRule(canonical([statement]), text)


def _masquerade_rule() -> NftRule:
    match = {"match": {"op": "==", "left": {"meta": {"key": "mark"}}, "right": f"@{MASQUERADE}"}}
    return NftRule(canonical([match, {"masquerade": None}]), f"meta mark @{MASQUERADE} masquerade")


MARK_RULE4 = _mark_rule("ip", "protocol", MARKS4)
MARK_RULE6 = _mark_rule("ip6", "nexthdr", MARKS6)
MASQUERADE_RULE = _masquerade_rule()
RULES = {rule.expression: rule for rule in (MARK_RULE4, MARK_RULE6, MASQUERADE_RULE)}
"""Every rule that a table of ours may hold, by expression."""


def build_table(marks: Mapping[Where, int], masquerade: frozenset[int]) -> NftTable:
    """Return the table that marks packets to services, and masquerades packets with some of the marks.

    Args:
        marks: mark (1 to 2^32-1) by address, protocol and port range; ranges of one address and protocol must
            not overlap. `ALL_PORTS` stands for every port.
        masquerade: marks whose packets leave with the director's own address.

    Returns:
        The same table whatever the order of `marks`; `EMPTY_TABLE` when there is nothing to do.
    """
    sets: list[NftSet] = []
    rules: list[NftRule] = []
    for name, length, address_type, rule in (
        (MARKS4, 4, "ipv4_addr", MARK_RULE4),
        (MARKS6, 16, "ipv6_addr", MARK_RULE6),
    ):
        elements = tuple(
            sorted(_mark_element(where, mark) for where, mark in marks.items() if len(where[0]) == length)
        )
        if elements:
            types = (address_type, "inet_proto", "inet_service")
            sets.append(NftSet(name, types, "mark", interval=True, elements=elements))
            rules.append(rule)
    chains = [NftChain("prerouting", "filter", "prerouting", PRIORITY_MANGLE, tuple(rules))] if rules else []
    if masquerade:
        listed = tuple(sorted((mark_text(mark),) for mark in masquerade))
        sets.append(NftSet(MASQUERADE, ("mark",), "", interval=False, elements=listed))
        chains.append(NftChain("postrouting", "nat", "postrouting", PRIORITY_SRCNAT, (MASQUERADE_RULE,)))
    return NftTable(_by_name(sets), _chains_by_name(chains)) if sets else EMPTY_TABLE


def rule_of(expression: str) -> NftRule:
    """Return the rule with this expression; one that is not ours has the expression as its text too."""
    return RULES.get(expression) or NftRule(expression, expression)


def mark_text(mark: int) -> str:
    """Return a mark as it stands in elements: `0x4b000001`."""
    return f"{mark:#010x}"


def port_text(low: int, high: int) -> str:
    """Return a port or a range of ports as it stands in elements: `80` or `1000-2000`."""
    return str(low) if low == high else f"{low}-{high}"


def protocol_text(protocol: int) -> str:
    """Return an IP protocol as it stands in elements: `tcp`, or a number."""
    return PROTOCOL_NAMES.get(protocol, str(protocol))


def _mark_element(where: Where, mark: int) -> Element:
    address, protocol, low, high = where
    return (format_address(address), protocol_text(protocol), port_text(low, high), mark_text(mark))


def _by_name(sets: Iterable[NftSet]) -> tuple[NftSet, ...]:
    return tuple(sorted(sets, key=lambda each: each.name))


def _chains_by_name(chains: Iterable[NftChain]) -> tuple[NftChain, ...]:
    return tuple(sorted(chains, key=lambda each: each.name))
