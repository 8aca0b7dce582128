"""TCP connects, the check that there are thousands of: as few system calls as can be.

A run is `socket`, `connect`, `epoll_ctl` and `close`, plus a share of the tick's one `epoll_wait` and, when
it stands, one `getsockopt` for its round trip time. A socket that is ready without an error flag is
connected, so that SO_ERROR is asked for failures only; closing takes it from the poller.

The connection ends by FIN, not by RST: servers then see a client that left without a word, which hardly any
of them logs as an error, and no system call is needed to ask for it.
"""

from __future__ import annotations

import errno
import select
import socket
import struct
from typing import Final

from kernelbal.health.checks.dialogue import GOOD
from kernelbal.model.address import family_of
from kernelbal.runtime.checker import words
from kernelbal.runtime.checker.ground import Flight, Ground, Task
from kernelbal.runtime.checker.sockets import FLAGS, Obstacle, connect

_TYPE: Final = socket.SOCK_STREAM | FLAGS
_FAILED: Final = select.EPOLLERR | select.EPOLLHUP
_RTT: Final = struct.Struct("=68xI")
"""`tcpi_rtt` of `struct tcp_info` in `linux/tcp.h`, microseconds."""
_FIRST_RETRANSMISSION_S: Final = 1.0
"""When the kernel repeats its SYN (RFC 6298): from then on the round trip is not what it took."""
_SOL: Final = socket.SOL_SOCKET
_ERROR: Final = socket.SO_ERROR
_STOOD: Final = frozenset({errno.ECONNRESET, errno.EPIPE})
"""What a connection says that stood and then was reset; one that is refused says ECONNREFUSED."""


class ConnectFlight(Flight):
    """A connection that is being made."""

    __slots__ = ("connects", "socket")

    def __init__(self, task: Task, now: float, made: socket.SocketType, connects: Connects) -> None:
        super().__init__(task, now)
        self.socket = made
        self.connects = connects

    def expire(self, now: float) -> None:
        """Nobody answered."""
        self.connects.forget(self)
        self.connects.ground.fail(self, words.timed_out(self.task.timing.timeout_s))

    def close(self) -> None:
        """Give it up."""
        self.connects.forget(self)


class Connects:
    """Makes connections, and collects those that stand or failed once per tick.

    Attributes:
        live: those that are being made, by descriptor.
    """

    def __init__(self, ground: Ground) -> None:
        self.ground = ground
        self.live: dict[int, ConnectFlight] = {}
        self._poller = select.epoll()

    def start(self, task: Task) -> None:
        """Begin to connect."""
        ground = self.ground
        address = task.probe.target.address
        try:
            made = socket.SocketType(family_of(address), _TYPE, 0)
        except OSError as error:
            ground.starve(task, error.errno or 0)
            return
        flight = ConnectFlight(task, ground.now, made, self)
        ground.begin(flight)
        try:
            number = connect(made, task)
        except Obstacle as obstacle:
            made.close()
            ground.give_up(flight, obstacle.notice)
            return
        if number == errno.EINPROGRESS:
            descriptor = made.fileno()
            self._poller.register(descriptor, select.EPOLLOUT)
            self.live[descriptor] = flight
            return
        self._judge(flight, number)

    def collect(self) -> None:
        """Take the results that are there."""
        if not self.live:
            return
        for descriptor, mask in self._poller.poll(0, len(self.live)):
            flight = self.live.pop(descriptor)
            self._judge(flight, flight.socket.getsockopt(_SOL, _ERROR) if mask & _FAILED else 0)

    def close(self) -> None:
        """Close the poller."""
        self._poller.close()

    def forget(self, flight: ConnectFlight) -> None:
        """Close a connection without a result."""
        self.live.pop(flight.socket.fileno(), None)
        flight.socket.close()

    def _judge(self, flight: ConnectFlight, number: int) -> None:
        ground = self.ground
        if number == 0:
            took_s = ground.now - flight.started_at
            if took_s < _FIRST_RETRANSMISSION_S:
                took_s = round_trip_s(flight.socket) or took_s
            flight.socket.close()
            ground.finish(flight, GOOD, took_s)
            return
        flight.socket.close()
        if number in _STOOD:
            ground.finish(flight, GOOD, ground.now - flight.started_at)
        elif number in words.EXHAUSTED:
            ground.give_up(flight, words.starvation(number))
        else:
            ground.fail(flight, words.failure(number))


def round_trip_s(connected: socket.SocketType) -> float:
    """Return what the kernel measured from SYN to its answer; 0.0 when it does not say."""
    return float(_RTT.unpack(connected.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _RTT.size))[0]) / 1e6
