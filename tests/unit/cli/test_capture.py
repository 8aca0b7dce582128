"""Captures: what tcpdump, Wireshark and people write."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernelbal.cli.capture import MAX_PACKET_BYTES, CapturedPacket, CaptureError, octets_of, read_capture
from tests.support.captures import ethernet, interface_block, packet_block, pcap, section_block, simple_block
from tests.support.vrrp_packets import ADVERT6, advert_packet

PACKET, PACKET6 = advert_packet(), advert_packet(ADVERT6)
FRAMES = [ethernet(PACKET), ethernet(b"\0\1", b"\x08\x06"), ethernet(PACKET6, b"\x86\xdd")]
FOUND = [CapturedPacket(1000, PACKET), CapturedPacket(1002, PACKET6)]
PCAPNG = (
    section_block()
    + interface_block()
    + b"".join(packet_block(each, 1000 + n) for n, each in enumerate(FRAMES))
)


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("nanoseconds", [False, True])
def test_pcap(order: str, nanoseconds: bool) -> None:
    read = read_capture(pcap(FRAMES, order=order, nanoseconds=nanoseconds))
    assert (read.packets, read.others, read.is_cut_short, read.is_text) == (FOUND, 1, False, False)


@pytest.mark.parametrize("order", "<>")
def test_pcapng(order: str) -> None:
    blocks = [section_block(order), interface_block(order=order)]
    blocks += [packet_block(each, 1000 + number, order=order) for number, each in enumerate(FRAMES)]
    blocks.append(struct.pack(order + "III", 5, 12, 12))
    read = read_capture(b"".join(blocks))
    assert (read.packets, read.others, read.is_cut_short) == (FOUND, 1, False)


def test_pcapng_has_interfaces_and_sections() -> None:
    raw, fine = interface_block(101), interface_block(101, resolution=9)
    binary = interface_block(101, resolution=0x80 | 10)
    blocks = [
        *(section_block(), interface_block(), raw, packet_block(PACKET, 7, interface=1)),
        *(section_block(">"), interface_block(101, order=">"), packet_block(PACKET, 8, order=">")),
        *(section_block(), fine, binary),
        *(
            packet_block(PACKET, 9, ticks_per_s=10**9),
            packet_block(PACKET, 10, interface=1, ticks_per_s=1024),
        ),
        *(simple_block(PACKET), packet_block(PACKET, 11, ticks_per_s=10**9)),
    ]
    assert [each.at_s for each in read_capture(b"".join(blocks)).packets] == [7, 8, 9, 10, None, 11]


def test_padding_of_blocks_is_no_part_of_a_packet() -> None:
    odd = PACKET + b"\1"
    blocks = section_block() + interface_block(101) + simple_block(odd) + packet_block(odd, 1)
    assert [each.octets for each in read_capture(blocks).packets] == [odd, odd]


@pytest.mark.parametrize("capture", [pcap(FRAMES), PCAPNG], ids=["pcap", "pcapng"])
def test_what_is_whole_before_the_cut_is_read(capture: bytes) -> None:
    for end in range(24, len(capture)):
        read = read_capture(capture[:end])
        assert read.packets == FOUND[: len(read.packets)], end
    assert read_capture(capture[:-1]).is_cut_short


@pytest.mark.parametrize(
    ("link_type", "frame"),
    [
        (1, ethernet(PACKET)),
        (1, ethernet(b"\0\7\x08\0" + PACKET, b"\x81\0")),
        (1, ethernet(b"\0\7\x81\0\0\x08\x08\0" + PACKET, b"\x88\xa8")),
        (113, bytes(14) + b"\x08\0" + PACKET),
        (276, b"\x08\0" + bytes(18) + PACKET),
        (0, bytes(4) + PACKET),
        (108, bytes(4) + PACKET),
        *((number, PACKET) for number in (12, 14, 101, 228, 229)),
    ],
)
def test_link_types(link_type: int, frame: bytes) -> None:
    assert [each.octets for each in read_capture(pcap([frame], link_type)).packets] == [PACKET]
    assert read_capture(pcap([frame], link_type | 0x14000000)).packets


def test_tags_without_end_are_no_packet() -> None:
    read = read_capture(pcap([ethernet(b"\0\7\x81\0" * 4 + b"\0\7\x08\0" + PACKET, b"\x81\0")]))
    assert (read.packets, read.others) == ([], 1)


BROKEN = {
    "another link": (pcap([PACKET], 105), "link type 105"),
    "no byte order": (b"\x0a\x0d\x0d\x0a" + bytes(20), "no byte order"),
    "block of 0": (section_block() + struct.pack("<III", 5, 0, 0), "block of 0 octets at octet 28"),
    "block of 14": (section_block() + struct.pack("<II", 5, 14) + bytes(6), "block of 14 octets"),
    "short interface": (section_block() + struct.pack("<III", 1, 12, 12), "interface of 0 octets"),
    "short packet": (
        section_block() + interface_block() + struct.pack("<III", 6, 12, 12),
        "packet block of 0",
    ),
    "no interface": (section_block() + packet_block(PACKET, 1), "of interface 0, of 0"),
    "no interface for a simple one": (section_block() + simple_block(PACKET), "of interface 0, of 0"),
    "text": (b"4500\nnonsense\n", "line 2: neither"),
    "half an octet": (b"450", "line 1: neither"),
    "not text": (bytes(range(128, 160)), "line 1: neither"),
    "a dump that begins later": (b"\t0x0010:  4500\n", "at 0x0010"),
    "a dump with a gap": (b"\t0x0000:  4500\n\t0x0010:  4500\n", "at 0x0010"),
    "a dump of nothing": (b"\t0x0000:  zz\n", "at 0x0000"),
}


@pytest.mark.parametrize(("capture", "text"), BROKEN.values(), ids=BROKEN)
def test_broken(capture: bytes, text: str) -> None:
    with pytest.raises(CaptureError, match=text):
        read_capture(capture)


def test_hex_has_one_packet_a_line() -> None:
    text = f"\n{PACKET.hex()}\r\n\n  {PACKET6.hex(':')} \n0x{PACKET.hex(' ')}"
    read = read_capture(text.encode())
    assert [each.octets for each in read.packets] == [PACKET, PACKET6, PACKET]
    assert read.is_text
    assert read_capture(b"").packets == []


@pytest.mark.parametrize("with_ascii", [False, True])
def test_dumps_of_tcpdump(with_ascii: bool) -> None:
    lines = []
    for packet in (PACKET, PACKET6):
        lines.append("14:52:03.1 IP 192.0.2.10 > 224.0.0.18: VRRPv3, Advertisement")
        for at in range(0, len(packet), 16):
            line = packet[at : at + 16]
            shown = "".join(chr(each) if 32 < each < 127 else "." for each in line)
            lines.append(f"\t0x{at:04x}:  {line.hex(' ', -2)}" + (f"  {shown}" if with_ascii else ""))
    assert [each.octets for each in read_capture("\n".join(lines).encode()).packets] == [PACKET, PACKET6]


@given(st.lists(st.binary(max_size=80), max_size=8))
def test_what_is_written_is_read(packets: list[bytes]) -> None:
    found = [CapturedPacket(1000 + number, each) for number, each in enumerate(packets)]
    assert read_capture(pcap(packets, 101)).packets == found
    blocks = section_block() + interface_block(101)
    blocks += b"".join(packet_block(each, 1000 + number) for number, each in enumerate(packets))
    assert read_capture(blocks).packets == found


@pytest.mark.parametrize(
    ("text", "octets"),
    [
        ("45", b"E"),
        ("0x45 00", b"E\0"),
        ("45:00", b"E\0"),
        ("", None),
        ("4", None),
        ("4x", None),
        (":", None),
    ],
)
def test_octets(text: str, octets: bytes | None) -> None:
    assert octets_of(text) == octets


def test_octets_are_bounded() -> None:
    assert octets_of("00" * MAX_PACKET_BYTES) is not None
    assert octets_of("00" * (MAX_PACKET_BYTES + 1)) is None
