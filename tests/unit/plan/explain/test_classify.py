import pytest

from kernelbal.model.ipvs import Protocol
from kernelbal.model.nft import EMPTY_TABLE, NftSet, NftTable
from kernelbal.plan.classifier import ALL_PORTS, MARKS6, build_table
from kernelbal.plan.explain.classify import UNMARKED, Classification, classifier_step, classify
from kernelbal.plan.explain.result import StepVerdict
from tests.unit.plan.explain.scene import VIRTUAL, address, query, view

TCP, UDP = Protocol.TCP, Protocol.UDP
IPV6 = address("2001:db8::10")
TABLE = build_table(
    {
        (VIRTUAL, TCP, 80, 80): 0x4B000001,
        (VIRTUAL, TCP, 8000, 8010): 0x4B000002,
        (VIRTUAL, UDP, 53, 53): 0x4B000003,
        (IPV6, TCP, *ALL_PORTS): 0x4B000004,
    },
    frozenset({0x4B000002}),
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
    assert classify(TABLE, IPV6, TCP, 12345) == Classification(0x4B000004, False, MARKS6)
    assert classify(TABLE, address("2001:db8::11"), TCP, 12345) == UNMARKED


@pytest.mark.parametrize("table", [None, EMPTY_TABLE])
def test_no_table_no_mark(table: NftTable | None) -> None:
    assert classify(table, VIRTUAL, TCP, 80) == UNMARKED


def test_map_with_a_key_of_another_kind_is_passed_over() -> None:
    table = NftTable(sets=(NftSet("odd", ("ifname", "inet_service"), "mark", False, (("eth0", "80", "1"),)),))
    assert classify(table, VIRTUAL, TCP, 80) == UNMARKED


def test_reason_of_a_mark() -> None:
    found, step = classifier_step(query(8000), view(nft=TABLE))
    assert found.masquerade
    assert step.verdict is StepVerdict.MARKED
    assert "map `marks4` of nftables table `inet kernelbal` sets mark 0x4b000002" in step.reason
    assert "masqueraded" in step.reason


def test_reason_without_a_mark() -> None:
    _, step = classifier_step(query(81), view(nft=TABLE))
    assert step.verdict is StepVerdict.UNMARKED
    assert "has no entry for 192.0.2.10 port 81/tcp" in step.reason
    _, without = classifier_step(query(81), view())
    assert "no nftables table" in without.reason


def test_foreign_tables_are_named() -> None:
    _, step = classifier_step(query(), view(foreign_nft=("ip filter",)))
    assert "not evaluated: ip filter" in step.reason
