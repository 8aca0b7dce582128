"""Our nftables table to and from `libnftables-json(5)`, without touching a kernel."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from kernelbal.model.address import format_address, parse_address
from kernelbal.model.nft import EMPTY_TABLE, Element, NftChain, NftSet, NftTable
from kernelbal.plan.classifier import (
    PROTOCOL_NAMES,
    canonical,
    mark_text,
    port_text,
    protocol_text,
    rule_of,
)
from kernelbal.plan.edge_rules import BY_EXPRESSION

Command = dict[str, Any]
"""One command or object of libnftables' JSON."""

UNREADABLE: Final = NftTable(chains=(NftChain("unreadable", "", "", 0, ()),))
"""Stands for a table that someone else wrote and that this module cannot express."""

_PORT_BITS: Final = 16
_PROTOCOL_NUMBERS: Final = {name: number for number, name in PROTOCOL_NAMES.items()}


def replacement(table: NftTable) -> list[Command]:
    """Return the commands of the transaction that replaces our table, whether or not there is one."""
    itself = table_object(table)
    commands: list[Command] = [{"add": {"table": itself}}, {"delete": {"table": itself}}]
    if table.empty:
        return commands
    owner = {"family": table.family, "table": table.name}
    commands.append({"add": {"table": itself}})
    commands += [{"add": _set_object(each, owner)} for each in table.sets]
    commands += [{"add": {"chain": owner | _chain_object(chain)}} for chain in table.chains]
    commands += [
        {"add": {"rule": {**owner, "chain": chain.name, "expr": json.loads(rule.expression)}}}
        for chain in table.chains
        for rule in chain.rules
    ]
    return commands


def table_object(table: NftTable) -> Command:
    """Return what names a table."""
    return {"family": table.family, "name": table.name}


def _set_object(each: NftSet, owner: Command) -> Command:
    body: Command = {**owner, "name": each.name}
    body["type"] = list(each.key_types) if len(each.key_types) > 1 else each.key_types[0]
    if each.interval:
        body["flags"] = ["interval"]
    if each.value_type:
        body["map"] = each.value_type
    if each.elements:
        body["elem"] = [_element_object(each, element) for element in each.elements]
    return {"map" if each.value_type else "set": body}


def _element_object(each: NftSet, element: Element) -> object:
    parts = [_part_object(kind, text) for kind, text in zip(each.key_types, element, strict=False)]
    key = {"concat": parts} if len(parts) > 1 else parts[0]
    return [key, _part_object(each.value_type, element[-1])] if each.value_type else key


def _part_object(kind: str, text: str) -> object:
    if kind == "mark":
        return int(text, 0)
    if kind == "inet_proto":
        return _PROTOCOL_NUMBERS[text] if text in _PROTOCOL_NUMBERS else int(text)
    if kind == "inet_service":
        low, dash, high = text.partition("-")
        return {"range": [int(low), int(high)]} if dash else int(low)
    if kind == "ifname":
        return json.loads(text)
    address, slash, length = text.partition("/")
    return {"prefix": {"addr": address, "len": int(length)}} if slash else text


def _chain_object(chain: NftChain) -> Command:
    placed = {"type": chain.kind, "hook": chain.hook, "prio": chain.priority, "policy": "accept"}
    return {"name": chain.name, **placed}


def parse_table(objects: Sequence[Mapping[str, Any]], of: NftTable = EMPTY_TABLE) -> NftTable:
    """Return the table in the objects of `list table`, exactly as `plan.classifier` would build it.

    Args:
        objects: what the kernel says of the table.
        of: family and name of the table.

    What our tables never hold becomes a chain without hook or rules, so that the table differs from any of
    ours and is replaced.
    """
    sets: list[NftSet] = []
    chains: dict[str, NftChain] = {}
    try:
        for each in objects:
            for kind, body in each.items():
                _take(kind, body, sets, chains)
    except (KeyError, TypeError, ValueError):
        return of._replace(chains=UNREADABLE.chains)
    return of._replace(
        sets=tuple(sorted(sets, key=lambda one: one.name)),
        chains=tuple(sorted(chains.values(), key=lambda one: one.name)),
    )


def _take(kind: str, body: Command, sets: list[NftSet], chains: dict[str, NftChain]) -> None:
    if kind in ("metainfo", "table"):
        return
    if kind in ("set", "map"):
        sets.append(_parse_set(body))
    elif kind == "chain":
        chains[body["name"]] = _parse_chain(body)
    elif kind == "rule":
        chain = chains[body["chain"]]
        expression = canonical(body["expr"])
        rule = BY_EXPRESSION.get(expression) or rule_of(expression)
        chains[chain.name] = chain._replace(rules=(*chain.rules, rule))
    else:
        label = f"{kind} {body.get('name', '')}"
        chains[label] = NftChain(label, "", "", 0, ())


def _parse_set(body: Command) -> NftSet:
    types = (body["type"],) if isinstance(body["type"], str) else tuple(body["type"])
    value_type = body.get("map", "")
    flags = set(body.get("flags", ()))
    elements = (_parse_element(types, value_type, each) for each in body.get("elem", ()))
    return NftSet(
        name=body["name"],
        key_types=(*types, *sorted(flags - {"interval"})),  # a flag that we never set is a difference
        value_type=value_type,
        interval="interval" in flags,
        elements=tuple(sorted(elements)),
    )


def _parse_element(types: Sequence[str], value_type: str, each: object) -> Element:
    if not value_type:
        return _parse_key(types, each)
    match each:
        case [key, value]:
            return (*_parse_key(types, key), _part_text(value_type, value))
        case _:
            raise ValueError("an element of a map without a value")


def _parse_key(types: Sequence[str], key: object) -> Element:
    match key:
        case {"concat": list(parts)}:
            return tuple(_part_text(kind, part) for kind, part in zip(types, parts, strict=True))
        case _:
            return (_part_text(types[0], key),)


def _part_text(kind: str, part: object) -> str:
    """Return one part of an element in the words of `plan.classifier`, anything else as JSON."""
    match kind, part:
        case "mark", int(mark):
            return mark_text(mark)
        case "inet_proto", int(protocol):
            return protocol_text(protocol)
        case "inet_service", int(port):
            return port_text(port, port)
        case "inet_service", {"range": [int(low), int(high)]}:
            return port_text(low, high)
        case "inet_service", {"prefix": {"addr": int(low), "len": int(bits)}}:
            return port_text(low, low + (1 << (_PORT_BITS - bits)) - 1)
        case "ipv4_addr" | "ipv6_addr", str(address):
            return format_address(parse_address(address))
        case "ipv4_addr" | "ipv6_addr", {"prefix": {"addr": str(address), "len": int(bits)}}:
            return f"{format_address(parse_address(address))}/{bits}"
        case _:
            return canonical(part)


def _parse_chain(body: Command) -> NftChain:
    policy = body.get("policy", "accept")
    kind = body.get("type", "")
    return NftChain(
        name=body["name"],
        kind=kind if policy == "accept" else f"{kind} with policy {policy}",
        hook=body.get("hook", ""),
        priority=int(body.get("prio", 0)),
        rules=(),
    )
