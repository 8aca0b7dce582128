"""Our nftables table in nft's own syntax, for people and for `nft -f` (`nft(8)`)."""

from __future__ import annotations

from collections.abc import Iterator

from kernelbal.model.nft import Element, NftChain, NftSet, NftTable


def render(table: NftTable) -> str:
    """Return the table as `nft list table` would show it; empty text for an empty table."""
    if table.empty:
        return ""
    blocks = ["\n".join(_set_lines(each)) for each in table.sets]
    blocks += ["\n".join(_chain_lines(each)) for each in table.chains]
    return f"table {table.title} {{\n" + "\n\n".join(blocks) + "\n}\n"


def replacing(table: NftTable) -> str:
    """Return the transaction for `nft -f` that replaces a table, whether or not there is one.

    Adding it first lets the deletion succeed where there is none; packets see the old or the new table.
    """
    return f"add table {table.title}\ndelete table {table.title}\n{render(table)}"


def _set_lines(each: NftSet) -> Iterator[str]:
    kind = "map" if each.value_type else "set"
    types = " . ".join(each.key_types) + (f" : {each.value_type}" if each.value_type else "")
    yield f"\t{kind} {each.name} {{"
    yield f"\t\ttype {types}"
    if each.interval:
        yield "\t\tflags interval"
    if each.elements:
        is_map = bool(each.value_type)
        joined = ",\n\t\t\t     ".join(_element(element, is_map=is_map) for element in each.elements)
        yield f"\t\telements = {{ {joined} }}"
    yield "\t}"


def _element(element: Element, *, is_map: bool) -> str:
    if not is_map:
        return " . ".join(element)
    return " . ".join(element[:-1]) + f" : {element[-1]}"


def _chain_lines(chain: NftChain) -> Iterator[str]:
    yield f"\tchain {chain.name} {{"
    yield f"\t\ttype {chain.kind} hook {chain.hook} priority {chain.priority}; policy accept;"
    for rule in chain.rules:
        yield f"\t\t{rule.text}"
    yield "\t}"
