"""Captures as tcpdump and Wireshark write them."""

import struct
from collections.abc import Sequence

FIRST_S = 1000
"""When the first frame of a pcap was captured; each later one a second after."""


def ethernet(packet: bytes, ether_type: bytes = b"\x08\x00") -> bytes:
    """Return a frame."""
    return bytes(12) + ether_type + packet


def pcap(
    frames: Sequence[bytes], link_type: int = 1, *, order: str = "<", nanoseconds: bool = False
) -> bytes:
    """Return a capture."""
    magic = 0xA1B23C4D if nanoseconds else 0xA1B2C3D4
    records = [
        struct.pack(order + "IIII", FIRST_S + number, 999_999, len(each), len(each)) + each
        for number, each in enumerate(frames)
    ]
    return struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, 262144, link_type) + b"".join(records)


def section_block(order: str = "<") -> bytes:
    """Return the begin of a pcapng."""
    return _block(0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1), order)


def interface_block(link_type: int = 1, *, order: str = "<", resolution: int | None = None) -> bytes:
    """Return the description of an interface; its first option is a name."""
    options = struct.pack(order + "HH4s", 2, 3, b"eth\0")
    if resolution is not None:
        options += struct.pack(order + "HHB3x", 9, 1, resolution)
    return _block(1, struct.pack(order + "HHI", link_type, 0, 0) + options + bytes(4), order)


def packet_block(
    frame: bytes, at_s: int, *, interface: int = 0, order: str = "<", ticks_per_s: int = 1_000_000
) -> bytes:
    """Return a frame of an interface."""
    high, low = divmod(at_s * ticks_per_s + ticks_per_s - 1, 1 << 32)
    head = struct.pack(order + "5I", interface, high, low, len(frame), len(frame))
    return _block(6, head + frame, order)


def simple_block(frame: bytes) -> bytes:
    """Return a frame of the first interface, of no time."""
    return _block(3, struct.pack("<I", len(frame)) + frame, "<")


def _block(kind: int, body: bytes, order: str) -> bytes:
    padded = body + bytes(-len(body) % 4)
    size = len(padded) + 12
    return struct.pack(order + "II", kind, size) + padded + struct.pack(order + "I", size)
