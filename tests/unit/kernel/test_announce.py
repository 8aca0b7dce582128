"""Frames that tell neighbours who holds an address."""

import struct

import pytest

from kernelbal.kernel.announce import (
    ArpForm,
    announce,
    frames,
    gratuitous_arp,
    icmpv6_checksum,
    unsolicited_advertisement,
)
from kernelbal.kernel.links import IFF_LOOPBACK, IFF_NOARP, IFF_UP, LinkDetail
from kernelbal.model.address import parse_address
from kernelbal.model.network import AddressKey, Link

VIRTUAL_MAC = bytes.fromhex("00005e000133")
V4, V6 = parse_address("192.0.2.100"), parse_address("2001:db8::100")
ALL_NODES = parse_address("ff02::1")

GARP_REQUEST = (
    "ffffffffffff00005e0001330806000108000604000100005e000133c0000264ffffffffffffc0000264"  # as keepalived
)


def test_gratuitous_arp_request() -> None:
    assert gratuitous_arp(VIRTUAL_MAC, V4, ArpForm.REQUEST).hex() == GARP_REQUEST


def test_gratuitous_arp_reply_differs_in_its_operation_alone() -> None:
    request = gratuitous_arp(VIRTUAL_MAC, V4, ArpForm.REQUEST)
    reply = gratuitous_arp(VIRTUAL_MAC, V4, ArpForm.REPLY)
    assert (request[20:22], reply[20:22]) == (b"\0\1", b"\0\2")
    assert request[:20] + request[22:] == reply[:20] + reply[22:]


@pytest.mark.parametrize(("router", "flags"), [(False, 0x20), (True, 0xA0)])
def test_unsolicited_advertisement(router: bool, flags: int) -> None:
    frame = unsolicited_advertisement(VIRTUAL_MAC, V6, router=router)
    assert frame[:14] == bytes.fromhex("333300000001") + VIRTUAL_MAC + b"\x86\xdd"
    version, length, next_header, hop_limit, source, destination = struct.unpack("!IHBB16s16s", frame[14:54])
    assert (version, length, next_header, hop_limit) == (6 << 28, 32, 58, 255)
    assert (source, destination) == (V6, ALL_NODES)
    message = frame[54:]
    assert message[:2] == bytes([136, 0])
    assert message[4:8] == bytes([flags, 0, 0, 0])  # override, never solicited
    assert message[8:24] == V6
    assert message[24:] == bytes([2, 1]) + VIRTUAL_MAC


def test_checksum_covers_the_message_and_its_pseudo_header() -> None:
    """Over a message that holds the right checksum, the sum is zero."""
    message = unsolicited_advertisement(VIRTUAL_MAC, V6, router=True)[54:]
    assert message[2:4] != b"\0\0"
    assert icmpv6_checksum(V6, ALL_NODES, message) == 0
    assert icmpv6_checksum(V6, parse_address("ff02::2"), message) != 0


def test_checksum_of_an_echo_request() -> None:
    """RFC 4443 echo request `80 00 .. 00 01 00 01` from fe80::1 to fe80::2, summed by hand."""
    echo = bytes.fromhex("8000000000010001")
    total = 2 * 0xFE80 + 1 + 2 + len(echo) + 58 + 0x8000 + 1 + 1
    expected = 0xFFFF - (total % 0xFFFF)
    assert icmpv6_checksum(parse_address("fe80::1"), parse_address("fe80::2"), echo) == expected


def test_ipv4_is_announced_in_both_forms_and_ipv6_once() -> None:
    assert [frame[20:22] for frame in frames(VIRTUAL_MAC, V4, router=False)] == [b"\0\1", b"\0\2"]
    assert len(list(frames(VIRTUAL_MAC, V6, router=False))) == 1


@pytest.mark.parametrize(
    ("flags", "hardware_type", "announces"),
    [
        (IFF_UP, 1, True),
        (0, 1, False),
        (IFF_UP | IFF_NOARP, 1, False),
        (IFF_UP | IFF_LOOPBACK, 772, False),
        (IFF_UP, 768, False),
    ],
)
def test_only_ethernet_that_is_up_and_resolves_has_neighbours(
    flags: int, hardware_type: int, announces: bool
) -> None:
    detail = LinkDetail(
        Link("x0", 9, bool(flags & IFF_UP), "", 1500, "00:00:5e:00:01:33"), flags, hardware_type
    )
    assert detail.announces is announces
    if not announces:
        assert announce([AddressKey("x0", V4, 32)], {"x0": detail}) == {}
