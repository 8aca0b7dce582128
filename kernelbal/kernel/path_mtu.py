"""Path MTU of hosts, by echo requests that may not be fragmented.

The kernel does not fragment them (`IP_PMTUDISC_PROBE`, ip(7)). What it knows of a path, by a route or by
ICMP errors of the last minutes, bounds the search, as it bounds what IPVS sends. All hosts are probed at a
time, each by a socket that is connected to it and so receives from it alone.
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
from kernelbal.health.checks.icmp import (
    FILTER_OPTION,
    echo_request,
    read_echo,
    type_filter,
    without_ipv4_header,
)
from kernelbal.health.mtu_search import MtuSearch
from kernelbal.kernel.refusals import error as kernel_error
from kernelbal.model.address import AF_INET, AF_INET6, Address, family_of, format_address
from kernelbal.model.headers import IP_HEADER_BYTES

ANSWER_S: Final = 0.5
"""How long an answer may take."""
TRIES: Final = 2
"""How often one size is tried before it counts as too large."""
AT_A_TIME: Final = 128
"""Hosts probed at the same time."""
MAX_BYTES: Final = 65535
_ECHO_HEADER_BYTES: Final = 8
_PROBE: Final = 3
"""`IP_PMTUDISC_PROBE`, `IPV6_PMTUDISC_PROBE`."""
_MTU_DISCOVER: Final = {AF_INET: (socket.IPPROTO_IP, 10), AF_INET6: (socket.IPPROTO_IPV6, 23)}
_MTU: Final = {AF_INET: (socket.IPPROTO_IP, 14), AF_INET6: (socket.IPPROTO_IPV6, 24)}
_IPV6_DONTFRAG: Final = 62
_IP_RECVERR: Final = 11
_IPV6_RECVERR: Final = 25
_PROTOCOLS: Final = {AF_INET: socket.IPPROTO_ICMP, AF_INET6: socket.IPPROTO_ICMPV6}
_REPLIES: Final = {AF_INET: 0, AF_INET6: 129}


class MtuTarget(NamedTuple):
    """A host to probe.

    Attributes:
        address: of the host.
        ceiling_bytes: MTU of the device that leads to it.
        source: source address; None leaves it to the kernel.
    """

    address: Address
    ceiling_bytes: int
    source: Address | None = None


def path_mtus(
    destinations: Sequence[MtuTarget], progress: Callable[[int], None] | None = None
) -> dict[Address, int]:
    """Return the path MTU in bytes by host; those that do not answer are missing.

    Args:
        destinations: the hosts.
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


def _batch(destinations: Sequence[MtuTarget]) -> dict[Address, int]:
    poller = select.poll()
    probes: dict[int, _MtuProbe] = {}
    try:
        for destination in destinations:
            probe = _open(destination)
            if probe is not None:
                probes[probe.socket.fileno()] = probe
                poller.register(probe.socket, select.POLLIN)
                probe.send()
        while any(probe.search.size is not None for probe in probes.values()):
            _wait(poller, probes)
    finally:
        for probe in probes.values():
            probe.socket.close()
    return {probe.address: probe.search.found_bytes for probe in probes.values() if probe.search.found_bytes}


def _wait(poller: select.poll, probes: dict[int, _MtuProbe]) -> None:
    """Take answers until the first deadline, and expire what is due."""
    next_at = min(probe.deadline_at for probe in probes.values() if probe.search.size is not None)
    for descriptor, mask in poller.poll(max(next_at - time.monotonic(), 0.0) * 1000):
        probes[descriptor].receive(mask)
    now = time.monotonic()
    for probe in probes.values():
        if probe.search.size is not None and now >= probe.deadline_at:
            probe.expire()


class _MtuProbe:
    """The search towards one host."""

    def __init__(self, destination: MtuTarget, sock: socket.socket) -> None:
        self.address = destination.address
        self.socket = sock
        self._family = family_of(destination.address)
        known = sock.getsockopt(*_MTU[self._family])
        self.search = MtuSearch(self._family, min(destination.ceiling_bytes, known, MAX_BYTES))
        self.deadline_at = 0.0
        self._tries = 0
        self._sequence = 0
        self._identifier, *_ = struct.unpack("=H", os.urandom(2))

    def send(self) -> None:
        """Send a packet of the next size."""
        size = self.search.size
        if size is None:
            return
        self._tries += 1
        self._sequence += 1
        self.deadline_at = time.monotonic() + ANSWER_S
        payload = bytes(size - IP_HEADER_BYTES[self._family] - _ECHO_HEADER_BYTES)
        try:
            self.socket.send(echo_request(self._family, self._identifier, self._sequence, payload))
        except BlockingIOError:  # the queue is full: repeated after the timeout
            return
        except OSError:  # too long for the device, or no route
            self._tries = TRIES
            self.deadline_at = 0.0

    def receive(self, mask: int) -> None:
        """Take a reply, or an error that quotes the request."""
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
        except OSError:  # nothing there, or an error that the error queue has reported
            return b""

    def expire(self) -> None:
        """Take a timeout."""
        if self._tries < TRIES:
            self.send()
        else:
            self._next(False)

    def _next(self, passed: bool) -> None:
        self.search.take(passed)
        self._tries = 0
        self.send()


def _open(destination: MtuTarget) -> _MtuProbe | None:
    """Return a socket to a host; None when this machine has no route to it.

    Raises:
        KernelError: raw sockets are not allowed here.
    """
    family = family_of(destination.address)
    try:
        sock = socket.socket(family, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _PROTOCOLS[family])
    except OSError as fault:
        raise _refused(destination, fault) from fault
    try:
        _prepare(sock, family)
        if destination.source is not None:
            sock.bind((format_address(destination.source), 0))
        sock.connect((format_address(destination.address), 0))
        return _MtuProbe(destination, sock)
    except OSError:
        sock.close()
        return None


def _refused(destination: MtuTarget, fault: OSError) -> KernelError:
    return kernel_error("open raw sockets", format_address(destination.address), fault.errno or 5)


def _prepare(sock: socket.socket, family: int) -> None:
    sock.setblocking(False)
    level, option = _MTU_DISCOVER[family]
    sock.setsockopt(level, option, _PROBE)
    sock.setsockopt(*FILTER_OPTION[family], type_filter(family, (_REPLIES[family],)))
    if family == AF_INET:
        sock.setsockopt(socket.IPPROTO_IP, _IP_RECVERR, 1)
        return
    sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_DONTFRAG, 1)
    sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_RECVERR, 1)
