"""Our nftables tables: each is replaced as a whole, in one transaction."""

from __future__ import annotations

import errno
from collections.abc import Hashable, Mapping, Sequence
from typing import ClassVar, Final, NamedTuple, cast

from kernelbal.model.address import format_address
from kernelbal.model.network import AddressKey
from kernelbal.model.nft import EMPTY_TABLE, NftChain, NftTable
from kernelbal.plan.action import AS_ROOT, Action, ActionRow, Effect, Names, Phase, Rows, failed
from kernelbal.plan.classifier import MASQUERADE_RULE
from kernelbal.plan.edge_rules import BY_EXPRESSION, taken_whole
from kernelbal.plan.kind import NOTHING, KernelReading, KeySetKind, Note, ObservedState, Planning, Scope
from kernelbal.plan.kinds.addresses import ADDRESSES, Addresses, RemoveAddress
from kernelbal.plan.kinds.services import SERVICES
from kernelbal.plan.nft_text import render

NFT_MODULES: Final = "modprobe -a nf_tables nft_masq nft_nat nft_ct nft_fib_inet nf_conntrack"

Tables = Mapping[str, NftTable]
"""Table by title, such as `inet kernelbal`."""
NO_TABLES: Tables = {}

NO_TITLES: tuple[str, ...] = ()
FOREIGN_TABLES: Final = KernelReading("foreign_tables", NO_TITLES)
"""Titles of the tables that are not ours."""


class ReplaceTable(NamedTuple):
    """Replace our nftables table in one transaction; an empty table is deleted."""

    old: NftTable | None
    table: NftTable

    @property
    def key(self) -> str:
        """The table's title."""
        return self.table.title

    def text(self, names: Names) -> str:
        """Name it."""
        return f"nftables table {self.table.title}"


_LACKS = failed("the kernel's nftables lacks what this takes", NFT_MODULES)


class NftTables(KeySetKind[Tables, Tables, str]):
    """Tables of fixed names, which tell whose they are.

    Args:
        ours: our tables, empty.
        always: look for them at every plan; otherwise only where one is desired or recorded, so that a host
            without them needs no libnftables.
        silencing: addresses that our tables keep silent; what a table says of one holds until it has left.
    """

    title = "nftables table"
    notes_foreign = prints_foreign = True
    rows: ClassVar[Rows] = {
        ReplaceTable: ActionRow(
            Effect.CHANGE,
            Phase.NFTABLES,
            "replace nftables table",
            {
                errno.EPERM: failed("nftables requires CAP_NET_ADMIN", AS_ROOT),
                errno.EOPNOTSUPP: _LACKS,
                errno.EPROTONOSUPPORT: failed("the kernel has no nftables", NFT_MODULES),
                errno.ENOENT: _LACKS,
            },
        )
    }

    def __init__(
        self,
        ours: Sequence[NftTable] = (EMPTY_TABLE,),
        *,
        always: bool = True,
        silencing: Addresses | None = None,
    ) -> None:
        super().__init__("nftables_tables", NO_TABLES, NO_TABLES, dict[str, NftTable], str)
        self._ours = ours
        self._always = always
        self._silencing = silencing

    def scope(self, desired: Tables, owned: frozenset[str]) -> Scope:
        """Return our tables, empty."""
        return self._ours if self._always or desired or owned else NOTHING

    def diff(self, planning: Planning) -> None:
        """Replace what differs; one that translates what drains keeps its NAT chains."""
        desired, observed, _ = planning.parts(self)
        self._note(planning)
        for empty in self._ours:
            have, table = observed.get(empty.title), desired.get(empty.title, empty)
            if have is not None and planning.draining:
                table = _with_nat_of(have, table)
            first = table if table.empty else self._still_silent(table, have, planning)
            if not same(have or empty, first) or (have is not None and first.empty):
                in_use = planning.desired.of(SERVICES).table or not first.empty
                planning.put(self, ReplaceTable(have, first), None if in_use else Phase.RELEASE_NFTABLES)
            if first != table:
                planning.put(self, ReplaceTable(first, table), Phase.END_SILENCE)

    def _note(self, planning: Planning) -> None:
        planning.note(Note.FOREIGN, self, *planning.observed.of(FOREIGN_TABLES))
        borrowed = cast("tuple[AddressKey, ...]", planning.noted(Note.BORROWED, ADDRESSES))
        if borrowed:
            desired = planning.desired.of(self).values()
            whole = frozenset[str]().union(*map(taken_whole, desired))
            taken = (key for key in borrowed if format_address(key.address) in whole)
            planning.note(Note.CAPTURED, ADDRESSES, *taken)

    def _still_silent(self, table: NftTable, have: NftTable | None, planning: Planning) -> NftTable:
        """Return a table as it must be until addresses have left: their silence ends after them."""
        if self._silencing is None or have is None:
            return table
        put = planning.put_so_far(self._silencing)
        gone = {(format_address(each.key.address),) for each in put if isinstance(each, RemoveAddress)}
        kept = {each.name: gone.intersection(each.elements) for each in have.sets}
        sets = (
            each._replace(elements=tuple(sorted({*each.elements, *kept.get(each.name, ())})))
            for each in table.sets
        )
        return table._replace(sets=tuple(sets))

    def claim(self, owned: frozenset[str], actions: Sequence[Action], planning: Planning) -> frozenset[str]:
        """Claim what is made, where it is looked for by the record."""
        return owned if self._always else super().claim(owned, actions, planning)

    def effect(self, action: Action) -> Effect:
        """It depends on what there was, and on what comes."""
        old, table = cast("ReplaceTable", action)
        if table.empty:
            return Effect.REMOVE
        return Effect.ADD if old is None else Effect.CHANGE

    def keys(self, observed: Tables) -> frozenset[str]:
        """Return the titles."""
        return frozenset(observed)

    def value(self, observed: Tables, key: Hashable) -> object:
        """Return a table; None where there is none."""
        return observed.get(str(key))

    def kept(self, observed: ObservedState, owned: frozenset[str]) -> Tables:
        """Return them all: their names say whose they are."""
        return observed.of(self)

    def impact(self, action: Action, observed: ObservedState) -> str:
        """Without a NAT chain the kernel stops to translate what is established (`nf_nat_unregister_fn`)."""
        old, table = cast("ReplaceTable", action)
        lost = nat_chains(old or EMPTY_TABLE)
        if not lost or nat_chains(table):
            return ""
        rules = {rule.expression for chain in lost for rule in chain.rules}
        translated = "translated" if not rules.isdisjoint(BY_EXPRESSION) else ""
        one_armed = "one-armed" if MASQUERADE_RULE.expression in rules else ""
        kinds = " and ".join(filter(None, (one_armed, translated)))
        return f"{kinds} connections that are still open would be cut".lstrip()

    def contents(self, action: Action) -> str:
        """Return it in nft syntax."""
        table = cast("ReplaceTable", action).table
        return "" if table.empty else render(table)


def same(one: NftTable, other: NftTable) -> bool:
    """Return whether two tables hold the same; the words of a rule are for people alone."""
    return one is other or _essence(one) == _essence(other)


def _essence(table: NftTable) -> object:
    chains = [(*chain[:4], tuple(rule.expression for rule in chain.rules)) for chain in table.chains]
    return (table.title, table.sets, chains)


def nat_chains(table: NftTable) -> tuple[NftChain, ...]:
    """Return the chains that translate addresses."""
    return tuple(chain for chain in table.chains if chain.kind == "nat")


def _with_nat_of(have: NftTable, table: NftTable) -> NftTable:
    """Return `table` with the NAT chains of `have`, and the sets that these may look into.

    The kernel translates packets of an established connection only as long as a NAT chain is registered,
    whichever (`nf_nat_unregister_fn`); rules decide about new connections alone.
    """
    chains = nat_chains(have)
    if not chains or nat_chains(table):
        return table
    known = {each.name for each in table.sets}
    rules = "".join(rule.expression for chain in chains for rule in chain.rules)
    sets = tuple(each for each in have.sets if each.name not in known and f'"@{each.name}"' in rules)
    return table._replace(sets=tuple(sorted(table.sets + sets)), chains=tuple(sorted(table.chains + chains)))


TABLES: Final = NftTables()
