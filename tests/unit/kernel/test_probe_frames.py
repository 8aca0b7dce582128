"""Packets of probes, and what is understood of answers."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernelbal.kernel.neighbour_frames import IPPROTO_ICMPV6, arp_request
from kernelbal.kernel.probe_frames import (
    ARP_REQUEST,
    PORT_UNREACHABLE,
    REFUSALS,
    TCP_ACK,
    TCP_RST,
    TCP_SYN,
    ArpPacket,
    FlowEnds,
    NeighbourAdvertisement,
    TcpSegment,
    UnreachableError,
    datagram,
    frame,
    parse_frame,
    solicitation_frame,
    tcp_reset,
    tcp_syn,
    wrap,
)
from kernelbal.model.address import parse_address
from kernelbal.model.headers import transport_checksum
from kernelbal.model.ipvs import TunnelType

A4, B4, A6, B6 = (parse_address(text) for text in ("192.0.2.7", "10.0.0.80", "2001:db8::7", "fd00::80"))
MAC, PEER = bytes.fromhex("024b42000001"), bytes.fromhex("525400000001")
ENDS4, ENDS6 = FlowEnds(A4, B4, 20_000, 80), FlowEnds(A6, B6, 20_000, 80)


def folded(data: bytes) -> int:
    """The sum that is all ones when the checksum inside is right (RFC 1071)."""
    data += bytes(len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def transport(packet: bytes) -> bytes:
    """The payload behind its pseudo-header."""
    if packet[0] >> 4 == 4:
        return packet[12:20] + struct.pack("!II", len(packet) - 20, packet[9]) + packet[20:]
    return packet[8:40] + struct.pack("!II", len(packet) - 40, packet[6]) + packet[40:]


@pytest.mark.parametrize("ends", [ENDS4, ENDS6])
@given(sequence=st.integers(0, 2**32 - 1), port=st.integers(1, 65535), data=st.binary(max_size=9))
def test_checksums(ends: FlowEnds, sequence: int, port: int, data: bytes) -> None:
    here = ends._replace(source_port=port)
    for packet in (tcp_syn(here, sequence, 1460), tcp_reset(here, sequence), datagram(here, data)):
        assert folded(transport(packet)) == 0xFFFF
        if packet[0] >> 4 == 4:
            assert folded(packet[:20]) == 0xFFFF
            assert int.from_bytes(packet[2:4]) == len(packet)
        else:
            assert int.from_bytes(packet[4:6]) == len(packet) - 40


@pytest.mark.parametrize("ends", [ENDS4, ENDS6])
def test_syn_and_reset(ends: FlowEnds) -> None:
    assert parse_frame(frame(PEER, MAC, tcp_syn(ends, 7, 1440))) == TcpSegment(*ends, TCP_SYN, 1440)
    assert parse_frame(frame(PEER, MAC, tcp_reset(ends, 8))) == TcpSegment(*ends, TCP_RST, 0)
    assert tcp_syn(ends, 7, 1440)[-20:-16] == struct.pack("!I", 7)


def test_segment_size_is_found_behind_other_options() -> None:
    packet = bytearray(tcp_syn(ENDS4, 1, 1440))
    packet[32] = (20 + 12) << 2
    options = b"\x01\x01\x03\x03\x07\x02\x04\x05\xa0\x00\xff\xff"
    seen = parse_frame(frame(PEER, MAC, bytes(packet[:40]) + options))
    assert isinstance(seen, TcpSegment)
    assert seen.mss_bytes == 1440
    broken = parse_frame(frame(PEER, MAC, bytes(packet[:40]) + b"\x03\x00" * 6))
    assert isinstance(broken, TcpSegment)
    assert broken.mss_bytes == 0


@pytest.mark.parametrize(
    ("kind", "inner", "outer", "protocol", "header"),
    [
        (TunnelType.IPIP, ENDS4, (A4, B4), 4, b""),
        (TunnelType.IPIP, ENDS6, (A4, B4), 41, b""),
        (TunnelType.IPIP, ENDS4, (A6, B6), 4, b""),
        (TunnelType.IPIP, ENDS6, (A6, B6), 41, b""),
        (TunnelType.GRE, ENDS4, (A4, B4), 47, bytes.fromhex("00000800")),
        (TunnelType.GRE, ENDS6, (A6, B6), 47, bytes.fromhex("000086dd")),
    ],
)
def test_wrapping(
    kind: TunnelType, inner: FlowEnds, outer: tuple[bytes, bytes], protocol: int, header: bytes
) -> None:
    packet = tcp_reset(inner, 1)
    wrapped = wrap(packet, kind, 0, *outer)  # type: ignore[arg-type] # addresses are bytes
    start, at = (20, 9) if len(outer[0]) == 4 else (40, 6)
    assert (wrapped[at], wrapped[start:]) == (protocol, header + packet)


@pytest.mark.parametrize(("inner", "protocol"), [(ENDS4, 4), (ENDS6, 41)])
def test_wrapping_in_udp(inner: FlowEnds, protocol: int) -> None:
    packet = tcp_reset(inner, 1)
    wrapped = wrap(packet, TunnelType.GUE, 5555, A4, B4)
    assert struct.unpack_from("!HH", wrapped, 20) == (5555, 5555)
    assert wrapped[28:] == bytes((0, protocol, 0, 0)) + packet
    assert folded(transport(wrapped)) == 0xFFFF


def test_question_for_an_address_of_ipv6() -> None:
    data = solicitation_frame(MAC, A6, B6)
    assert data[:14].hex() == "3333ff000080" + MAC.hex() + "86dd"
    source, group, message = data[22:38], data[38:54], data[54:]
    assert (source, message[0], message[8:24]) == (A6, 135, B6)
    assert transport_checksum(source, group, IPPROTO_ICMPV6, message) == 0


def test_arp() -> None:
    assert parse_frame(arp_request(MAC, B4, A4)) == ArpPacket(ARP_REQUEST, MAC, A4, B4)


def advertisement(hops: int) -> bytes:
    message = struct.pack("!BBHI16sBB6s", 136, 0, 0, 0x60000000, B6, 2, 1, PEER)
    packet = struct.pack("!IHBB16s16s", 6 << 28, len(message), 58, hops, B6, A6) + message
    return frame(MAC, PEER, packet)


def test_advertisement() -> None:
    assert parse_frame(advertisement(255)) == NeighbourAdvertisement(B6, PEER)
    assert parse_frame(advertisement(254)) is None


@pytest.mark.parametrize("ends", [ENDS4, ENDS6])
@pytest.mark.parametrize("code", [0, 3, 13])
def test_message_that_something_is_unreachable(ends: FlowEnds, code: int) -> None:
    kind, protocol = (3, 1) if len(ends.source) == 4 else (1, 58)
    message = struct.pack("!BBHI", kind, code, 0, 0) + datagram(ends)
    if protocol == 1:
        head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(message), 0, 0, 64, 1, 0, B4, A4)
    else:
        head = struct.pack("!IHBB16s16s", 6 << 28, len(message), 58, 64, B6, A6)
    seen = parse_frame(frame(MAC, PEER, head + message))
    assert seen == UnreachableError(code, ends.destination, ends.destination, 20_000, 80)


def test_quoted_packet_with_a_short_header_is_passed_over() -> None:
    message = struct.pack("!BBHI", 3, 3, 0, 0) + b"\x40" + bytes(7)
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(message), 0, 0, 64, 1, 0, B4, A4)
    assert parse_frame(frame(MAC, PEER, head + message)) is None


@pytest.mark.parametrize(
    ("at", "octet"),
    [(14, 0x55), (14, 0x44), (14, 0x40), (21, 1)],
    ids=["version", "short", "none", "fragment"],
)
def test_headers_of_ipv4_that_are_no_answer(at: int, octet: int) -> None:
    whole = bytearray(frame(PEER, MAC, tcp_syn(ENDS4, 7, 1460)))
    assert parse_frame(bytes(whole)) is not None
    whole[at] = octet
    assert parse_frame(bytes(whole)) is None


def test_other_versions_in_a_frame_of_ipv6_are_no_answer() -> None:
    whole = bytearray(frame(PEER, MAC, tcp_syn(ENDS6, 7, 1440)))
    whole[14] = 0x40
    assert parse_frame(bytes(whole)) is None


def test_cut_header_of_ipv4_without_a_length_is_passed_over() -> None:
    """Its source address would have fewer than four bytes."""
    assert parse_frame(PEER + MAC + b"\x08\x00" + bytes(9) + b"\1" + bytes(4)) is None


@given(st.binary(max_size=120), st.sampled_from([b"\x08\x00", b"\x86\xdd", b"\x08\x06", b""]))
def test_anything_can_come(data: bytes, kind: bytes) -> None:
    parse_frame(MAC + PEER + kind + data)


@given(st.integers(0, 60))
def test_what_is_cut_off_is_passed_over(length: int) -> None:
    whole = frame(PEER, MAC, tcp_syn(ENDS6, 7, 1440))
    assert parse_frame(whole[:length]) is None or length >= len(whole)


def test_text_of_icmp_errors() -> None:
    assert {REFUSALS[family, code] for family, code in PORT_UNREACHABLE.items()} == {"port unreachable"}
    assert TCP_ACK | TCP_SYN == 0x12
