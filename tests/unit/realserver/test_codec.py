"""The record is read as it was written, and damage is noticed."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernelbal.kernel.record_codec import Malformed
from kernelbal.model.address import Address
from kernelbal.model.ipvs import TunnelType
from kernelbal.model.network import AddressKey, GueListener
from kernelbal.realserver.codec import decode_record, encode_record
from kernelbal.realserver.preparation import Encapsulation, Method, PortMap, Preparation
from kernelbal.realserver.setup import Record

ADDRESSES = st.one_of(st.binary(min_size=4, max_size=4), st.binary(min_size=16, max_size=16)).map(Address)
NAMES = st.text("abc.-@0", min_size=1, max_size=15)
PORTS = st.integers(1, 65535)
PREPARATIONS = st.builds(
    Preparation,
    virtual=ADDRESSES,
    real=ADDRESSES,
    interfaces=st.lists(NAMES, max_size=3).map(tuple),
    method=st.sampled_from(Method),
    tunnel=st.none() | st.builds(Encapsulation, st.sampled_from(TunnelType), st.integers(0, 65535)),
    own=st.none() | ADDRESSES,
    ports=st.lists(st.builds(PortMap, st.sampled_from([6, 17, 132]), PORTS, PORTS), max_size=3).map(tuple),
    mtu_bytes=st.integers(576, 65535),
    at_boot=st.booleans(),
)
RECORDS = st.builds(
    Record,
    preparations=st.lists(PREPARATIONS, max_size=3).map(tuple),
    sysctls=st.dictionaries(NAMES, st.text(max_size=5), max_size=3),
    links=st.frozensets(NAMES, max_size=3),
    addresses=st.frozensets(st.builds(AddressKey, NAMES, ADDRESSES, st.integers(0, 128)), max_size=3),
    listeners=st.frozensets(st.builds(GueListener, PORTS, st.sampled_from([2, 10])), max_size=2),
    files=st.dictionaries(NAMES, st.none() | st.text(), max_size=3),
    tables=st.frozensets(st.sampled_from(["arp", "inet"])),
    persist=st.sampled_from(["", "unit"]),
)


@given(RECORDS)
def test_round_trip(record: Record) -> None:
    assert decode_record(encode_record(record)) == record


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"schema": 9}', '{"schema": 1}', encode_record(Record()).replace("[]", "[7]", 1)],
)
def test_damage_is_noticed(text: str) -> None:
    with pytest.raises(Malformed):
        decode_record(text)


@given(RECORDS.filter(lambda record: bool(record.preparations)), st.data())
def test_a_value_of_another_kind_is_damage(record: Record, data: st.DataObject) -> None:
    document = json.loads(encode_record(record))
    key = data.draw(st.sampled_from(["address", "method", "interfaces", "mtu_bytes", "at_boot"]))
    document["preparations"][0][key] = data.draw(st.sampled_from([None, 7.5]))
    with pytest.raises(Malformed):
        decode_record(json.dumps(document))


@given(RECORDS.filter(lambda record: bool(record.preparations)), st.sampled_from([-5, 70_000]))
def test_a_port_out_of_range_is_damage(record: Record, port: int) -> None:
    for place in ("tunnel", "ports", "listeners"):
        document = json.loads(encode_record(record))
        if place == "listeners":
            document["listeners"] = [[port, 2]]
        else:
            damaged = {"tunnel": {"type": "gue", "port": port}, "ports": [[6, 80, port]]}[place]
            document["preparations"][0][place] = damaged
        with pytest.raises(Malformed, match=f"{port} is no port"):
            decode_record(json.dumps(document))
