"""Dumps of generic netlink, parsed into model values at the speed that 100,000 real servers need.

Attributes repeat from object to object, so they are compared as raw bytes and parsed once per distinct value,
which is then shared. The kernel dumps every destination with the same attributes in the same order, so a
datagram of destinations is unpacked in one sweep once one message of that size was seen to have that layout;
any other layout is read attribute by attribute.
"""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

from kernelbal.kernel.ipvs import wire
from kernelbal.kernel.netlink import HEADER_BYTES, attributes
from kernelbal.model.address import AF_INET, Address
from kernelbal.model.ipvs import (
    DestinationAttributes,
    DestinationCounters,
    DestinationKey,
    Destinations,
    Forwarding,
    ServiceAttributes,
    ServiceFlag,
    ServiceKey,
)

Counters = dict[DestinationKey, DestinationCounters]

_U16: Final = struct.Struct("=H")
_U32: Final = struct.Struct("=I")
_U64: Final = struct.Struct("=Q")
_BE16: Final = struct.Struct(">H")
_FLAGS: Final = struct.Struct("=I4x")

_BODY: Final = HEADER_BYTES + 4
"""Where the attributes inside the one top-level attribute of a message begin."""
_LAYOUT: Final = (
    *((wire.DEST_ADDR, 16), (wire.DEST_PORT, 2), (wire.DEST_FWD_METHOD, 4), (wire.DEST_WEIGHT, 4)),
    *((wire.DEST_TUN_TYPE, 1), (wire.DEST_TUN_PORT, 2), (wire.DEST_TUN_FLAGS, 2)),
    *((wire.DEST_U_THRESH, 4), (wire.DEST_L_THRESH, 4)),
    *((wire.DEST_ACTIVE_CONNS, 4), (wire.DEST_INACT_CONNS, 4), (wire.DEST_PERSIST_CONNS, 4)),
    (wire.DEST_ADDR_FAMILY, 2),
)
"""Type and payload length of a destination's first attributes, in the kernel's order."""
_KEYS: Final = ">4s20x 4x16s 4xH2x 56s 24x 4x2s2x"
_COUNTS: Final = "=112xI 4xI 4xI 108xQ 4xQ 4xQ 4xQ 4xQ"
_TOTALS_AT: Final = 236
_TOTALS: Final = tuple((kind, 8) for kind in range(1, 6))
_RAW_INET: Final = _U16.pack(AF_INET)


class ServiceReader:
    """Parses the datagrams of a service dump."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, bytes], ServiceAttributes] = {}

    def parse(self, parts: list[bytes]) -> dict[ServiceKey, ServiceAttributes]:
        """Return the services of a whole dump, in the kernel's order."""
        services = {}
        for data in parts:
            start = 0
            while start < len(data):
                length = _U32.unpack_from(data, start)[0]
                key, values = self.parse_one(data, start + _BODY, start + length)
                services[key] = values
                start += (length + 3) & ~3
        return services

    def parse_one(self, data: bytes, start: int, end: int) -> tuple[ServiceKey, ServiceAttributes]:
        """Return the service whose attributes are `data[start:end]`."""
        family = protocol = port = mark = 0
        address = b""
        tail = start
        for kind, at, to in attributes(data, start, end):
            if kind == wire.SVC_AF:
                family = _U16.unpack_from(data, at)[0]
            elif kind == wire.SVC_PROTOCOL:
                protocol = _U16.unpack_from(data, at)[0]
            elif kind == wire.SVC_ADDR:
                address = data[at:to]
            elif kind == wire.SVC_PORT:
                port = _BE16.unpack_from(data, at)[0]
            elif kind == wire.SVC_FWMARK:
                mark = _U32.unpack_from(data, at)[0]
            elif kind == wire.SVC_SCHED_NAME:
                tail = at - 4
            elif kind == wire.SVC_STATS:
                end = at - 4
                break
        if family == AF_INET:
            address = address[:4]
        return ServiceKey(family, protocol, Address(address), port, mark), self._attributes(
            family, data[tail:end]
        )

    def _attributes(self, family: int, raw: bytes) -> ServiceAttributes:
        known = self._known.get((family, raw))
        if known is None:
            known = self._known[family, raw] = parse_service_attributes(family, raw)
        return known


def parse_service_attributes(family: int, raw: bytes) -> ServiceAttributes:
    """Return what `raw` says of a service beside its key."""
    found = {kind: raw[start:end] for kind, start, end in attributes(raw, 0, len(raw))}
    return ServiceAttributes(
        scheduler=_text(found.get(wire.SVC_SCHED_NAME, b"")),
        flags=_FLAGS.unpack(found[wire.SVC_FLAGS])[0] & ~ServiceFlag.HASHED,
        timeout_s=_U32.unpack(found[wire.SVC_TIMEOUT])[0],
        prefix=wire.prefix_of(family, found[wire.SVC_NETMASK]),
        engine=_text(found.get(wire.SVC_PE_NAME, b"")),
    )


def _text(raw: bytes) -> str:
    return raw.rstrip(b"\0").decode(errors="replace")


class Sweep(NamedTuple):
    """Unpacks destination messages of one size.

    Attributes:
        keys: message length, address, port, attributes and family of each, network order or raw.
        counts: the eight counters of each, in the order of `DestinationCounters`.
    """

    keys: struct.Struct
    counts: struct.Struct


def sweep_of(data: bytes, length: int) -> Sweep | None:
    """Return how to unpack messages like the first of `data`, None if its layout is not the usual one."""
    found = [(kind, at, to) for kind, at, to in attributes(data, _BODY, length)]
    if tuple((kind, to - at) for kind, at, to in found[: len(_LAYOUT)]) != _LAYOUT:
        return None
    kind, at, to = found[-1]
    totals = tuple((kind, end - start) for kind, start, end in attributes(data, at, to))
    if (kind, at) != (wire.DEST_STATS64, _TOTALS_AT) or totals[: len(_TOTALS)] != _TOTALS:
        return None
    return Sweep(*(struct.Struct(f"{row}{length - struct.calcsize(row)}x") for row in (_KEYS, _COUNTS)))


class DestinationReader:
    """Parses the datagrams of destination dumps, one service after the other."""

    def __init__(self) -> None:
        self._known: dict[bytes, DestinationAttributes] = {}
        self._sweeps: dict[int, Sweep | None] = {}

    def parse(self, parts: list[bytes], counters: Counters | None = None) -> Destinations:
        """Return the destinations of one service; fill `counters` if one is given."""
        found: Destinations = {}
        for data in parts:
            sweep = self._sweep_of(data)
            keys = self._parse_fast(data, sweep.keys, found) if sweep else None
            if sweep is None or keys is None:
                self._parse_slowly(data, found, counters)
            elif counters is not None:
                counts = map(DestinationCounters._make, sweep.counts.iter_unpack(data))
                counters.update(zip(keys, counts, strict=True))
        return found

    def _sweep_of(self, data: bytes) -> Sweep | None:
        length = _U32.unpack_from(data)[0]
        if length % 4 or len(data) % length:
            return None
        if length not in self._sweeps:
            self._sweeps[length] = sweep_of(data, length)
        return self._sweeps[length]

    def _parse_fast(
        self, data: bytes, sweep: struct.Struct, found: Destinations
    ) -> list[DestinationKey] | None:
        """Add the destinations to `found` and return their keys; None if not all messages are of one size."""
        known = self._known
        new_key, new_address = DestinationKey, Address
        expected = data[:4]
        keys = []
        for length, address, port, raw, family in sweep.iter_unpack(data):
            if length != expected:
                return None
            values = known.get(raw)
            if values is None:
                values = known[raw] = parse_destination_attributes(raw)
            key = new_key(new_address(address[:4] if family == _RAW_INET else address), port)
            found[key] = values
            keys.append(key)
        return keys

    def _parse_slowly(self, data: bytes, found: Destinations, counters: Counters | None) -> None:
        start = 0
        while start < len(data):
            length = _U32.unpack_from(data, start)[0]
            fields = {kind: data[at:to] for kind, at, to in attributes(data, start + _BODY, start + length)}
            key = _destination_key(fields)
            found[key] = _destination_attributes(fields)
            if counters is not None:
                counters[key] = _counters(fields)
            start += (length + 3) & ~3


def parse_destination_attributes(raw: bytes) -> DestinationAttributes:
    """Return what `raw`, a row of attributes, says of a destination beside its key."""
    return _destination_attributes({kind: raw[at:to] for kind, at, to in attributes(raw, 0, len(raw))})


def _destination_key(fields: dict[int, bytes]) -> DestinationKey:
    address = fields[wire.DEST_ADDR]
    if fields.get(wire.DEST_ADDR_FAMILY) == _RAW_INET:
        address = address[:4]
    return DestinationKey(Address(address), _BE16.unpack(fields[wire.DEST_PORT])[0])


def _destination_attributes(fields: dict[int, bytes]) -> DestinationAttributes:
    forwarding = _U32.unpack(fields[wire.DEST_FWD_METHOD])[0]
    values = DestinationAttributes(
        forwarding,
        _U32.unpack(fields[wire.DEST_WEIGHT])[0],
        _U32.unpack(fields[wire.DEST_U_THRESH])[0],
        _U32.unpack(fields[wire.DEST_L_THRESH])[0],
    )
    if forwarding != Forwarding.TUNNEL or wire.DEST_TUN_TYPE not in fields:
        return values
    return values._replace(
        tunnel_type=fields[wire.DEST_TUN_TYPE][0],
        tunnel_port=_BE16.unpack(fields[wire.DEST_TUN_PORT])[0],
        tunnel_flags=_U16.unpack(fields[wire.DEST_TUN_FLAGS])[0],
    )


def _counters(fields: dict[int, bytes]) -> DestinationCounters:
    raw = fields.get(wire.DEST_STATS64, b"")
    totals = {
        kind: _U64.unpack_from(raw, at)[0] for kind, at, _ in attributes(raw, 0, len(raw)) if kind <= 10
    }
    return DestinationCounters(
        active=_U32.unpack(fields[wire.DEST_ACTIVE_CONNS])[0],
        inactive=_U32.unpack(fields[wire.DEST_INACT_CONNS])[0],
        persistent=_U32.unpack(fields[wire.DEST_PERSIST_CONNS])[0],
        connections=totals.get(wire.STATS_CONNS, 0),
        packets_in=totals.get(wire.STATS_INPKTS, 0),
        packets_out=totals.get(wire.STATS_OUTPKTS, 0),
        bytes_in=totals.get(wire.STATS_INBYTES, 0),
        bytes_out=totals.get(wire.STATS_OUTBYTES, 0),
    )
