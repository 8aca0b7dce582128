"""Our nftables tables as the text that `nft -f` reads (`nft(8)`)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from kernelbal.model.nft import NftChain, NftSet, NftTable

_INDENT: Final = "    "


def table_text(table: NftTable) -> str:
    """Return the transaction that replaces one table, whether or not there is one.

    Adding it first lets the deletion succeed where there is none; packets see the old or the new table.
    """
    body = "".join(f"{_INDENT}{line}\n" for part in _parts(table) for line in part)
    return f"add table {table.title}\ndelete table {table.title}\ntable {table.title} {{\n{body}}}\n"


def tables_text(tables: Iterable[NftTable]) -> str:
    """Return the transactions of several tables."""
    return "\n".join(table_text(table) for table in tables)


def _parts(table: NftTable) -> Iterable[list[str]]:
    yield from (_set_lines(each) for each in table.sets)
    yield from (_chain_lines(each) for each in table.chains)


def _set_lines(each: NftSet) -> list[str]:
    elements = ", ".join(" . ".join(element) for element in each.elements)
    return [
        f"set {each.name} {{",
        f"{_INDENT}type {' . '.join(each.key_types)}",
        f"{_INDENT}elements = {{ {elements} }}",
        "}",
    ]


def _chain_lines(chain: NftChain) -> list[str]:
    return [
        f"chain {chain.name} {{",
        f"{_INDENT}type {chain.kind} hook {chain.hook} priority {chain.priority}; policy accept;",
        *(f"{_INDENT}{rule.text}" for rule in chain.rules),
        "}",
    ]
