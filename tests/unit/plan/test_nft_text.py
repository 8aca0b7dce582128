"""Our table in nft's syntax; that nft reads it the same is proved in the lab."""

from kernelbal.model.address import parse_address
from kernelbal.model.nft import EMPTY_TABLE
from kernelbal.plan.classifier import build_table
from kernelbal.plan.nft_text import render, replacing


def test_empty_table_is_no_text() -> None:
    assert render(EMPTY_TABLE) == ""


def test_whole_table() -> None:
    address = parse_address("192.0.2.10")
    table = build_table({(address, 6, 80, 80): 1, (address, 17, 1000, 2000): 2}, frozenset({1}))
    assert render(table).expandtabs(4) == (
        """table inet kernelbal {
    map marks4 {
        type ipv4_addr . inet_proto . inet_service : mark
        flags interval
        elements = { 192.0.2.10 . tcp . 80 : 0x00000001,
                 192.0.2.10 . udp . 1000-2000 : 0x00000002 }
    }

    set masquerade_marks {
        type mark
        elements = { 0x00000001 }
    }

    chain postrouting {
        type nat hook postrouting priority 100; policy accept;
        meta mark @masquerade_marks masquerade
    }

    chain prerouting {
        type filter hook prerouting priority -150; policy accept;
        meta mark set ip daddr . ip protocol . th dport map @marks4
    }
}
"""
    )


def test_a_table_is_replaced_whether_or_not_it_is_there() -> None:
    """In `tests/lab/test_realserver_persist.py` nft reads such a text, and the kernel is compared."""
    table = build_table({}, frozenset({1}))
    assert replacing(table) == f"add table inet kernelbal\ndelete table inet kernelbal\n{render(table)}"
