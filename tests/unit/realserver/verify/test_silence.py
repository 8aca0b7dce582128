"""Whether ARP is silent: values of sysctls, the arp table, and what was heard."""

from dataclasses import replace

import pytest

from kernelbal.model.nft import NftTable
from kernelbal.model.verification import ResultStatus
from kernelbal.realserver.preparation import Method, Preparation
from tests.support.realserver_evidence import (
    DIRECT,
    fails,
    good,
    judged,
    path,
    prepared_host,
    wire,
    with_sysctl,
)
from tests.support.realserver_host import HTTP, REAL6, VIP, VIP6, prepared

BY_TABLE = prepared(VIP, Method.ARP, None, HTTP)
THIEF = "52:54:00:00:00:01"


@pytest.mark.parametrize("value", ["1", "2"])
def test_values_that_keep_silent(value: str) -> None:
    evidence = good(
        DIRECT, host=with_sysctl(DIRECT, all__arp_ignore="0", eth0__arp_ignore=value, eth1__arp_ignore="1")
    )
    assert fails(DIRECT, evidence) == {}


@pytest.mark.parametrize(
    ("everywhere", "here", "says", "fix"),
    [
        ("0", "0", "every address", "net/ipv4/conf/eth0/arp_ignore=1"),
        ("1", "3", "scope host", "net/ipv4/conf/eth0/arp_ignore=1"),
        ("3", "1", "scope host", "net/ipv4/conf/all/arp_ignore=1"),
        ("0", "5", "reserved", "net/ipv4/conf/eth0/arp_ignore=1"),
        (
            "8",
            "8",
            "director does not find it",
            "net/ipv4/conf/all/arp_ignore=1 net/ipv4/conf/eth0/arp_ignore=1",
        ),
    ],
)
def test_values_that_do_not(everywhere: str, here: str, says: str, fix: str) -> None:
    host = with_sysctl(DIRECT, all__arp_ignore=everywhere, eth0__arp_ignore=here)
    result = next(each for each in judged(DIRECT, good(DIRECT, host=host))["arp_ignore"] if each.fix)
    assert result.message.startswith(str(max(int(everywhere), int(here))))
    assert says in result.message
    assert result.fix == f"sysctl -w {fix}"


def test_another_interface_that_would_answer() -> None:
    host = with_sysctl(DIRECT, all__arp_ignore="0", eth1__arp_ignore="0")
    assert fails(DIRECT, good(DIRECT, host=host))["arp_ignore"].device == "eth1"


@pytest.mark.parametrize(
    ("value", "says"), [("0", "any address"), ("1", "in the network of"), ("3", "reserved")]
)
def test_announcing(value: str, says: str) -> None:
    host = with_sysctl(DIRECT, all__arp_announce="0", eth0__arp_announce=value)
    result = fails(DIRECT, good(DIRECT, host=host))["arp_announce"]
    assert says in result.message
    assert result.fix == "sysctl -w net/ipv4/conf/eth0/arp_announce=2"


def test_announcing_by_the_interface_that_replies_leave_by() -> None:
    host = with_sysctl(DIRECT, all__arp_announce="0", eth0__arp_announce="2", eth1__arp_announce="0")
    leaving = path(DIRECT)
    away = leaving._replace(reply=leaving.reply._replace(device="eth1")) if leaving.reply else leaving
    result = fails(DIRECT, good(DIRECT, host=host, paths={DIRECT.virtual: away}))["arp_announce"]
    assert result.fix == "sysctl -w net/ipv4/conf/eth1/arp_announce=2"


@pytest.mark.parametrize(
    ("one", "fix"),
    [(DIRECT, "sysctl -w net/ipv4/conf/all/arp_announce=2"), (BY_TABLE, "kernelbal realserver apply")],
)
def test_what_mends_a_name_in_questions(one: Preparation, fix: str) -> None:
    evidence = good(one, wires={one.virtual: (wire(one, named_sender=True),)})
    assert fails(one, evidence)["silent"].fix == fix


def test_arp_table_without_an_interface_that_nothing_leaves_by() -> None:
    made = prepared_host(BY_TABLE)
    (table,) = made.tables
    fewer = tuple(
        chain._replace(rules=tuple(rule for rule in chain.rules if "eth1" not in rule.text))
        for chain in table.chains
    )
    assert fewer != table.chains
    evidence = good(BY_TABLE, host=replace(made, tables=(table._replace(chains=fewer),)))
    assert fails(BY_TABLE, evidence) == {}
    leaving = path(BY_TABLE)
    away = leaving._replace(reply=leaving.reply._replace(device="eth1")) if leaving.reply else leaving
    assert "eth1" in fails(BY_TABLE, replace(evidence, paths={BY_TABLE.virtual: away}))["arp table"].message


def test_arp_table_that_is_not_in_force() -> None:
    host = replace(prepared_host(BY_TABLE), tables=())
    result = fails(BY_TABLE, good(BY_TABLE, host=host))["arp table"]
    assert "10.0.0.80 in set virtual4" in result.message
    assert "drop" in result.message


def test_arp_table_without_this_address() -> None:
    made = prepared_host(BY_TABLE)
    (table,) = made.tables
    other = tuple(each._replace(elements=(("10.0.0.99",),)) for each in table.sets)
    evidence = good(BY_TABLE, host=replace(made, tables=(table._replace(sets=other),)))
    assert fails(BY_TABLE, evidence)["arp table"].message.endswith("lacks 10.0.0.80 in set virtual4")


def test_table_of_another_hook_is_not_in_force() -> None:
    made = prepared_host(BY_TABLE)
    (table,) = made.tables
    moved: NftTable = table._replace(chains=tuple(each._replace(priority=7) for each in table.chains))
    assert "arp table" in fails(BY_TABLE, good(BY_TABLE, host=replace(made, tables=(moved,))))


def test_missing_library_is_told() -> None:
    found = judged(BY_TABLE, good(BY_TABLE, no_nftables="libnftables.so.1 is missing"))["arp table"]
    assert found[0].status is ResultStatus.UNKNOWN
    assert "libnftables.so.1" in found[0].message


# --- heard ---


def test_answer_that_somebody_heard() -> None:
    evidence = good(DIRECT, wires={VIP: (wire(DIRECT, claims=(THIEF,)),)})
    assert fails(DIRECT, evidence)["silent"].message == f"{THIEF} answers for 10.0.0.80"
    host = with_sysctl(DIRECT, eth0__arp_ignore="3")
    assert judged(DIRECT, replace(evidence, host=host))["silent"][0].consequence_of == "arp_ignore"


def test_question_in_the_wrong_name() -> None:
    evidence = good(DIRECT, wires={VIP: (wire(DIRECT, named_sender=True),)})
    assert "in the name of 10.0.0.80" in fails(DIRECT, evidence)["silent"].message


def test_question_in_the_right_name_is_told() -> None:
    told = {asked: wire(DIRECT, asked_neighbour=asked) for asked in (True, False)}
    texts = {
        asked: judged(DIRECT, good(DIRECT, wires={VIP: (each,)}))["silent"][0].message
        for asked, each in told.items()
    }
    assert texts[True] == texts[False] + "; asks its neighbours as itself"


def test_silence_about_everything_proves_nothing() -> None:
    evidence = good(DIRECT, wires={VIP: (wire(DIRECT, control_answered=False),)})
    assert "10.0.0.11" in fails(DIRECT, evidence)["silent"].message
    evidence = good(DIRECT, wires={VIP: (wire(DIRECT, control=None),)})
    assert judged(DIRECT, evidence)["silent"][0].status is ResultStatus.UNKNOWN


@pytest.mark.parametrize("virtual", [VIP, VIP6])
def test_what_was_not_asked_is_told(virtual: bytes) -> None:
    one = prepared(virtual, Method.LOOPBACK, None, HTTP)
    nothing = judged(one, good(one, wires={}))
    assert [nothing[name][0].status for name in ("silent", "answer")] == [ResultStatus.UNKNOWN] * 2
    refused = judged(one, good(one, wires={one.virtual: (wire(one, skipped="no clsact"),)}))
    assert [refused[name][0].message for name in ("silent", "answer")] == ["no clsact"] * 2


def test_an_address_that_is_not_in_use_cannot_answer() -> None:
    one = prepared(VIP6, Method.LOOPBACK, None, HTTP)
    evidence = good(one, unusable={REAL6: "tentative"}, wires={VIP6: (wire(one, control_answered=False),)})
    assert fails(one, evidence).keys() == {"real address"}
