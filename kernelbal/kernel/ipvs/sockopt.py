"""The older interface of IPVS, socket options, for reading IPv4 services fast (`struct ip_vs_get_*`).

It answers with the whole destination list of a service in one system call where a netlink dump takes three,
and it tells how many services and destinations there are, which netlink does not. It knows neither IPv6, nor
tunnel types, nor persistence engines, nor 64-bit packet counters; netlink serves those.
"""

from __future__ import annotations

import ctypes
import socket
import struct
import sys
from collections.abc import Callable
from typing import Final, Protocol, Self

from kernelbal.model.address import AF_INET, Address
from kernelbal.model.ipvs import (
    DestinationAttributes,
    DestinationKey,
    Destinations,
    Forwarding,
    ServiceKey,
)

_BASE: Final = 64 + 1024 + 64
SO_GET_INFO: Final = _BASE + 1
SO_GET_SERVICES: Final = _BASE + 2
SO_GET_DESTS: Final = _BASE + 4

_INFO: Final = struct.Struct("@III")
_COUNT: Final = struct.Struct("@I4x")
_HEADER_BYTES: Final = 8
# Byte order ">" for the fields that the kernel keeps in network order; those in host order are taken raw.
_SERVICE: Final = struct.Struct(">2s2x4sH2x4s28x4s56x")
_REQUEST: Final = struct.Struct("@H2x4s2s2xII4x")
_DESTINATION: Final = struct.Struct(">4sH2x16s72x")
_ATTRIBUTES: Final = struct.Struct("@IiII")
_FORWARDING_MASK: Final = 0x7
_NOWHERE: Final = bytes(4)
_NATIVE: Final = sys.byteorder


class GetOption(Protocol):
    """One getsockopt() on a buffer in place, at the level of IP."""

    def __call__(self, option: int, buffer: bytearray, length: int) -> int:
        """Return 0 or the error number (positive)."""


class Sockopt:
    """Reads IPv4 services; None in place of a result means: ask netlink."""

    def __init__(self, get_option: GetOption, close: Callable[[], None]) -> None:
        self._get = get_option
        self.close = close
        self._buffer = bytearray(_REQUEST.size + 64 * _DESTINATION.size)
        self._known: dict[bytes, DestinationAttributes | None] = {}

    @classmethod
    def open(cls) -> Self:
        """Open it in the network namespace of the calling thread.

        Raises:
            OSError: the kernel has no IPv4 or refuses a socket.
        """
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        return cls(_libc_get_option(sock.fileno()), sock.close)

    def number_of_services(self) -> int | None:
        """Return how many IPv4 services there are, all that this interface knows; the cheapest question."""
        info = bytearray(_INFO.size)
        return None if self._get(SO_GET_INFO, info, len(info)) else int(_INFO.unpack(info)[2])

    def counts(self) -> dict[ServiceKey, int] | None:
        """Return every IPv4 service and how many destinations it has, read in one piece by the kernel."""
        number = self.number_of_services()
        if number is None:
            return None
        entries = bytearray(_HEADER_BYTES + number * _SERVICE.size)
        _COUNT.pack_into(entries, 0, number)
        if self._get(SO_GET_SERVICES, entries, len(entries)):
            return None
        return {
            ServiceKey(AF_INET, 0, Address(b""), 0, _number(mark))
            if mark != _NOWHERE
            else ServiceKey(AF_INET, _number(protocol), Address(address), port): _number(count)
            for protocol, address, port, mark, count in _SERVICE.iter_unpack(
                memoryview(entries)[_HEADER_BYTES:]
            )
            if mark != _NOWHERE or _number(protocol)  # an empty entry: a service vanished in between
        }

    def destinations(self, key: ServiceKey, count: int) -> Destinations | None:
        """Return the `count` destinations of a service.

        None if they are not that many, or one is a tunnel: this interface knows neither its type nor an IPv6
        address in an IPv4 service.
        """
        found: Destinations = {}
        if count == 0:
            return found
        length = _REQUEST.size + count * _DESTINATION.size
        if length > len(self._buffer):
            self._buffer = bytearray(2 * length)
        buffer = self._buffer
        entries = memoryview(buffer)[_REQUEST.size : length]
        entries[:] = bytes(len(entries))
        _REQUEST.pack_into(buffer, 0, key.protocol, key.address, key.port.to_bytes(2, "big"), key.mark, count)
        if self._get(SO_GET_DESTS, buffer, length):
            return None
        known, make, make_address = self._known, DestinationKey, Address
        for address, port, raw in _DESTINATION.iter_unpack(entries):
            values = known.get(raw) or self._learn(raw)
            if values is None or address == _NOWHERE:
                return None
            found[make(make_address(address), port)] = values
        return found

    def _learn(self, raw: bytes) -> DestinationAttributes | None:
        flags, weight, upper, lower = _ATTRIBUTES.unpack(raw)
        forwarding = flags & _FORWARDING_MASK
        if forwarding == Forwarding.TUNNEL:
            return None
        values = DestinationAttributes(forwarding, weight, upper, lower)
        self._known[raw] = values
        return values


def _number(raw: bytes) -> int:
    return int.from_bytes(raw, _NATIVE)


def _libc_get_option(fd: int) -> GetOption:
    """Return getsockopt() by way of the C library: Python's own passes no argument in."""
    call = ctypes.CDLL(None, use_errno=True).getsockopt
    call.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p]
    size = ctypes.c_uint()
    size_at = ctypes.addressof(size)
    places: dict[int, tuple[bytearray, int]] = {}

    def get_option(option: int, buffer: bytearray, length: int) -> int:
        held = places.get(id(buffer))
        if held is None or held[0] is not buffer:
            places.clear()
            held = (buffer, ctypes.addressof(ctypes.c_char.from_buffer(buffer)))
            places[id(buffer)] = held
        size.value = length
        return ctypes.get_errno() if call(fd, socket.SOL_IP, option, held[1], size_at) else 0

    return get_option
