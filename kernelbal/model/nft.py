"""An nftables table that is ours, as data (`libnftables-json(5)`)."""

from __future__ import annotations

from typing import NamedTuple

TABLE_FAMILY = "inet"
TABLE_NAME = "kernelbal"
"""Family and name of a director's one table."""

Element = tuple[str, ...]
"""One element of a set or map: its key parts, then the value of a map. A port range is `low-high`."""


class NftSet(NamedTuple):
    """A named set or map.

    Attributes:
        key_types: nftables types such as `ipv4_addr`, `inet_proto`, `inet_service`, `mark`.
        value_type: type of the mapped value, or empty for a set.
        interval: True when keys may be ranges.
        elements: sorted, without duplicates.
    """

    name: str
    key_types: tuple[str, ...]
    value_type: str
    interval: bool
    elements: tuple[Element, ...]


class NftRule(NamedTuple):
    """A rule, in both of nft's languages.

    Attributes:
        expression: canonical JSON text (sorted keys, no spaces) of the rule's `expr` array.
        text: the same in nft syntax, for people.
    """

    expression: str
    text: str


class NftChain(NamedTuple):
    """A base chain.

    Attributes:
        kind: `filter` or `nat`.
        hook: `prerouting`, `postrouting`, `input`, `output` or `forward`.
        priority: hook priority as a number (mangle -150, dstnat -100, srcnat 100).
    """

    name: str
    kind: str
    hook: str
    priority: int
    rules: tuple[NftRule, ...]


class NftTable(NamedTuple):
    """Everything in a table; empty tuples mean that the table need not exist.

    Attributes:
        family: such as `inet` or `arp`.
        name: unique in its family.
    """

    sets: tuple[NftSet, ...] = ()
    chains: tuple[NftChain, ...] = ()
    family: str = TABLE_FAMILY
    name: str = TABLE_NAME

    @property
    def title(self) -> str:
        """What it is called, such as `inet kernelbal`."""
        return f"{self.family} {self.name}"

    @property
    def empty(self) -> bool:
        """Whether there is nothing to program."""
        return not self.sets and not self.chains


EMPTY_TABLE = NftTable()
"""Nothing to program."""
