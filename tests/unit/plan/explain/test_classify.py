import pytest

from kernelbal.model.ipvs import Protocol
from kernelbal.model.nft import EMPTY_TABLE, NftSet, NftTable
from kernelbal.plan.explain.classify import UNMARKED, Classified, classifier_step, classify
from kernelbal.plan.explain.result import Verdict
from tests.unit.plan.explain.scene import VIRTUAL, address, question, view

TCP, UDP = Protocol.TCP, Protocol.UDP
KEY4 = ("ipv4_addr", "inet_proto", "inet_service")
KEY6 = ("ipv6_addr", "inet_proto", "inet_service")
TABLE = NftTable(
    sets=(
        NftSet(
            "services4",
            KEY4,
            "mark",
            True,
            (
                ("192.0.2.10", "tcp", "80", "0x4b000001"),
                ("192.0.2.10", "tcp", "8000-8010", "0x4b000002"),
                ("192.0.2.10", "17", "53", "1258291203"),
            ),
        ),
        NftSet("services6", KEY6, "mark", True, (("2001:db8::10", "tcp", "0-65535", "0x4b000004"),)),
        NftSet("masqueraded", ("mark",), "", False, (("0x4b000002",),)),
    )
)


@pytest.mark.parametrize(
    ("protocol", "port", "mark", "masquerade"),
    [
        (TCP, 80, 0x4B000001, False),
        (TCP, 8000, 0x4B000002, True),
        (TCP, 8010, 0x4B000002, True),
        (TCP, 8011, 0, False),
        (TCP, 7999, 0, False),
        (UDP, 80, 0, False),
        (UDP, 53, 0x4B000003, False),
    ],
)
def test_map_gives_the_mark(protocol: Protocol, port: int, mark: int, masquerade: bool) -> None:
    assert classify(TABLE, VIRTUAL, protocol, port)[:2] == (mark, masquerade)


def test_ipv6_has_its_own_map() -> None:
    found = classify(TABLE, address("2001:db8::10"), TCP, 12345)
    assert found == Classified(0x4B000004, False, "services6")
    assert classify(TABLE, address("2001:db8::11"), TCP, 12345) == UNMARKED


@pytest.mark.parametrize("table", [None, EMPTY_TABLE])
def test_no_table_no_mark(table: NftTable | None) -> None:
    assert classify(table, VIRTUAL, TCP, 80) == UNMARKED


def test_map_with_a_key_of_another_kind_is_passed_over() -> None:
    table = NftTable(sets=(NftSet("odd", ("ifname", "inet_service"), "mark", False, (("eth0", "80", "1"),)),))
    assert classify(table, VIRTUAL, TCP, 80) == UNMARKED


def test_mark_in_words() -> None:
    found, step = classifier_step(question(8000), view(nft=TABLE))
    assert found.masquerade
    assert step.verdict is Verdict.MARKED
    assert "map `services4` of nftables table `inet kernelbal` sets mark 0x4b000002" in step.reason
    assert "masqueraded" in step.reason


def test_no_mark_in_words() -> None:
    _, step = classifier_step(question(81), view(nft=TABLE))
    assert step.verdict is Verdict.UNMARKED
    assert "does not name 192.0.2.10 port 81/tcp" in step.reason
    _, without = classifier_step(question(81), view())
    assert "there is no nftables table" in without.reason


def test_foreign_tables_are_named() -> None:
    _, step = classifier_step(question(), view(foreign_nft=("ip filter",)))
    assert "not looked into: ip filter" in step.reason
