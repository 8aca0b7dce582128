"""How large packets may be on the way to hosts: echo requests that may not be fragmented.

The kernel does not fragment them (`IP_PMTUDISC_PROBE`, ip(7)). What it believes of a path, by a route or by
ICMP errors of the last minutes, bounds the search, as it bounds what IPVS sends. All hosts are asked at a
time, each by a socket that is connected to it and so hears of it alone.
"""

from __future__ import annotations

import os
import select
import socket
import struct
import time
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from kernelbal.errors import KernelError
from kernelbal.health.checks.icmp import echo_request, read_echo, without_ipv4_header
from kernelbal.health.mtu_search import MtuSearch
from kernelbal.kernel.network_errors import error as kernel_error
from kernelbal.model.address import AF_INET, AF_INET6, Address, family_of, format_address
from kernelbal.model.headers import IP_HEADER_BYTES

ANSWER_S: Final = 0.5
"""How long an answer may take."""
TRIES: Final = 2
"""How often one size is tried before it counts as too large."""
AT_A_TIME: Final = 128
"""Hosts that are asked at the same time."""
MAX_BYTES: Final = 65535
_ECHO_HEADER_BYTES: Final = 8
_PROBE: Final = 3
"""`IP_PMTUDISC_PROBE`, `IPV6_PMTUDISC_PROBE`."""
_MTU_DISCOVER: Final = {AF_INET: (socket.IPPROTO_IP, 10), AF_INET6: (socket.IPPROTO_IPV6, 23)}
_MTU: Final = {AF_INET: (socket.IPPROTO_IP, 14), AF_INET6: (socket.IPPROTO_IPV6, 24)}
_IPV6_DONTFRAG: Final = 62
_IP_RECVERR: Final = 11
_IPV6_RECVERR: Final = 25
_SOL_RAW: Final = 255
_ICMP_FILTER: Final = 1
_ICMPV6_FILTER: Final = 1
_PROTOCOLS: Final = {AF_INET: socket.IPPROTO_ICMP, AF_INET6: socket.IPPROTO_ICMPV6}
_REPLIES: Final = {AF_INET: 0, AF_INET6: 129}


class Destination(NamedTuple):
    """A host to ask.

    Attributes:
        address: of the host.
        ceiling_bytes: MTU of the device that leads to it.
        source: to ask from; None leaves it to the kernel.
    """

    address: Address
    ceiling_bytes: int
    source: Address | None = None


def path_mtus(
    destinations: Sequence[Destination], progress: Callable[[int], None] | None = None
) -> dict[Address, int]:
    """Return the path MTU in bytes by host; those that do not answer are missing.

    Args:
        destinations: whom to ask.
        progress: called with the number of hosts that are done.

    Raises:
        KernelError: raw sockets are not allowed here.
    """
    found: dict[Address, int] = {}
    for start in range(0, len(destinations), AT_A_TIME):
        found |= _batch(destinations[start : start + AT_A_TIME])
        if progress is not None:
            progress(min(start + AT_A_TIME, len(destinations)))
    return found


def _batch(destinations: Sequence[Destination]) -> dict[Address, int]:
    poller = select.poll()
    asked: dict[int, _Asked] = {}
    try:
        for destination in destinations:
            one = _open(destination)
            if one is not None:
                asked[one.socket.fileno()] = one
                poller.register(one.socket, select.POLLIN)
                one.send()
        while any(one.search.size is not None for one in asked.values()):
            _wait(poller, asked)
    finally:
        for one in asked.values():
            one.socket.close()
    return {one.address: one.search.found_bytes for one in asked.values() if one.search.found_bytes}


def _wait(poller: select.poll, asked: dict[int, _Asked]) -> None:
    """Take answers until the first deadline, and deal with what is over."""
    next_at = min(one.deadline_at for one in asked.values() if one.search.size is not None)
    for descriptor, mask in poller.poll(max(next_at - time.monotonic(), 0.0) * 1000):
        asked[descriptor].hear(mask)
    now = time.monotonic()
    for one in asked.values():
        if one.search.size is not None and now >= one.deadline_at:
            one.miss()


class _Asked:
    """One host, and how far its search is."""

    def __init__(self, destination: Destination, made: socket.socket) -> None:
        self.address = destination.address
        self.socket = made
        self._family = family_of(destination.address)
        believed = made.getsockopt(*_MTU[self._family])
        self.search = MtuSearch(self._family, min(destination.ceiling_bytes, believed, MAX_BYTES))
        self.deadline_at = 0.0
        self._tries = 0
        self._sequence = 0
        self._identifier, *_ = struct.unpack("=H", os.urandom(2))

    def send(self) -> None:
        """Send a packet of the size that is due."""
        size = self.search.size
        if size is None:
            return
        self._tries += 1
        self._sequence += 1
        self.deadline_at = time.monotonic() + ANSWER_S
        payload = bytes(size - IP_HEADER_BYTES[self._family] - _ECHO_HEADER_BYTES)
        try:
            self.socket.send(echo_request(self._family, self._identifier, self._sequence, payload))
        except BlockingIOError:  # the queue is full: tried again
            return
        except OSError:  # too long for the device, or no way at all
            self._tries = TRIES
            self.deadline_at = 0.0

    def hear(self, mask: int) -> None:
        """Take what came: a reply, or an error that quotes the request."""
        if mask & select.POLLERR and (quoted := self._receive(socket.MSG_ERRQUEUE)):
            if quoted[4:8] == self._label:
                self._next(False)
            return
        data = self._receive(0)
        message = without_ipv4_header(data) if self._family == AF_INET else data
        echo = read_echo(self._family, message)
        if echo is not None and not echo.error and message[4:8] == self._label:
            self._next(True)

    @property
    def _label(self) -> bytes:
        """Identifier and sequence number as they are on the wire."""
        return struct.pack("!HH", self._identifier, self._sequence)

    def _receive(self, flags: int) -> bytes:
        try:
            return self.socket.recv(MAX_BYTES, flags)
        except OSError:  # nothing there, or an error that the error queue has told
            return b""

    def miss(self) -> None:
        """No answer came in time."""
        if self._tries < TRIES:
            self.send()
        else:
            self._next(False)

    def _next(self, passed: bool) -> None:
        self.search.take(passed)
        self._tries = 0
        self.send()


def _open(destination: Destination) -> _Asked | None:
    """Return a socket to a host; None when this machine has no way there.

    Raises:
        KernelError: raw sockets are not allowed here.
    """
    family = family_of(destination.address)
    try:
        made = socket.socket(family, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _PROTOCOLS[family])
    except OSError as fault:
        raise _refused(destination, fault) from fault
    try:
        _prepare(made, family)
        if destination.source is not None:
            made.bind((format_address(destination.source), 0))
        made.connect((format_address(destination.address), 0))
        return _Asked(destination, made)
    except OSError:
        made.close()
        return None


def _refused(destination: Destination, fault: OSError) -> KernelError:
    return kernel_error(None, "open raw sockets", format_address(destination.address), fault.errno or 5)


def _prepare(made: socket.socket, family: int) -> None:
    made.setblocking(False)
    level, option = _MTU_DISCOVER[family]
    made.setsockopt(level, option, _PROBE)
    reply = _REPLIES[family]
    if family == AF_INET:
        made.setsockopt(_SOL_RAW, _ICMP_FILTER, struct.pack("=I", 0xFFFFFFFF & ~(1 << reply)))
        made.setsockopt(socket.IPPROTO_IP, _IP_RECVERR, 1)
        return
    heard = [0xFFFFFFFF] * 8
    heard[reply // 32] &= ~(1 << reply % 32)
    made.setsockopt(socket.IPPROTO_ICMPV6, _ICMPV6_FILTER, struct.pack("=8I", *heard))
    made.setsockopt(socket.IPPROTO_IPV6, _IPV6_DONTFRAG, 1)
    made.setsockopt(socket.IPPROTO_IPV6, _IPV6_RECVERR, 1)
