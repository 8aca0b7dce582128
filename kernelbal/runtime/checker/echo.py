"""Echo requests: one socket for all probes of a family, source address and mark.

A raw socket receives every echo reply and error that this machine gets, and a filter in the kernel drops
all else. Where raw sockets are not allowed, the kernel's ping sockets (`net.ipv4.ping_group_range`) do.
"""

from __future__ import annotations

import os
import select
import socket
import time
from typing import Final, NamedTuple

from kernelbal.health.checks.dialogue import GOOD, ProbeResult
from kernelbal.health.checks.icmp import (
    FILTER_OPTION,
    EchoMessage,
    echo_request,
    read_echo,
    type_filter,
    without_ipv4_header,
)
from kernelbal.model.address import AF_INET, AF_INET6, Address, family_of, format_address
from kernelbal.model.event import Topic
from kernelbal.model.health import Target
from kernelbal.runtime.checker import reasons
from kernelbal.runtime.checker.reactor import ProbeRun, ProbeTask, Reactor
from kernelbal.runtime.checker.sockets import FLAGS, ProbeSetupError, prepare, socket_address
from kernelbal.runtime.checker.wire import Notice

MAX_MESSAGES: Final = 256
"""Most messages that one round of events takes from a socket."""
_TOKEN_BYTES: Final = 16
_LEAST_QUOTED_BYTES: Final = 8
"""Bytes of the token that an error must quote: a real server sees the sequence numbers of its own requests,
and could report errors for those of others. What routers of old (RFC 792) quote less of ends as a timeout.
"""
_MESSAGE_BYTES: Final = 2048
_RECEIVE_BUFFER_BYTES: Final = 1024 * 1024
_PROTOCOLS: Final = {AF_INET: socket.IPPROTO_ICMP, AF_INET6: socket.IPPROTO_ICMPV6}
new_socket: Final = socket.SocketType
_TYPES: Final = {AF_INET: (0, 3, 11, 12), AF_INET6: (129, 1, 3, 4, 2)}
"""Echo reply, destination unreachable, time exceeded, parameter problem; with IPv6 also packet too big."""


class EchoKey(NamedTuple):
    """What probes must have in common to share a socket."""

    family: int
    source: Address
    mark: int


class EchoRun(ProbeRun):
    """One request that waits for its reply."""

    __slots__ = ("_socket", "sequence", "token")

    def __init__(self, task: ProbeTask, now: float, sock: EchoSocket) -> None:
        super().__init__(task, now)
        self._socket = sock
        self.sequence = 0
        self.token = b""

    def expire(self, now: float) -> None:
        """Fail: no reply in time."""
        self.close()
        self._socket.reactor.fail(self, reasons.timed_out(self.task.timing.timeout_s, "echo reply"))

    def close(self) -> None:
        """Wait no longer."""
        self._socket.waiting.pop(self.sequence, None)


class EchoSocket:
    """A socket for echo requests.

    Attributes:
        waiting: requests without a reply, by sequence number.
        identifier: of its requests.
        raw: whether it is a raw socket.
    """

    def __init__(self, reactor: Reactor, target: Target) -> None:
        """Open it.

        Raises:
            Obstacle: this machine does not allow it.
            OSError: it ran out of something.
        """
        self.reactor = reactor
        self.waiting: dict[int, EchoRun] = {}
        self._family = family_of(target.address)
        self.identifier = int.from_bytes(os.urandom(2))
        self._sequence = int.from_bytes(os.urandom(2))
        self._socket, self.raw = _open(self._family)
        try:
            prepare(self._socket, target)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER_BYTES)
        except (ProbeSetupError, OSError):
            self._socket.close()
            raise
        reactor.watch(self._socket.fileno(), select.EPOLLIN, self._ready)

    def close(self) -> None:
        """Close it."""
        self.reactor.unwatch(self._socket.fileno())
        self._socket.close()

    def send(self, task: ProbeTask) -> None:
        """Send one request."""
        run = EchoRun(task, self.reactor.now, self)
        self.reactor.begin(run)
        if len(self.waiting) > 0xFFFF:
            self.reactor.discard(run, Notice(Topic.CHECKER_STARVED, "too many echo requests at once"))
            return
        run.sequence = self._free_sequence()
        run.token = os.urandom(_TOKEN_BYTES)
        self.waiting[run.sequence] = run
        address = task.probe.target.address
        request = echo_request(self._family, self.identifier, run.sequence, run.token)
        try:
            self._socket.sendto(request, socket_address(address, 0))
        except OSError as error:
            run.close()
            number = error.errno or 0
            if number in reasons.RESOURCE_ERRORS:
                self.reactor.discard(run, reasons.out_of_resources(number))
            else:
                self.reactor.fail(run, reasons.failure(number))

    def _free_sequence(self) -> int:
        while True:
            self._sequence = (self._sequence + 1) & 0xFFFF
            if self._sequence not in self.waiting:
                return self._sequence

    def _ready(self, _mask: int) -> None:
        for _ in range(MAX_MESSAGES):
            try:
                message, sender = self._socket.recvfrom(_MESSAGE_BYTES)
            except BlockingIOError:
                return
            except OSError:
                continue  # an error of an earlier request, which its message reports better
            self.reactor.guard(None, self._take, (message, sender[0]))

    def _take(self, received: tuple[bytes, str]) -> None:
        """Find the run that a message is for."""
        message, sender = received
        if self.raw and self._family == AF_INET:
            message = without_ipv4_header(message)
        echo = read_echo(self._family, message)
        if echo is None or (self.raw and echo.identifier != self.identifier):
            return
        run = self.waiting.get(echo.sequence)
        if run is not None:
            self.reactor.guard(run.task, self._match, (run, echo, sender))

    def _match(self, matched: tuple[EchoRun, EchoMessage, str]) -> None:
        run, echo, sender = matched
        meant = run.task.probe.target.address
        if echo.error:
            quoted = echo.payload[:_TOKEN_BYTES]
            if len(quoted) >= _LEAST_QUOTED_BYTES and run.token.startswith(quoted):
                run.close()
                self.reactor.finish(
                    run, ProbeResult(False, f"{echo.error}, reported by {sender.partition('%')[0]}"), None
                )
        elif echo.payload == run.token and sender.partition("%")[0] == format_address(meant):
            run.close()
            now = time.clock_gettime(time.CLOCK_BOOTTIME)
            self.reactor.finish(run, GOOD, now - run.started_at)


def _open(family: int) -> tuple[socket.SocketType, bool]:
    protocol = _PROTOCOLS[family]
    for kind in (socket.SOCK_RAW, socket.SOCK_DGRAM):
        try:
            sock = new_socket(family, kind | FLAGS, protocol)
        except PermissionError:
            continue
        if kind == socket.SOCK_RAW:
            sock.setsockopt(*FILTER_OPTION[family], type_filter(family, _TYPES[family]))
        return sock, kind == socket.SOCK_RAW
    raise ProbeSetupError(
        Notice(
            Topic.CHECKER_UNABLE,
            "echo requests need CAP_NET_RAW",
            "add it to AmbientCapabilities= of the service, or set net.ipv4.ping_group_range",
        )
    )


class EchoDriver:
    """The sockets of all echo requests, opened when they are needed.

    Attributes:
        sockets: the sockets.
    """

    def __init__(self, reactor: Reactor) -> None:
        self._reactor = reactor
        self.sockets: dict[EchoKey, EchoSocket] = {}

    def start(self, task: ProbeTask) -> None:
        """Send one request."""
        target = task.probe.target
        key = EchoKey(family_of(target.address), target.source, target.mark)
        sock = self.sockets.get(key)
        if sock is None:
            try:
                sock = self.sockets[key] = EchoSocket(self._reactor, target)
            except ProbeSetupError as error:
                self._reactor.skip(task, error.notice)
                return
            except OSError as error:
                self._reactor.starve(task, error.errno or 0)
                return
        sock.send(task)

    def close(self) -> None:
        """Close all sockets; none has a request that waits."""
        for sock in self.sockets.values():
            sock.close()
        self.sockets.clear()
