"""Advertisements on the wire: vectors that scapy agrees with, both ways."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernelbal.model.address import AF_INET, AF_INET6, Address, parse_address
from kernelbal.vrrp.ip import parse_ip
from kernelbal.vrrp.packet import (
    GROUPS,
    Advertisement,
    ChecksumStyle,
    build_advertisement,
    checksum_styles,
    is_link_local,
    message_bytes,
    parse_advertisement,
)
from tests.support.vrrp_packets import ADVERT, ADVERT2, ADVERT6, PEER, PEER6, advert_packet, ip_packet

RFC9568, RFC5798 = ChecksumStyle.RFC9568, ChecksumStyle.RFC5798
VECTORS = [
    (ADVERT2, RFC9568, "213364010001b865c00002640000000000000000"),
    (ADVERT, RFC9568, "313364010064a802c0000264"),
    (ADVERT, RFC5798, "3133640100640569c0000264"),
    (ADVERT6, RFC9568, "3133640200643deefe80000000000000000000000000010020010db8000000000000000000000100"),
]


@pytest.mark.parametrize(("advert", "style", "hexed"), VECTORS)
def test_vectors(advert: Advertisement, style: ChecksumStyle, hexed: str) -> None:
    payload = bytes.fromhex(hexed)
    family = AF_INET if len(advert.addresses[0]) == 4 else AF_INET6
    source = PEER if family == AF_INET else PEER6
    assert build_advertisement(advert, source, GROUPS[family], style) == payload
    assert parse_advertisement(payload, family)[:5] == advert[:5]
    packet = parse_ip(ip_packet(payload, source))
    assert list(checksum_styles(packet, len(payload))) == [style]


@given(
    version=st.sampled_from([2, 3]),
    vrid=st.integers(1, 255),
    priority=st.integers(0, 255),
    interval=st.integers(1, 255),
    addresses=st.lists(st.binary(min_size=4, max_size=4).map(Address), min_size=1, max_size=20),
    style=st.sampled_from(ChecksumStyle),
)
def test_what_is_built_is_read(
    version: int,
    vrid: int,
    priority: int,
    interval: int,
    addresses: list[Address],
    style: ChecksumStyle,
) -> None:
    scale = 100 if version == 2 else 1
    advert = Advertisement(version, vrid, priority, interval * scale, tuple(addresses))
    packet = parse_ip(advert_packet(advert, style=style))
    length = message_bytes(version, len(addresses), AF_INET)
    assert len(packet.payload) == length
    assert parse_advertisement(packet.payload, AF_INET)[:5] == advert[:5]
    assert (RFC9568 if version == 2 else style) in checksum_styles(packet, length)


def test_password_is_padded() -> None:
    advert = ADVERT2._replace(auth_type=1, auth_data=b"geheim")
    payload = parse_ip(advert_packet(advert)).payload
    assert parse_advertisement(payload, AF_INET) == advert._replace(auth_data=b"geheim\0\0")


@pytest.mark.parametrize(("text", "is_one"), [("fe80::1", True), ("febf::1", True), ("fec0::1", False)])
def test_link_local(text: str, is_one: bool) -> None:
    assert is_link_local(parse_address(text)) is is_one
    assert not is_link_local(parse_address("254.128.0.1"))
