"""The driver of our nftables tables: the library is opened only where there is a table to look for."""

import errno
from types import SimpleNamespace

import pytest

from kernelbal.errors import KernelError
from kernelbal.kernel.tables import DRIVER
from kernelbal.model.nft import EMPTY_TABLE, NftTable
from kernelbal.plan.action import Result
from kernelbal.plan.classifier import build_table
from kernelbal.plan.kind import ObservedState
from kernelbal.plan.kinds.tables import FOREIGN_TABLES, TABLES, ReplaceTable

TABLE = build_table({}, frozenset({7}))


class Library:
    """The nftables library of a kernel that holds one table, and refuses empty ones."""

    def observe(self, of: NftTable) -> NftTable | None:
        return TABLE if of.title == TABLE.title else None

    def foreign_tables(self, ours: set[str]) -> tuple[str, ...]:
        return ("ip filter",)

    def replace(self, table: NftTable) -> None:
        self.check(table)

    def check(self, table: NftTable) -> None:
        if table.empty:
            raise KernelError("replace", "", errno.EINVAL, "no")


SOCKETS = SimpleNamespace(nftables=Library())


def test_our_tables_are_read_and_others_named() -> None:
    other = EMPTY_TABLE._replace(name="other")
    found = DRIVER.observe(SOCKETS, (EMPTY_TABLE, other), ObservedState())
    assert found.of(TABLES) == {TABLE.title: TABLE}
    assert found.of(FOREIGN_TABLES) == ("ip filter",)


def test_no_library_is_needed_where_nothing_is_looked_for() -> None:
    assert DRIVER.observe(SimpleNamespace(), (), ObservedState()) == ObservedState()


def test_each_table_is_replaced_for_itself() -> None:
    outcomes = DRIVER.perform(SOCKETS, [ReplaceTable(None, EMPTY_TABLE), ReplaceTable(None, TABLE)])
    assert [outcome.result for outcome in outcomes] == [Result.FAILED, Result.DONE]


def test_what_is_deleted_needs_no_check() -> None:
    DRIVER.check(SOCKETS, ReplaceTable(TABLE, EMPTY_TABLE))
    DRIVER.check(SOCKETS, ReplaceTable(None, TABLE))
    with pytest.raises(KernelError):
        SOCKETS.nftables.check(EMPTY_TABLE)
