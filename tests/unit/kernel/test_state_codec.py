"""The ownership record and the snapshot as text."""

import json
import time
from dataclasses import replace
from typing import Any

import pytest

from kernelbal.kernel.record_codec import Malformed
from kernelbal.kernel.state_codec import (
    Snapshot,
    decode_ownership,
    decode_snapshot,
    encode_ownership,
    encode_snapshot,
)
from kernelbal.model.address import AF_INET, AF_INET6, Address, parse_address
from kernelbal.model.ipvs import (
    DestinationAttributes,
    DestinationKey,
    ServiceAttributes,
    ServiceKey,
    Timeouts,
    VirtualServer,
)
from kernelbal.model.network import AddressAttributes, AddressKey, LinkState, Sysctl
from kernelbal.model.policy_route import ANYWHERE, NextHop, Rule, TableRouteKey
from kernelbal.model.state import DesiredState, Drain, DrainKey, Ownership, ServicePolicy
from kernelbal.plan.classifier import build_table

V4, V6 = parse_address("192.0.2.10"), parse_address("2001:db8::10")
WEB = ServiceKey(AF_INET, 6, V4, 80)
WEB6 = ServiceKey(AF_INET6, 17, V6, 53)
MARKED = ServiceKey(AF_INET6, 0, Address(b""), 0, 0x4B000001)
SERVER = DestinationKey(parse_address("10.0.0.11"), 80)
SERVER6 = DestinationKey(parse_address("fd00::11"), 0)

OWNERSHIP = Ownership(
    boot_id="5f1b",
    services=frozenset({WEB, WEB6, MARKED}),
    addresses=frozenset({AddressKey("eth0", V4, 24), AddressKey("eth0.5", V6, 128)}),
    links=frozenset({"tunl0"}),
    sysctls={"net/ipv4/vs/sync_threshold": "3\t50", "net/ipv4/ip_forward": "0"},
    timeouts=Timeouts(900, 120, 300),
    drains={DrainKey(WEB, SERVER): Drain(12.5, 72.5), DrainKey(MARKED, SERVER6): Drain(1.0, 2.0)},
    drain_s={MARKED: 0.0, WEB: 7.5},
)
STATE = DesiredState(
    services={
        WEB: VirtualServer(
            ServiceAttributes("wlc", 1, 300, 24, ""),
            {
                SERVER: DestinationAttributes(0, 65535, 10, 5),
                SERVER6: DestinationAttributes(2, 0, 0, 0, 1, 5555, 1),
            },
        ),
        MARKED: VirtualServer(ServiceAttributes("mh", 0x18, 0, 128, "sip")),
    },
    policies={WEB: ServicePolicy("web", 60.0)},
    addresses={AddressKey("eth0", V6, 128): AddressAttributes(no_dad=True, deprecated=True)},
    links=(LinkState("tunl0", "ipip", 1480),),
    sysctls=(Sysctl("net/ipv4/ip_forward", "1", "Replies are routed.", optional=True),),
    nft=build_table({(V4, 6, 80, 443): 1, (V6, 17, 53, 53): 2}, frozenset({1})),
    timeouts=Timeouts(),
    rules=frozenset(
        {Rule(2, 500, 300, V4, 32, ANYWHERE[2], 0), Rule(10, 19200, 19300, ANYWHERE[10], 0, V6, 64)}
    ),
    table_routes={
        TableRouteKey(300, ANYWHERE[2], 0): NextHop(V4, "eth0"),
        TableRouteKey(19300, ANYWHERE[10], 0): NextHop(None, "eth1"),
    },
)
SNAPSHOT = Snapshot(STATE, 99.5, "5f1b")


@pytest.mark.parametrize("ownership", [OWNERSHIP, Ownership(), replace(OWNERSHIP, timeouts=None, drains={})])
def test_ownership_comes_back(ownership: Ownership) -> None:
    assert decode_ownership(encode_ownership(ownership)) == ownership


def test_equal_records_are_equal_text() -> None:
    other = replace(OWNERSHIP, sysctls=dict(reversed(OWNERSHIP.sysctls.items())))
    assert encode_ownership(other) == encode_ownership(OWNERSHIP)


@pytest.mark.parametrize("state", [STATE, DesiredState()])
def test_snapshot_comes_back(state: DesiredState) -> None:
    snapshot = Snapshot(state, 99.5, "5f1b")
    found = decode_snapshot(encode_snapshot(snapshot))
    assert found == snapshot
    assert list(found.state.services) == list(state.services)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "{}", '{"services":[]}', "\0", "[" * 100_000])
def test_text_that_is_no_record_is_refused(text: str) -> None:
    for decode in (decode_ownership, decode_snapshot):
        with pytest.raises(Malformed):
            decode(text)


def test_another_layout_is_refused_by_its_number() -> None:
    text = encode_ownership(OWNERSHIP).replace('"schema":1', '"schema":2')
    with pytest.raises(Malformed, match="number 2, this version knows 1"):
        decode_ownership(text)


@pytest.mark.parametrize("cut", [2, 50, 200, 300])
def test_record_that_was_cut_off_is_refused(cut: int) -> None:
    with pytest.raises(Malformed):
        decode_ownership(encode_ownership(OWNERSHIP)[:-cut])


@pytest.mark.parametrize("name", json.loads(encode_ownership(OWNERSHIP)))
def test_record_with_a_part_missing_or_mistyped_is_refused(name: str) -> None:
    document: dict[str, Any] = json.loads(encode_ownership(OWNERSHIP))
    for value in (7.5, [[7.5]], {"x": 7.5}):
        with pytest.raises(Malformed):
            decode_ownership(json.dumps({**document, name: value}))
    del document[name]
    if name != "drain_s":
        with pytest.raises(Malformed):
            decode_ownership(json.dumps(document))


def test_record_of_an_older_release_has_no_drain_times() -> None:
    document: dict[str, Any] = json.loads(encode_ownership(OWNERSHIP))
    del document["drain_s"]
    assert decode_ownership(json.dumps(document)) == replace(OWNERSHIP, drain_s={})


@pytest.mark.parametrize("name", [n for n in json.loads(encode_snapshot(SNAPSHOT)) if n != "deadline_at"])
def test_snapshot_with_a_part_missing_or_mistyped_is_refused(name: str) -> None:
    document: dict[str, Any] = json.loads(encode_snapshot(SNAPSHOT))
    for value in (7.5, [[7.5]], {"x": 7.5}):
        with pytest.raises(Malformed):
            decode_snapshot(json.dumps({**document, name: value}))
    del document[name]
    with pytest.raises(Malformed):
        decode_snapshot(json.dumps(document))


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ('"c000020a",80', '"c000020a","80"'),
        ('"c000020a",80', '"c000020a",true'),
        ('"c000020a",24', '"c0000",24'),
    ],
)
def test_values_of_another_type_are_refused(right: str, wrong: str) -> None:
    text = encode_ownership(OWNERSHIP)
    assert right in text
    with pytest.raises(Malformed):
        decode_ownership(text.replace(right, wrong))


@pytest.mark.slow
def test_a_hundred_thousand_real_servers_take_seconds_at_most() -> None:
    services = {
        ServiceKey(AF_INET, 6, Address(bytes([10, n >> 8 & 255, n & 255, 1])), 80): VirtualServer(
            ServiceAttributes("wlc", 0, 0, 32, ""),
            {
                DestinationKey(Address(bytes([172, n >> 8 & 255, n & 255, m])), 80): DestinationAttributes(
                    0, 100
                )
                for m in range(10)
            },
        )
        for n in range(10_000)
    }
    snapshot = Snapshot(DesiredState(services=services), 1.0, "5f1b")
    ownership = Ownership(services=frozenset(services))
    started = time.process_time()
    assert decode_snapshot(encode_snapshot(snapshot)) == snapshot
    assert decode_ownership(encode_ownership(ownership)) == ownership
    assert time.process_time() - started < 5
