"""Keys and elements as `nft -j` writes them."""

import pytest

from kernelbal.model.ipvs import Protocol
from kernelbal.model.nft import EMPTY_TABLE, NftSet, NftTable
from kernelbal.plan.explain.nft_lookup import find_element, find_in
from tests.unit.plan.explain.scene import VIRTUAL, address

V6 = address("2001:db8::10")


@pytest.mark.parametrize(
    ("kind", "text", "value", "matches"),
    [
        ("ipv4_addr", "192.0.2.10", VIRTUAL, True),
        ("ipv4_addr", "192.0.2.0/24", VIRTUAL, True),
        ("ipv4_addr", "192.0.2.11", VIRTUAL, False),
        ("ipv4_addr", "192.0.2.10", V6, False),
        ("ipv6_addr", "2001:db8::/32", V6, True),
        ("inet_proto", "tcp", Protocol.TCP, True),
        ("inet_proto", "6", Protocol.TCP, True),
        ("inet_proto", "udp", Protocol.TCP, False),
        ("inet_service", "80", 80, True),
        ("inet_service", "0-65535", 80, True),
        ("inet_service", "8000-8010", 7999, False),
        ("ifname", '"eth0"', "eth0", True),
        ("ifname", '"eth1"', "eth0", False),
        ("ifname", '"eth0"', None, False),
        ("ether_addr", "00:00:5e:00:53:01", "00:00:5e:00:53:01", False),
    ],
)
def test_kinds_of_keys(kind: str, text: str, value: object, matches: bool) -> None:
    nft_set = NftSet("any", (kind,), "mark", False, ((text, "1"),))
    assert find_element(nft_set, (value,)) == ((text, "1") if matches else None)


def test_the_first_element_in_which_all_parts_match() -> None:
    elements = (("192.0.2.10", "79", "1"), ("192.0.2.10", "80", "2"), ("192.0.2.10", "80", "3"))
    table = NftTable(sets=(NftSet("web", ("ipv4_addr", "inet_service"), "mark", False, elements),))
    assert find_in(table, "web", (VIRTUAL, 80)) == elements[1]
    assert find_in(table, "web", (VIRTUAL, 81)) is None


@pytest.mark.parametrize("table", [None, EMPTY_TABLE])
def test_without_the_set_nothing_is_found(table: NftTable | None) -> None:
    assert find_in(table, "web", (VIRTUAL, 80)) is None
