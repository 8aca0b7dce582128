"""Tables as text; in `tests/lab/test_realserver_persist.py` nft reads it, and the kernel is compared."""

from kernelbal.realserver.nft_text import table_text, tables_text
from kernelbal.realserver.preparation import Method
from kernelbal.realserver.rules import tables
from tests.unit.realserver.samples import HTTP, OTHER, REAL, VIP, prepared

ARP = """\
add table arp kernelbal_realserver
delete table arp kernelbal_realserver
table arp kernelbal_realserver {
    set virtual4 {
        type ipv4_addr
        elements = { 10.0.0.80, 10.0.0.81 }
    }
    chain input {
        type filter hook input priority 0; policy accept;
        arp daddr ip @virtual4 drop
    }
    chain output {
        type filter hook output priority 0; policy accept;
        oifname "eth0" arp saddr ip @virtual4 arp saddr ip set 10.0.0.11
    }
}
"""
INET = """\
add table inet kernelbal_realserver
delete table inet kernelbal_realserver
table inet kernelbal_realserver {
    chain prerouting {
        type nat hook prerouting priority -100; policy accept;
        ip daddr 10.0.0.80 tcp dport 80 dnat ip to 10.0.0.11:80
    }
}
"""
OWN = {"eth0": REAL}


def test_a_table_is_replaced_whether_or_not_it_is_there() -> None:
    (table,) = tables((prepared(method=Method.ARP), prepared(OTHER, Method.ARP)), OWN)
    assert table_text(table) == ARP


def test_tables_stand_below_one_another() -> None:
    redirected = prepared(VIP, Method.REDIRECT, None, HTTP)
    both = tables((prepared(OTHER, Method.ARP), redirected), OWN)
    assert tables_text(both) == ARP.replace("10.0.0.80, ", "") + "\n" + INET
    assert tables_text(()) == ""
