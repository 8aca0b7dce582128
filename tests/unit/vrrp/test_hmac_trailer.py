"""The authenticated trailer."""

import hashlib
import hmac

import pytest

from kernelbal.model.address import AF_INET, parse_address
from kernelbal.vrrp.hmac_trailer import TRAILER_BYTES, in_window, is_later, is_signed_by, parse_trailer, sign
from kernelbal.vrrp.ip import parse_ip
from kernelbal.vrrp.packet import GROUPS, ChecksumStyle, build_advertisement, checksum_styles
from tests.support.vrrp_packets import ADVERT, ADVERT6, KEY, NOW_S, PEER, PEER6, ip_packet, signed_packet

MESSAGE = build_advertisement(ADVERT, PEER, GROUPS[AF_INET])


DRAFT = [
    (
        "198.51.100.10",
        "3133c80100644402c0000264" + "010100006800000080000000" + "1b84bc4e8e43892dc6d98448f8ee2265",
    ),
    (
        "fe80::10",
        "3133c8010064a2e9fe800000000000000000000000000100"
        + "010100006800000080000000"
        + "c8c56146ebfd66ee10ec4d8186461b78",
    ),
]
"""Vectors in the appendix of the draft, as keepalived's `test/auth_hmac_test.c` has them."""


@pytest.mark.parametrize(("sender", "hexed"), DRAFT, ids=["IPv4", "IPv6"])
def test_vectors_of_the_draft(sender: str, hexed: str) -> None:
    payload, source = bytes.fromhex(hexed), parse_address(sender)
    message, trailer = payload[:-TRAILER_BYTES], payload[-TRAILER_BYTES:]
    assert sign(message, 1, KEY, source, 0x6800_0000_8000_0000) == trailer
    assert is_signed_by(payload, KEY, source)
    destination = GROUPS[AF_INET] if len(source) == 4 else parse_address("fe80::20")
    packet = parse_ip(ip_packet(payload, source, destination))
    assert list(checksum_styles(packet, len(message))) == [ChecksumStyle.RFC9568]


def test_octets_under_the_hmac() -> None:
    trailer = sign(MESSAGE, 7, KEY, PEER, NOW_S << 32 | 0x8000_0001)
    head = bytes([1, 7, 0, 0]) + NOW_S.to_bytes(4, "big") + bytes([0x80, 0, 0, 1])
    pseudo = bytes([4, 3, 51, 0]) + PEER + bytes(12)
    expected = hmac.new(
        KEY, pseudo + MESSAGE[:6] + bytes(2) + MESSAGE[8:] + head + bytes(16), hashlib.sha256
    ).digest()
    assert trailer == head + expected[:16]
    assert parse_trailer(trailer) == (1, 7, 0, NOW_S << 32 | 0x8000_0001, expected[:16])


def test_signature_holds_for_key_source_and_every_octet_but_the_checksum() -> None:
    payload = parse_ip(signed_packet()).payload
    assert is_signed_by(payload, KEY, PEER)
    assert not is_signed_by(payload, KEY[::-1], PEER)
    assert not is_signed_by(payload, KEY, GROUPS[AF_INET])
    for at in range(len(payload)):
        changed = payload[:at] + bytes([payload[at] ^ 1]) + payload[at + 1 :]
        assert is_signed_by(changed, KEY, PEER) == (at in (6, 7)), at


def test_ipv6_has_another_pseudo_header() -> None:
    message = build_advertisement(ADVERT6, PEER6, GROUPS[10])
    payload = message + sign(message, 1, KEY, PEER6, 1)
    assert len(payload) == len(message) + TRAILER_BYTES
    assert is_signed_by(payload, KEY, PEER6)
    assert not is_signed_by(payload, KEY, PEER)


@pytest.mark.parametrize(
    ("sequence", "than", "later"),
    [(2, 1, True), (1, 1, False), (1, 2, False), (0, (1 << 64) - 1, True), ((1 << 64) - 1, 0, False)],
)
def test_serial_numbers(sequence: int, than: int, later: bool) -> None:
    assert is_later(sequence, than) is later


@pytest.mark.parametrize(
    ("signed", "now", "inside"),
    [(100, 105, True), (100, 106, False), (105, 100, True), (106, 100, False), (0xFFFFFFFF, 3, True)],
)
def test_window(signed: int, now: int, inside: bool) -> None:
    assert in_window(signed << 32 | 5, now, 5) is inside
