"""ARP and neighbour discovery as they are on the wire."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernelbal.kernel.neighbour_frames import (
    IPPROTO_ICMPV6,
    ArpForm,
    arp_request,
    gratuitous_arp,
    read_advertisement,
    read_arp_reply,
    solicitation,
    solicited_node,
    unsolicited_advertisement,
)
from kernelbal.model.address import parse_address
from kernelbal.model.headers import transport_checksum

VIRTUAL_MAC = bytes.fromhex("00005e000133")
V4, V6 = parse_address("192.0.2.100"), parse_address("2001:db8::100")
ALL_NODES = parse_address("ff02::1")
OWN = bytes.fromhex("020000000064")
REQUEST = bytes.fromhex(
    "ffffffffffff 020000000064 08060001 0800 06 04 0001 020000000064 0a000064 000000000000 0a000050"
)
REPLY = bytes.fromhex(
    "020000000064 020000000001 0806"
    "0001 0800 06 04 0002 020000000001 0a000050 020000000064 0a000064"
    "000000000000000000000000000000000000"  # padding to the least length of a frame
)
ADVERTISEMENT = bytes.fromhex("8800 1234 60000000 20010db8000000000000000000000100 0201 020000000001")

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
    assert transport_checksum(V6, ALL_NODES, IPPROTO_ICMPV6, message) == 0
    assert transport_checksum(V6, parse_address("ff02::2"), IPPROTO_ICMPV6, message) != 0


def test_arp_request() -> None:
    wanted, sender = parse_address("10.0.0.80"), parse_address("10.0.0.100")
    assert arp_request(OWN, wanted, sender) == REQUEST


def test_arp_probe_teaches_nobody_anything() -> None:
    """RFC 5227 section 1.1: the sender's IP address is zero, and so is the target's hardware address."""
    probe = arp_request(OWN, parse_address("10.0.0.80"))
    assert probe == REQUEST.replace(bytes.fromhex("0a000064"), bytes(4))


def test_arp_reply() -> None:
    assert read_arp_reply(REPLY) == (parse_address("10.0.0.80"), bytes.fromhex("020000000001"))


@pytest.mark.parametrize(
    "frame",
    [
        REQUEST,
        REPLY[:41],
        b"",
        REPLY.replace(b"\x08\x06", b"\x08\x00", 1),
        REPLY.replace(bytes.fromhex("0800 06 04"), bytes.fromhex("86dd 06 04"), 1),
    ],
    ids=["request", "cut", "empty", "other type", "other protocol"],
)
def test_what_is_no_arp_reply(frame: bytes) -> None:
    assert read_arp_reply(frame) is None


def test_solicitation_names_its_sender() -> None:
    message = solicitation(OWN, V6)
    assert message == bytes.fromhex("8700 0000 00000000") + V6 + bytes.fromhex("0101") + OWN
    assert solicited_node(V6) == parse_address("ff02::1:ff00:100")


def test_advertisement() -> None:
    assert read_advertisement(ADVERTISEMENT, 255) == (V6, bytes.fromhex("020000000001"))


def test_advertisement_behind_another_option() -> None:
    other = bytes.fromhex("0e01 000000000000")
    message = ADVERTISEMENT[:24] + other + ADVERTISEMENT[24:]
    assert read_advertisement(message, 255) == (V6, bytes.fromhex("020000000001"))


@pytest.mark.parametrize(
    ("message", "hop_limit"),
    [
        (ADVERTISEMENT, 254),
        (ADVERTISEMENT[:31], 255),
        (ADVERTISEMENT[:24], 255),
        (b"\x87" + ADVERTISEMENT[1:], 255),
        (ADVERTISEMENT[:24] + bytes(8), 255),
    ],
    ids=["from elsewhere", "cut", "no option", "solicitation", "option without length"],
)
def test_what_is_no_advertisement(message: bytes, hop_limit: int) -> None:
    assert read_advertisement(message, hop_limit) is None


@given(st.binary(max_size=128))
def test_any_bytes_are_parsed_without_an_error(data: bytes) -> None:
    read_arp_reply(data)
    read_advertisement(data, 255)
    read_advertisement(b"\x88\0" + data, 255)
