"""Which packets count."""

from dataclasses import replace

import pytest

from kernelbal.model.address import AF_INET, parse_address
from kernelbal.vrrp.hmac_trailer import sign
from kernelbal.vrrp.ip import parse_ip
from kernelbal.vrrp.packet import GROUPS, ChecksumStyle, build_advertisement
from kernelbal.vrrp.receive import (
    MAX_SENDERS,
    Carp,
    Delivery,
    HmacKeys,
    HmacMode,
    PacketNote,
    Reason,
    Senders,
    Verdict,
    VirtualRouter,
    judge,
)
from tests.support.vrrp_packets import (
    ADVERT,
    ADVERT2,
    ADVERT6,
    KEY,
    LOCAL,
    LOCAL6,
    NOW_S,
    PEER,
    RECEIVER,
    RECEIVER2,
    RECEIVER6,
    VIP,
    VIP6,
    advert_packet,
    ip_packet,
    signed_packet,
    with_octet,
)

STRANGER = parse_address("192.0.2.66")
UNICAST = replace(RECEIVER, mode=Delivery.UNICAST, peers=frozenset([PEER]), min_ttl=254)
SIMPLE = replace(RECEIVER2, password=b"geheim")
ENFORCED = replace(RECEIVER, hmac=HmacKeys({1: KEY}))
AH = bytes([112, 4, *bytes(22)])
"""An authentication header as keepalived sends it: next header, length, SPI, sequence number, HMAC-MD5-96."""
PROTECTED = ip_packet(AH + advert_packet(ADVERT2._replace(auth_type=2))[20:], protocol=51)
CARP = ip_packet(bytes.fromhex("21070a0700010000") + bytes(28))


@pytest.mark.parametrize(
    ("packet", "receiver"),
    [
        (advert_packet(), RECEIVER),
        (advert_packet(ADVERT2), RECEIVER2),
        (advert_packet(ADVERT6), RECEIVER6),
        (advert_packet(ADVERT._replace(priority=0)), RECEIVER),
        (advert_packet(ADVERT2._replace(auth_type=1, auth_data=b"geheim")), SIMPLE),
        (advert_packet(destination=LOCAL, ttl=254), UNICAST),
        (signed_packet(), ENFORCED),
        (advert_packet() + bytes(14), RECEIVER),
    ],
    ids=["v3", "v2", "IPv6", "leaving", "password", "unicast", "HMAC", "padding"],
)
def test_accepted(packet: bytes, receiver: VirtualRouter) -> None:
    judged = judge(packet, receiver, now_s=NOW_S)
    assert (judged.verdict, judged.reason, judged.text, judged.remarks) == (Verdict.ACCEPT, None, "", ())
    if receiver.mode is Delivery.MULTICAST:
        assert judge(packet).verdict is Verdict.ACCEPT


@pytest.mark.parametrize(
    ("packet", "receiver", "reason"),
    [
        (b"", RECEIVER, Reason.LENGTH),
        (ip_packet(b"\x31\x33\x64\1\0\x64\0"), RECEIVER, Reason.LENGTH),
        (ip_packet(advert_packet()[20:] + b"\0"), RECEIVER, Reason.LENGTH),
        (with_octet(advert_packet(), 23, 2), RECEIVER, Reason.LENGTH),
        (with_octet(advert_packet(), 20, 0x41), RECEIVER, Reason.VERSION),
        (advert_packet(ADVERT2), RECEIVER, Reason.VERSION),
        (advert_packet(), RECEIVER2, Reason.VERSION),
        (advert_packet(ttl=254), RECEIVER, Reason.TTL),
        (advert_packet(destination=LOCAL, ttl=253), UNICAST, Reason.TTL),
        (with_octet(advert_packet(), 20, 0x32), RECEIVER, Reason.TYPE),
        (advert_packet(ADVERT._replace(addresses=())), RECEIVER, Reason.COUNT),
        (advert_packet(ADVERT._replace(interval_cs=0)), RECEIVER, Reason.INTERVAL),
        (advert_packet(ADVERT2._replace(interval_cs=200)), RECEIVER2, Reason.INTERVAL),
        (advert_packet(source=parse_address("224.0.0.5")), RECEIVER, Reason.SOURCE),
        (advert_packet(ADVERT6, source=VIP6), RECEIVER6, Reason.SOURCE),
        (advert_packet()[:-1] + b"\0", RECEIVER, Reason.CHECKSUM),
        (
            advert_packet(style=ChecksumStyle.RFC5798),
            replace(RECEIVER, checksum=frozenset([ChecksumStyle.RFC9568])),
            Reason.CHECKSUM,
        ),
        (advert_packet(destination=LOCAL), RECEIVER, Reason.DESTINATION),
        (advert_packet(), UNICAST, Reason.DESTINATION),
        (advert_packet(source=STRANGER, destination=LOCAL), UNICAST, Reason.PEER),
        (advert_packet(ADVERT2), SIMPLE, Reason.AUTH),
        (advert_packet(ADVERT2._replace(auth_type=1, auth_data=b"other")), SIMPLE, Reason.AUTH),
        (advert_packet(ADVERT2._replace(auth_type=1)), RECEIVER2, Reason.AUTH),
        (ip_packet(advert_packet()[20:], protocol=51), RECEIVER, Reason.AUTH),
        (PROTECTED, RECEIVER2, Reason.AUTH),
        (PROTECTED, RECEIVER, Reason.VERSION),
        (advert_packet(), ENFORCED, Reason.AUTH),
        (signed_packet(key=KEY[::-1]), ENFORCED, Reason.AUTH),
        (signed_packet(key_id=2), ENFORCED, Reason.AUTH),
        (signed_packet((NOW_S - 6) << 32), ENFORCED, Reason.STALE),
        (signed_packet((NOW_S + 6) << 32), ENFORCED, Reason.STALE),
    ],
)
def test_rejected(packet: bytes, receiver: VirtualRouter, reason: Reason) -> None:
    judged = judge(packet, receiver, now_s=NOW_S)
    assert (judged.verdict, judged.reason) == (Verdict.REJECT, reason), judged.text
    assert judged.text


@pytest.mark.parametrize(
    ("packet", "receiver", "reason"),
    [
        (ip_packet(b"", protocol=6), RECEIVER, Reason.NOT_VRRP),
        (CARP, RECEIVER, Reason.NOT_VRRP),
        (ip_packet(b"\6" + AH[1:], protocol=51), RECEIVER, Reason.NOT_VRRP),
        (PROTECTED, replace(RECEIVER2, vrid=52), Reason.VRID),
        (advert_packet(ADVERT._replace(vrid=52)), RECEIVER, Reason.VRID),
        (advert_packet(ADVERT6), RECEIVER, Reason.VRID),
        (advert_packet(source=LOCAL), RECEIVER, Reason.OWN),
        (advert_packet(ADVERT6, source=LOCAL6), RECEIVER6, Reason.OWN),
    ],
)
def test_ignored(packet: bytes, receiver: VirtualRouter, reason: Reason) -> None:
    judged = judge(packet, receiver)
    assert (judged.verdict, judged.reason) == (Verdict.IGNORE, reason), judged.text


def test_virtual_id_0_is_nobodys() -> None:
    assert judge(advert_packet(ADVERT._replace(vrid=0))).reason is Reason.VRID


def test_advertisement_in_an_authentication_header_is_read() -> None:
    judged = judge(PROTECTED)
    assert (judged.reason, judged.text) == (Reason.AUTH, "IPsec AH (RFC 2338 type 2), which is not supported")
    assert judged.advert == ADVERT2._replace(auth_type=2, auth_data=bytes(8))
    assert judged.packet == parse_ip(advert_packet(ADVERT2._replace(auth_type=2)))


def test_version_2_has_a_trailer_too() -> None:
    message = build_advertisement(ADVERT2, PEER, GROUPS[AF_INET])
    packet = ip_packet(message + sign(message, 1, KEY, PEER, NOW_S << 32))
    receiver = replace(RECEIVER2, hmac=HmacKeys({1: KEY}))
    assert judge(packet, receiver, now_s=NOW_S).verdict is Verdict.ACCEPT
    assert judge(ip_packet(packet[20:-1]), receiver, now_s=NOW_S).reason is Reason.LENGTH
    forged = ip_packet(message + sign(message, 1, KEY[::-1], PEER, NOW_S << 32))
    assert judge(forged, receiver, now_s=NOW_S).reason is Reason.AUTH


def test_carp_is_named() -> None:
    assert judge(CARP).carp == Carp(vhid=7, advskew=10, advbase_s=1)


@pytest.mark.parametrize(
    ("packet", "receiver", "remarks"),
    [
        (advert_packet(style=ChecksumStyle.RFC5798), RECEIVER, {PacketNote.CHECKSUM_RFC5798}),
        (advert_packet(ADVERT._replace(interval_cs=10)), RECEIVER, {PacketNote.INTERVAL_DIFFERS}),
        (advert_packet(ADVERT._replace(addresses=(VIP, STRANGER))), RECEIVER, {PacketNote.ADDRESSES_DIFFER}),
        (
            advert_packet(ADVERT._replace(addresses=(STRANGER,))),
            RECEIVER,
            {PacketNote.ADDRESSES_DIFFER, PacketNote.ADDRESSES_FOREIGN},
        ),
        (
            advert_packet(ADVERT6._replace(addresses=ADVERT6.addresses[::-1])),
            RECEIVER6,
            {PacketNote.FIRST_NOT_LINK_LOCAL},
        ),
        (signed_packet(), RECEIVER, {PacketNote.TRAILER_NOT_VERIFIED}),
        (
            advert_packet(),
            replace(RECEIVER, hmac=HmacKeys({1: KEY}, HmacMode.PERMISSIVE)),
            {PacketNote.NOT_AUTHENTICATED},
        ),
        (
            advert_packet(),
            replace(RECEIVER, hmac=HmacKeys({1: KEY}, HmacMode.RECEIVE_ONLY)),
            {PacketNote.NOT_AUTHENTICATED},
        ),
    ],
)
def test_remarks(packet: bytes, receiver: VirtualRouter, remarks: set[PacketNote]) -> None:
    judged = judge(packet, receiver, now_s=NOW_S)
    assert (judged.verdict, set(judged.remarks)) == (Verdict.ACCEPT, remarks), judged.text


def test_what_was_there_before_is_a_replay() -> None:
    senders = Senders()
    for sequence, reason in ((5, None), (5, Reason.REPLAY), (4, Reason.REPLAY), (6, None)):
        packet = signed_packet(NOW_S << 32 | sequence)
        assert judge(packet, ENFORCED, senders, NOW_S).reason is reason, sequence
    forged = signed_packet(NOW_S << 32 | 9, key=KEY[::-1])
    assert judge(forged, ENFORCED, senders, NOW_S).reason is Reason.AUTH
    assert senders.last == {PEER: NOW_S << 32 | 6}


def test_sender_whose_clock_was_set_back_starts_anew() -> None:
    senders = Senders()
    assert judge(signed_packet((NOW_S + 5) << 32), ENFORCED, senders, NOW_S).reason is None
    assert judge(signed_packet(NOW_S << 32), ENFORCED, senders, NOW_S).reason is Reason.REPLAY
    assert judge(signed_packet((NOW_S - 3) << 32), ENFORCED, senders, NOW_S - 2).reason is None


def test_senders_are_bounded() -> None:
    senders = Senders()
    for number in range(2 * MAX_SENDERS):
        assert not senders.is_replay(parse_address(f"192.0.2.{number}"), NOW_S << 32, NOW_S, 5)
    assert len(senders.last) == MAX_SENDERS
