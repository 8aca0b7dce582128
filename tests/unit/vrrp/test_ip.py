"""The IP packet around an advertisement."""

import pytest

from kernelbal.model.address import AF_INET, AF_INET6
from kernelbal.vrrp.ip import NotIp, parse_ip
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
