"""Echo requests: one socket for all probes of a family, source address and mark.

A raw socket hears every echo reply and error that this machine gets, and a filter in the kernel leaves out
all else. Where raw sockets are not allowed, the kernel's ping sockets (`net.ipv4.ping_group_range`) do.
"""

from __future__ import annotations

import os
import select
import socket
import struct
import time
from typing import Final, NamedTuple

from kernelbal.health.checks.dialogue import GOOD, Verdict
from kernelbal.health.checks.icmp import Echo, echo_request, read_echo, without_ipv4_header
from kernelbal.health.wire import Notice
from kernelbal.model.address import AF_INET, AF_INET6, Address, family_of, format_address
from kernelbal.model.event import Topic
from kernelbal.model.health import Target
from kernelbal.runtime.checker import words
from kernelbal.runtime.checker.ground import Flight, Ground, Task
from kernelbal.runtime.checker.sockets import FLAGS, Obstacle, prepare, socket_address

MAX_MESSAGES: Final = 256
"""Most messages that one round of events takes from a socket."""
_TOKEN_BYTES: Final = 16
_MESSAGE_BYTES: Final = 2048
_RECEIVE_BUFFER_BYTES: Final = 1024 * 1024
_PROTOCOLS: Final = {AF_INET: socket.IPPROTO_ICMP, AF_INET6: socket.IPPROTO_ICMPV6}
new_socket: Final = socket.SocketType
_SOL_RAW: Final = 255
_ICMP_FILTER: Final = 1
_ICMPV6_FILTER: Final = 1
_HEARD_V4: Final = (0, 3, 11, 12)
"""Echo reply, destination unreachable, time exceeded, parameter problem."""
_HEARD_V6: Final = (1, 2, 3, 4, 129)


class EchoKey(NamedTuple):
    """What probes must have in common to share a socket."""

    family: int
    source: Address
    mark: int


class EchoFlight(Flight):
    """One request that waits for its reply."""

    __slots__ = ("_port", "sequence", "token")

    def __init__(self, task: Task, now: float, port: EchoPort) -> None:
        super().__init__(task, now)
        self._port = port
        self.sequence = 0
        self.token = b""

    def expire(self, now: float) -> None:
        """No reply came."""
        self.close()
        self._port.ground.fail(self, words.timed_out(self.task.timing.timeout_s, "echo reply"))

    def close(self) -> None:
        """Wait no longer."""
        self._port.waiting.pop(self.sequence, None)


class EchoPort:
    """A socket for echo requests.

    Attributes:
        waiting: requests without a reply, by sequence number.
        identifier: of its requests.
        raw: whether it is a raw socket.
    """

    def __init__(self, ground: Ground, target: Target) -> None:
        """Open it.

        Raises:
            Obstacle: this machine does not allow it.
            OSError: it ran out of something.
        """
        self.ground = ground
        self.waiting: dict[int, EchoFlight] = {}
        self._family = family_of(target.address)
        self.identifier = int.from_bytes(os.urandom(2))
        self._sequence = int.from_bytes(os.urandom(2))
        self._socket, self.raw = _open(self._family)
        try:
            prepare(self._socket, target)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER_BYTES)
        except (Obstacle, OSError):
            self._socket.close()
            raise
        ground.watch(self._socket.fileno(), select.EPOLLIN, self._ready)

    def close(self) -> None:
        """Close it."""
        self.ground.unwatch(self._socket.fileno())
        self._socket.close()

    def send(self, task: Task) -> None:
        """Send one request."""
        flight = EchoFlight(task, self.ground.now, self)
        self.ground.begin(flight)
        if len(self.waiting) > 0xFFFF:
            self.ground.give_up(flight, Notice(Topic.CHECKER_STARVED, "too many echo requests at once"))
            return
        flight.sequence = self._free_sequence()
        flight.token = os.urandom(_TOKEN_BYTES)
        self.waiting[flight.sequence] = flight
        address = task.probe.target.address
        request = echo_request(self._family, self.identifier, flight.sequence, flight.token)
        try:
            self._socket.sendto(request, socket_address(address, 0))
        except OSError as error:
            flight.close()
            number = error.errno or 0
            if number in words.EXHAUSTED:
                self.ground.give_up(flight, words.starvation(number))
            else:
                self.ground.fail(flight, words.failure(number))

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
                continue  # an error of an earlier request, which its message tells better
            if self.raw and self._family == AF_INET:
                message = without_ipv4_header(message)
            echo = read_echo(self._family, message)
            if echo is not None and (not self.raw or echo.identifier == self.identifier):
                self._match(echo, sender[0])

    def _match(self, echo: Echo, sender: str) -> None:
        flight = self.waiting.get(echo.sequence)
        if flight is None:
            return
        meant = flight.task.probe.target.address
        if echo.error:
            if flight.token.startswith(echo.payload[:_TOKEN_BYTES]):
                flight.close()
                self.ground.finish(
                    flight, Verdict(False, f"{echo.error}, says {sender.partition('%')[0]}"), None
                )
        elif echo.payload == flight.token and sender.partition("%")[0] == format_address(meant):
            flight.close()
            now = time.clock_gettime(time.CLOCK_BOOTTIME)
            self.ground.finish(flight, GOOD, now - flight.started_at)


def _open(family: int) -> tuple[socket.SocketType, bool]:
    protocol = _PROTOCOLS[family]
    for kind in (socket.SOCK_RAW, socket.SOCK_DGRAM):
        try:
            made = new_socket(family, kind | FLAGS, protocol)
        except PermissionError:
            continue
        if kind == socket.SOCK_RAW:
            _filter(made, family)
        return made, kind == socket.SOCK_RAW
    raise Obstacle(
        Notice(
            Topic.CHECKER_UNABLE,
            "echo requests need CAP_NET_RAW",
            "add it to AmbientCapabilities= of the service, or set net.ipv4.ping_group_range",
        )
    )


def _filter(made: socket.SocketType, family: int) -> None:
    """Let the kernel drop all messages that are neither replies nor errors."""
    if family == AF_INET:
        made.setsockopt(_SOL_RAW, _ICMP_FILTER, struct.pack("=I", _all_but(_HEARD_V4) & 0xFFFFFFFF))
    else:
        made.setsockopt(socket.IPPROTO_ICMPV6, _ICMPV6_FILTER, _all_but(_HEARD_V6).to_bytes(32, "little"))


def _all_but(types: tuple[int, ...]) -> int:
    return ((1 << 256) - 1) & ~sum(1 << number for number in types)


class Echoes:
    """The sockets of all echo requests, opened when they are needed.

    Attributes:
        ports: the sockets.
    """

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self.ports: dict[EchoKey, EchoPort] = {}

    def start(self, task: Task) -> None:
        """Send one request."""
        target = task.probe.target
        key = EchoKey(family_of(target.address), target.source, target.mark)
        port = self.ports.get(key)
        if port is None:
            try:
                port = self.ports[key] = EchoPort(self._ground, target)
            except Obstacle as obstacle:
                self._ground.skip(task, obstacle.notice)
                return
            except OSError as error:
                self._ground.starve(task, error.errno or 0)
                return
        port.send(task)

    def close(self) -> None:
        """Close all sockets; none has a request that waits."""
        for port in self.ports.values():
            port.close()
        self.ports.clear()
