"""Receivers and judgements as JSON."""

import json
import re

import pytest
from msgspec import to_builtins

from kernelbal.model.address import AF_INET6
from kernelbal.store.codec import Codec, Malformed
from kernelbal.vrrp.document import ReceiverDocument, decoded, receiver_of
from kernelbal.vrrp.packet import ChecksumStyle
from kernelbal.vrrp.receive import Delivery, HmacKeys, HmacMode, judge
from tests.support.vrrp_packets import ADVERT2, KEY, LOCAL, PEER, RECEIVER, advert_packet, ip_packet

LEAST = {"vrid": 51, "local": "192.0.2.11", "addresses": ["192.0.2.100"]}


def read(**more: object) -> ReceiverDocument:
    return Codec(ReceiverDocument).decode(json.dumps({**LEAST, **more}).encode())


def test_least_receiver() -> None:
    assert receiver_of(read()) == RECEIVER


def test_whole_receiver() -> None:
    auth = {"type": "hmac", "keys": {"1": KEY.hex()}, "window_s": 9, "mode": "permissive", "active_key": 1}
    found = receiver_of(read(mode="unicast", peers=["192.0.2.10"], auth=auth, checksum="rfc5798"))
    assert (found.mode, found.local, found.peers) == (Delivery.UNICAST, LOCAL, frozenset([PEER]))
    assert found.hmac == HmacKeys({1: KEY}, HmacMode.PERMISSIVE, 9)
    assert found.checksum == {ChecksumStyle.RFC5798}


def test_password_counts_for_its_type_alone() -> None:
    assert receiver_of(read(auth={"type": "simple", "password": "geheim"})).password == b"geheim"
    assert receiver_of(read(auth={"password": "geheim"})).password == b""


@pytest.mark.parametrize("family", [6, "ipv6"])
def test_ipv6(family: object) -> None:
    found = receiver_of(read(family=family, local="fe80::11", addresses=["fe80::100"]))
    assert found.family == AF_INET6


@pytest.mark.parametrize(
    ("more", "place"),
    [
        ({"vrid": 0}, "$.vrid"),
        ({"local": "192.0.2.256"}, "$.local"),
        ({"mode": "anycast"}, "$.mode"),
        ({"auth": {"keys": {"1": "00"}}}, "$.auth.keys"),
        ({"vrdi": 1}, "vrdi"),
    ],
)
def test_invalid_document(more: dict[str, object], place: str) -> None:
    with pytest.raises(Malformed) as refused:
        read(**more)
    assert place in str(refused.value)


@pytest.mark.parametrize(
    ("more", "place"),
    [
        ({"family": 6}, "$.local"),
        ({"peers": ["fe80::1"]}, "$.peers"),
        ({"version": 2, "family": 6, "local": "fe80::1", "addresses": []}, "$.version"),
        ({"auth": {"type": "hmac", "keys": {"256": KEY.hex()}}}, "$.auth.keys"),
    ],
)
def test_contradiction(more: dict[str, object], place: str) -> None:
    with pytest.raises(ValueError, match=re.escape(place)):
        receiver_of(read(**more))


def test_fields_of_an_advertisement() -> None:
    document = to_builtins(decoded(judge(advert_packet(ADVERT2))))
    assert document["fields"] == {
        "version": 2,
        "type": 1,
        "vrid": 51,
        "priority": 100,
        "count": 1,
        "interval_cs": 100,
        "addresses": ["192.0.2.100"],
        "checksum_style": "rfc9568",
    }
    assert (document["source"], document["destination"], document["ttl"]) == ("192.0.2.10", "224.0.0.18", 255)


def test_fields_that_could_be_read() -> None:
    cut = to_builtins(decoded(judge(ip_packet(advert_packet()[20:-1]))))
    assert cut["fields"] == {"version": 3, "type": 1, "vrid": 51, "priority": 100, "count": 1}
    carp = to_builtins(decoded(judge(ip_packet(bytes.fromhex("21070a0700010000") + bytes(28)))))
    assert carp["fields"] == {"carp_vhid": 7, "advskew": 10, "advbase_s": 1}
    assert to_builtins(decoded(judge(b"")))["fields"] == {}
