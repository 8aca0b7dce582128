"""The IP packet around an advertisement."""

import pytest

from kernelbal.model.address import AF_INET, AF_INET6
from kernelbal.vrrp.ip import NotIp, parse_ip, without_ah
from tests.support.vrrp_packets import PEER, PEER6, VIP, VIP6, ip_packet


def test_both_families_without_the_padding_of_the_link() -> None:
    assert parse_ip(ip_packet(b"data", PEER, VIP, 254) + bytes(22)) == (
        AF_INET, PEER, VIP, 254, 112, b"data",
    )  # fmt: skip
    assert parse_ip(ip_packet(b"data", PEER6, VIP6, 3) + b"\0") == (AF_INET6, PEER6, VIP6, 3, 112, b"data")


def test_options_of_ipv4_are_passed_over() -> None:
    plain = ip_packet(b"data")
    assert (
        parse_ip(b"\x46" + plain[1:2] + b"\0\x1c" + plain[4:20] + b"\x94\4\0\0" + b"data").payload == b"data"
    )


def extended(headers: bytes, first: int) -> bytes:
    """A packet over IPv6 with extension headers of which the first one has a number."""
    return ip_packet(headers + b"data", PEER6, VIP6, protocol=first)


def test_extension_headers_of_ipv6_are_passed_over() -> None:
    hop, options, routing = bytes([60, 0, *bytes(6)]), bytes([43, 1, *bytes(14)]), bytes([112, 0, *bytes(6)])
    assert parse_ip(extended(hop + options + routing, 0) + b"padding")[4:] == (112, b"data")
    assert parse_ip(extended(bytes([0, *bytes(7)]) * 7 + routing, 0))[4:] == (112, b"data")
    assert parse_ip(ip_packet(b"data", PEER6, protocol=59)).protocol == 59


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (extended(bytes([0, *bytes(7)]) * 9, 0), "more than 8 extension"),
        (extended(b"", 0), "header 0 of 784 octets, 4 octets left"),
        (ip_packet(b"", PEER6, protocol=60), "header 60 of 8 octets, 0 octets left"),
        (extended(bytes([112, 9, *bytes(6)]), 60), "of 80 octets, 12 octets left"),
        (extended(bytes([112, 1, *bytes(6)]), 60) + bytes(20), "of 16 octets, 12 octets left"),
        (extended(bytes([112, 0, 0, 2, *bytes(4)]), 43), "through 2 more"),
        (extended(bytes([112, *bytes(7)]), 44), "fragment"),
        (extended(bytes([44, *bytes(7)]) * 2, 0), "fragment"),
    ],
)
def test_extension_headers_that_lead_nowhere(data: bytes, text: str) -> None:
    with pytest.raises(NotIp, match=text):
        parse_ip(data)


def test_authentication_header_is_taken_off() -> None:
    ah = bytes([112, 4, *bytes(22)])
    packet = parse_ip(ip_packet(ah + b"data", protocol=51))
    assert without_ah(packet) == packet._replace(protocol=112, payload=b"data")


@pytest.mark.parametrize(
    "ah", [b"", bytes([112, 4, *bytes(21)]), bytes([112, 0, *bytes(30)]), bytes([112, 255] * 9)]
)
def test_authentication_header_cut_short(ah: bytes) -> None:
    with pytest.raises(NotIp, match="authentication header of"):
        without_ah(parse_ip(ip_packet(ah, protocol=51)))


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", "no octets"),
        (b"\x55" + bytes(60), "version 5"),
        (ip_packet(b"data")[:19], "19 octets"),
        (ip_packet(b"data")[:23], "total length 24, 23 octets"),
        (b"\x44" + ip_packet(b"data")[1:], "header of 16"),
        (b"\x4f" + ip_packet(b"data")[1:], "header of 60"),
        (ip_packet(b"data")[:6] + b"\x20\0" + ip_packet(b"data")[8:], "fragment"),
        (ip_packet(b"data", PEER6)[:39], "39 octets"),
        (ip_packet(b"data", PEER6)[:43], "payload length 4, 3 octets"),
    ],
)
def test_no_whole_packet(data: bytes, text: str) -> None:
    with pytest.raises(NotIp, match=text):
        parse_ip(data)
