"""Grammar of captures: pcap, pcapng and dumps in hex, of frames with VRRP."""

from __future__ import annotations

import struct

from tests.property.fuzz import Choices
from tests.support.captures import ethernet
from tests.support.vrrp_packets import ADVERT6, advert_packet

_FRAMES = (
    ethernet(advert_packet()),
    ethernet(advert_packet(ADVERT6), b"\x86\xdd"),
    ethernet(b"", b"\x08\x06"),
)


def pcap_file(choices: Choices) -> tuple[bytes, ...]:
    """A pcap in either byte order."""
    order = choices.pick("<>")
    records = b"".join(_record(choices, order) for _ in range(choices.times(0, 4, 30)))
    link_type = choices.number(1, 32)
    head = struct.pack(
        order + "IHHiIII", choices.pick((0xA1B2C3D4, 0xA1B23C4D)), 2, 4, 0, 0, 65535, link_type
    )
    return (choices.damaged(head + records),)


def pcapng_file(choices: Choices) -> tuple[bytes, ...]:
    """A pcapng with some interfaces; some blocks are of a kind that is not read."""
    order = choices.pick("<>")
    section = struct.pack(order + "IHHq", choices.number(0x1A2B3C4D, 32), 1, 0, -1)
    blocks = _block(choices, order, 0x0A0D0D0A, section)
    for _ in range(choices.times(1, 2, 10)):
        option = struct.pack(
            order + "HHB3x", choices.number(9, 16), choices.number(1, 16), choices.number(6, 8)
        )
        blocks += _block(choices, order, 1, struct.pack(order + "HHI", choices.number(1, 16), 0, 0) + option)
    for _ in range(choices.times(0, 4, 30)):
        frame = choices.damaged(choices.pick(_FRAMES))
        times, size = (choices.number(0, 32), choices.number(7, 32)), choices.number(len(frame), 32)
        enhanced = struct.pack(order + "5I", choices.number(0, 32), *times, size, size) + frame
        simple = struct.pack(order + "I", size) + frame
        kind, body = choices.pick(((6, enhanced), (6, enhanced), (3, simple), (choices.number(5, 32), b"")))
        blocks += _block(choices, order, kind, body)
    return (choices.damaged(blocks),)


def hex_file(choices: Choices) -> tuple[bytes, ...]:
    """Packets in hex, one a line or as tcpdump prints them."""
    lines, dumped = [], choices.below(2)
    for _ in range(choices.times(1, 3, 20)):
        packet = choices.damaged(advert_packet())
        if not dumped:
            lines.append(packet.hex())
        starts = range(0, len(packet) if dumped else 0, 16)
        lines += [
            f"\t0x{choices.number(at, 16):04x}:  {packet[at : at + 16].hex(' ', -2)}  ..E." for at in starts
        ]
    return (choices.damaged("\n".join(lines).encode()),)


def _record(choices: Choices, order: str) -> bytes:
    frame = choices.damaged(choices.pick(_FRAMES))
    size = choices.number(len(frame), 32)
    return struct.pack(order + "IIII", choices.number(1000, 32), 0, size, size) + frame


def _block(choices: Choices, order: str, kind: int, body: bytes) -> bytes:
    padded = body + bytes(-len(body) % 4)
    size = choices.number(len(padded) + 12, 32)
    return struct.pack(order + "II", kind, size) + padded + struct.pack(order + "I", size)
