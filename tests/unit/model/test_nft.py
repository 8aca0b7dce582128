"""Our nftables table as data."""

import pytest

from kernelbal.model.nft import EMPTY_TABLE, NftChain, NftSet, NftTable

CHAIN = NftChain("prerouting", "filter", "prerouting", -150, ())
SET = NftSet("marks", ("ipv4_addr",), "mark", interval=False, elements=())


@pytest.mark.parametrize(
    ("table", "empty"),
    [
        (EMPTY_TABLE, True),
        (NftTable(chains=(CHAIN,)), False),
        (NftTable(sets=(SET,)), False),
    ],
    ids=["nothing", "a chain", "a set"],
)
def test_table_without_sets_and_chains_need_not_exist(table: NftTable, empty: bool) -> None:
    assert table.empty is empty
