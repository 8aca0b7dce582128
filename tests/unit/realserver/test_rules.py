"""Tables in nft's words; that the kernel takes them and what they do is proved in tests/lab."""

from dataclasses import replace

import pytest

from kernelbal.model.nft import NftTable
from kernelbal.plan.kinds.tables import same
from kernelbal.plan.nft_text import render
from kernelbal.realserver.preparation import Method, PortMap, Preparation
from kernelbal.realserver.rules import arptables_commands, most_segment_bytes, tables
from tests.support.realserver_host import (
    GRE,
    GUE,
    HTTP,
    IPIP,
    OTHER,
    REAL,
    REAL6,
    VIP,
    VIP6,
    prepared,
)

OWN = {"eth0": REAL}


def texts(*preparations: Preparation) -> list[str]:
    """The rules of all tables."""
    return [
        rule.text for table in tables(preparations, OWN) for chain in table.chains for rule in chain.rules
    ]


def test_loopback_needs_no_table() -> None:
    assert tables([prepared(), prepared(VIP6)], OWN) == ()


def test_arp_in_nft_words() -> None:
    (table,) = tables([prepared(method=Method.ARP), prepared(OTHER, Method.ARP)], OWN)
    assert render(table) == (
        "table arp kernelbal_realserver {\n"
        "\tset virtual4 {\n\t\ttype ipv4_addr\n"
        "\t\telements = { 10.0.0.80,\n\t\t\t     10.0.0.81 }\n\t}\n\n"
        "\tchain input {\n\t\ttype filter hook input priority 0; policy accept;\n"
        "\t\tarp daddr ip @virtual4 drop\n\t}\n\n"
        "\tchain output {\n\t\ttype filter hook output priority 0; policy accept;\n"
        '\t\toifname "eth0" arp saddr ip @virtual4 arp saddr ip set 10.0.0.11\n'
        "\t\tarp saddr ip @virtual4 drop\n\t}\n}\n"
    )


def test_ipv6_needs_no_arp_table() -> None:
    assert tables([prepared(VIP6, Method.ARP)], OWN) == ()


def test_redirect_by_port_and_whole() -> None:
    ports = (HTTP, PortMap(17, 53, 5353))
    assert texts(prepared(VIP, Method.REDIRECT, None, *ports)) == [
        "ip daddr 10.0.0.80 tcp dport 80 dnat ip to 10.0.0.11:80",
        "ip daddr 10.0.0.80 udp dport 53 dnat ip to 10.0.0.11:5353",
    ]
    assert texts(prepared(VIP6, Method.REDIRECT)) == ["ip6 daddr fd00::80 dnat ip6 to fd00::11"]
    assert texts(prepared(VIP6, Method.REDIRECT, None, HTTP)) == [
        "ip6 daddr fd00::80 tcp dport 80 dnat ip6 to [fd00::11]:80"
    ]


def test_redirect_behind_a_tunnel_of_the_other_family_leads_to_an_own_address() -> None:
    mixed = replace(prepared(VIP6, Method.REDIRECT, IPIP), real=REAL, own=REAL6)
    assert "ip6 daddr fd00::80 dnat ip6 to fd00::11" in texts(mixed)


@pytest.mark.parametrize(
    ("preparation", "size"),
    [
        (prepared(), 1460),
        (prepared(VIP6), 1440),
        (prepared(tunnel=IPIP), 1440),
        (prepared(VIP6, tunnel=IPIP), 1400),
        (prepared(tunnel=GRE), 1432),
        (prepared(tunnel=GUE), 1420),
        (replace(prepared(tunnel=IPIP), mtu_bytes=1400), 1340),
    ],
)
def test_largest_segment(preparation: Preparation, size: int) -> None:
    assert most_segment_bytes(preparation) == size


def test_tunnels_lower_the_mss_of_replies() -> None:
    assert texts(prepared(tunnel=IPIP)) == [
        "ip saddr 10.0.0.80 meta l4proto tcp tcp option maxseg size set 1440"
    ]


def test_words_of_rules_do_not_count() -> None:
    (table,) = tables([prepared(tunnel=IPIP)], OWN)
    (chain,) = table.chains
    read_back = chain._replace(rules=(chain.rules[0]._replace(text="as the kernel has it"),))
    assert same(table, table._replace(chains=(read_back,)))
    assert not same(table, table._replace(chains=(read_back._replace(priority=0),)))
    assert not same(table, NftTable())


def test_arptables() -> None:
    assert arptables_commands([prepared(), prepared(VIP6)], OWN) == (
        "arptables -A INPUT -d 10.0.0.80 -j DROP",
        "arptables -A OUTPUT -s 10.0.0.80 -o eth0 -j mangle --mangle-ip-s 10.0.0.11",
        "arptables -A OUTPUT -s 10.0.0.80 -j DROP",
    )
