"""IPVS objects as the kernel dumps them (`ip_vs_genl_fill_service`, `ip_vs_genl_fill_dest`).

Written from the kernel's source, not from the driver.
"""

import struct

from kernelbal.kernel.netlink import attribute, nested
from kernelbal.model.ipvs import (
    DestinationAttributes,
    DestinationCounters,
    DestinationKey,
    ServiceAttributes,
    ServiceKey,
)
from tests.unit.kernel import fake_netlink

NOTHING_COUNTED = DestinationCounters(0, 0, 0)
HASHED = 2


def u16(kind: int, value: int) -> bytes:
    return attribute(kind, struct.pack("=H", value))


def u32(kind: int, value: int) -> bytes:
    return attribute(kind, struct.pack("=I", value))


def be16(kind: int, value: int) -> bytes:
    return attribute(kind, struct.pack(">H", value))


def stats(counters: DestinationCounters) -> bytes:
    """Both statistics attributes; rates are 0."""
    totals = counters[3:]
    short = b"".join(u32(kind, total & 0xFFFFFFFF) for kind, total in enumerate(totals[:3], 1))
    short += b"".join(attribute(kind, struct.pack("=Q", total)) for kind, total in enumerate(totals[3:], 4))
    short += b"".join(u32(kind, 0) for kind in range(6, 11))
    wide = b"".join(attribute(kind, struct.pack("=Q", total)) for kind, total in enumerate(totals, 1))
    wide += b"".join(attribute(kind, bytes(8)) for kind in range(6, 11))
    return attribute(10, short) + attribute(12, wide)


def service(key: ServiceKey, values: ServiceAttributes) -> bytes:
    """The body of a message about one service."""
    if key.mark:
        named = u32(5, key.mark)
    else:
        named = u16(2, key.protocol) + attribute(3, key.address.ljust(16, b"\0")) + be16(4, key.port)
    if key.family == 2:
        mask = (0xFFFFFFFF << (32 - values.prefix) & 0xFFFFFFFF).to_bytes(4, "big")
    else:
        mask = struct.pack("=I", values.prefix)
    engine = attribute(11, values.engine.encode() + b"\0") if values.engine else b""
    return nested(
        1,
        u16(1, key.family)
        + named
        + attribute(6, values.scheduler.encode() + b"\0")
        + engine
        + attribute(7, struct.pack("=II", values.flags | HASHED, 0xFFFFFFFF))
        + u32(8, values.timeout_s)
        + attribute(9, mask)
        + stats(NOTHING_COUNTED),
    )


def destination(
    key: DestinationKey,
    values: DestinationAttributes,
    counters: DestinationCounters = NOTHING_COUNTED,
    *,
    extra: bytes = b"",
) -> bytes:
    """The body of a message about one destination; `extra` stands before all else."""
    return nested(
        2,
        extra
        + attribute(1, key.address.ljust(16, b"\0"))
        + be16(2, key.port)
        + u32(3, values.forwarding)
        + u32(4, values.weight)
        + attribute(13, bytes([values.tunnel_type]))
        + be16(14, values.tunnel_port)
        + u16(15, values.tunnel_flags)
        + u32(5, values.upper_threshold)
        + u32(6, values.lower_threshold)
        + u32(7, counters.active)
        + u32(8, counters.inactive)
        + u32(9, counters.persistent)
        + u16(11, 2 if len(key.address) == 4 else 10)
        + stats(counters),
    )


def datagram(bodies: list[bytes], sequence: int = 1) -> bytes:
    """One part of a dump."""
    return b"".join(fake_netlink.message(sequence, body) for body in bodies)
