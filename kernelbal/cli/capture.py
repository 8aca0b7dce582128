"""Captures of packets: pcap, pcapng (draft-ietf-opsawg-pcap, -pcapng), and hex of people and tcpdump.

What a tool wrote that was stopped ends within a record: what is whole before it is read. Left out: blocks and
options of pcapng other than packets, their interface, and its resolution of time.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple

MAX_PACKET_BYTES: Final = 65535 + 40

_PCAP_ORDERS: Final = {
    b"\xd4\xc3\xb2\xa1": "<",
    b"\x4d\x3c\xb2\xa1": "<",
    b"\xa1\xb2\xc3\xd4": ">",
    b"\xa1\xb2\x3c\x4d": ">",
}
"""Byte order by the first four octets, with times in micro- and in nanoseconds."""
_PCAP_HEADER_BYTES: Final = 24
_LINK_TYPE: Final = 0xFFFF
"""The bits above say how long the checksum of a frame is."""
_PCAPNG: Final = b"\x0a\x0d\x0d\x0a"
_PCAPNG_ORDERS: Final = {b"\x4d\x3c\x2b\x1a": "<", b"\x1a\x2b\x3c\x4d": ">"}
_SECTION, _INTERFACE, _SIMPLE_PACKET, _ENHANCED_PACKET = 0x0A0D0D0A, 1, 3, 6
_TIME_RESOLUTION: Final = 9
_MICROSECONDS: Final = 1_000_000

_IP_TYPES: Final = (b"\x08\x00", b"\x86\xdd")
_VLAN_TAGS: Final = (b"\x81\x00", b"\x88\xa8", b"\x91\x00")
_MAX_VLAN_TAGS: Final = 4
_TYPED: Final = {1: (12, 14), 113: (14, 16), 276: (0, 20)}
"""Where the type and the packet are by link type: Ethernet, and what `any` of Linux has, versions 1 and 2."""
_UNTYPED: Final = {0: 4, 108: 4, 12: 0, 14: 0, 101: 0, 228: 0, 229: 0}
"""Where the packet is: loopback of BSD, and IP without a link."""

_DUMP_LINE: Final = re.compile(r"\s*0x([0-9A-Fa-f]{4,8}):\s*(\S.*)")
_SEPARATORS: Final = re.compile(r"[\s:]+")
_HEX: Final = re.compile("[0-9A-Fa-f]+")


class CaptureError(ValueError):
    """Octets that are no capture; the message says what was expected."""


class CapturedPacket(NamedTuple):
    """One IP packet.

    Attributes:
        at_s: UTC in whole seconds; None: the capture does not say.
        octets: from the IP header on.
    """

    at_s: int | None
    octets: bytes


@dataclass(slots=True)
class Capture:
    """What a capture holds.

    Attributes:
        others: how many frames hold no IP packet.
        is_cut_short: whether it ends within a record.
        is_text: whether somebody wrote it as hex.
    """

    packets: list[CapturedPacket] = field(default_factory=list)
    others: int = 0
    is_cut_short: bool = False
    is_text: bool = False


class _Frame(NamedTuple):
    at_s: int | None
    octets: bytes
    link_type: int


class _Interface(NamedTuple):
    link_type: int
    ticks_per_s: int


class _CutShort(Exception):
    """The capture ends within a record."""


def read_capture(data: bytes) -> Capture:
    """Return the packets of a capture in any of the formats.

    Raises:
        CaptureError: it is damaged, or has none of them, or a link type that is not known.
    """
    if data[:4] in _PCAP_ORDERS:
        return _packets_of(_pcap_frames(data))
    if data[:4] == _PCAPNG:
        return _packets_of(_pcapng_frames(data))
    return Capture([CapturedPacket(None, octets) for octets in _text_packets(data)], is_text=True)


def octets_of(text: str) -> bytes | None:
    """Return what hex digits stand for, two for an octet, with spaces or colons between; None: no hex."""
    digits = _SEPARATORS.sub("", text).removeprefix("0x")
    if not digits or len(digits) % 2 or len(digits) > 2 * MAX_PACKET_BYTES or not _HEX.fullmatch(digits):
        return None
    return bytes.fromhex(digits)


def _packets_of(frames: Iterator[_Frame]) -> Capture:
    capture = Capture()
    try:
        for frame in frames:
            start = _ip_start(frame)
            if start is None:
                capture.others += 1
            else:
                capture.packets.append(CapturedPacket(frame.at_s, frame.octets[start:]))
    except _CutShort:
        capture.is_cut_short = True
    return capture


def _ip_start(frame: _Frame) -> int | None:
    """Return where the IP packet begins; None: the frame holds something else."""
    if frame.link_type in _UNTYPED:
        return _UNTYPED[frame.link_type]
    if frame.link_type not in _TYPED:
        raise CaptureError(f"link type {frame.link_type}, expected Ethernet, Linux cooked or raw IP")
    type_at, start = _TYPED[frame.link_type]
    for _ in range(_MAX_VLAN_TAGS):
        if frame.octets[type_at : type_at + 2] not in _VLAN_TAGS:
            break
        type_at, start = start + 2, start + 4
    return start if frame.octets[type_at : type_at + 2] in _IP_TYPES else None


def _piece(data: bytes, at: int, size: int) -> bytes:
    if size > len(data) - at:
        raise _CutShort
    return data[at : at + size]


def _pcap_frames(data: bytes) -> Iterator[_Frame]:
    order = _PCAP_ORDERS[data[:4]]
    (link_type,) = struct.unpack_from(order + "20xI", _piece(data, 0, _PCAP_HEADER_BYTES))
    head, at = struct.Struct(order + "I4xI4x"), _PCAP_HEADER_BYTES
    while at < len(data):
        seconds, size = head.unpack(_piece(data, at, head.size))
        at += head.size
        yield _Frame(seconds, _piece(data, at, size), link_type & _LINK_TYPE)
        at += size


def _pcapng_frames(data: bytes) -> Iterator[_Frame]:
    order, interfaces = "<", list[_Interface]()
    at = 0
    while at < len(data):
        start = _piece(data, at, 12)
        if start.startswith(_PCAPNG):
            if start[8:] not in _PCAPNG_ORDERS:
                raise CaptureError(f"pcapng section at octet {at} of no byte order")
            order = _PCAPNG_ORDERS[start[8:]]
            interfaces.clear()
        kind, size = struct.unpack(order + "II", start[:8])
        if size < 12 or size % 4:
            raise CaptureError(f"pcapng block of {size} octets at octet {at}")
        body = _piece(data, at, size)[8:-4]
        if kind == _INTERFACE:
            interfaces.append(_interface(body, order))
        elif kind in (_SIMPLE_PACKET, _ENHANCED_PACKET):
            yield _pcapng_frame(body, order, interfaces, simple=kind == _SIMPLE_PACKET)
        at += size


def _interface(body: bytes, order: str) -> _Interface:
    if len(body) < 8:
        raise CaptureError(f"pcapng interface of {len(body)} octets")
    ticks_per_s, at = _MICROSECONDS, 8
    while at + 4 < len(body):
        code, size = struct.unpack_from(order + "HH", body, at)
        if code == _TIME_RESOLUTION and size == 1:
            exponent = body[at + 4]
            ticks_per_s = 1 << (exponent & 0x7F) if exponent & 0x80 else 10**exponent
        at += 4 + (size + 3) // 4 * 4
    return _Interface(struct.unpack_from(order + "H", body)[0], ticks_per_s)


def _pcapng_frame(body: bytes, order: str, interfaces: list[_Interface], *, simple: bool) -> _Frame:
    head = struct.Struct(order + ("I" if simple else "5I"))
    if len(body) < head.size:
        raise CaptureError(f"pcapng packet block of {len(body)} octets")
    fields = head.unpack_from(body)
    number = 0 if simple else fields[0]
    if number >= len(interfaces):
        raise CaptureError(f"pcapng packet of interface {number}, of {len(interfaces)}")
    interface = interfaces[number]
    if simple:
        return _Frame(None, body[head.size : head.size + fields[0]], interface.link_type)
    at_s = (fields[1] << 32 | fields[2]) // interface.ticks_per_s
    return _Frame(at_s, body[head.size : head.size + fields[3]], interface.link_type)


def _text_packets(data: bytes) -> list[bytes]:
    """Return one packet for each line of hex; of a dump with offsets, one for each offset of 0."""
    lines = data.decode("ascii", "replace").splitlines()
    dumped = [found for found in map(_DUMP_LINE.fullmatch, lines) if found]
    if dumped:
        return _dumped_packets(dumped)
    packets = []
    for number, line in enumerate(lines, start=1):
        if line.strip():
            octets = octets_of(line)
            if octets is None:
                raise CaptureError(f"line {number}: neither pcap, pcapng, nor two hex digits for each octet")
            packets.append(octets)
    return packets


def _dumped_packets(lines: list[re.Match[str]]) -> list[bytes]:
    packets: list[bytearray] = []
    for line in lines:
        offset, text = line.groups()
        octets = octets_of(text.partition("  ")[0])  # after two spaces there is the same in ASCII
        if int(offset, 16) == 0:
            packets.append(bytearray())
        if octets is None or not packets or len(packets[-1]) != int(offset, 16):
            raise CaptureError(f"a dump that goes on at 0x{offset} with what does not follow")
        packets[-1] += octets
    return [bytes(each) for each in packets]
