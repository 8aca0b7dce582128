"""TCP connects, the check that there are thousands of: as few system calls as can be.

A run is `socket`, `connect`, `getsockopt` and `close`. One tick after `connect` nearly every connection
stands or has failed: TCP_INFO says which, with the round trip time that the kernel measured. Only those that
need longer cost more: a deadline, and a place in the poller.

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
from kernelbal.runtime.checker.sockets import FLAGS, Obstacle

_TYPE: Final = socket.SOCK_STREAM | FLAGS
_INFO: Final = struct.Struct("=B67xI")
"""`tcpi_state` and `tcpi_rtt` of `struct tcp_info` in `linux/tcp.h`; microseconds."""
_SYN_SENT: Final = 2
_CLOSED: Final = 7
_FIRST_RETRANSMISSION_S: Final = 1.0
"""When the kernel repeats its SYN (RFC 6298): from then on the round trip is not what it took."""
_STOOD: Final = frozenset({errno.ECONNRESET, errno.EPIPE})
"""What a connection says that stood and then was reset; one that is refused says ECONNREFUSED."""
_TCP: Final = socket.IPPROTO_TCP
_TCP_INFO: Final = socket.TCP_INFO


class ConnectFlight(Flight):
    """A connection that is being made."""

    __slots__ = ("_connects", "socket")

    def __init__(self, task: Task, now: float, made: socket.SocketType, connects: Connects) -> None:
        super().__init__(task, now)
        self.socket = made
        self._connects = connects

    def expire(self, now: float) -> None:
        """Nobody answered."""
        self.close()
        self._connects.ground.fail(self, words.timed_out(self.task.timing.timeout_s))

    def close(self) -> None:
        """Give it up."""
        self._connects.slow.pop(self.socket.fileno(), None)
        self.socket.close()


class Connects:
    """Makes connections, and collects those that stand or failed once per tick.

    Attributes:
        fresh: those of the last tick.
        slow: those that did not stand after one tick, by descriptor.
    """

    def __init__(self, ground: Ground) -> None:
        self.ground = ground
        self.fresh: list[ConnectFlight] = []
        self.slow: dict[int, ConnectFlight] = {}
        self._poller = select.epoll()

    def start(self, task: Task) -> None:
        """Begin to connect."""
        ground = self.ground
        try:
            made = socket.SocketType(family_of(task.probe.target.address), _TYPE, 0)
        except OSError as error:
            ground.starve(task, error.errno or 0)
            return
        flight = ConnectFlight(task, ground.now, made, self)
        ground.begin_soon(flight)
        try:
            number = task.connect(made)
        except Obstacle as obstacle:
            made.close()
            ground.give_up(flight, obstacle.notice)
            return
        if number in (0, errno.EINPROGRESS):
            self.fresh.append(flight)
        else:
            self._failed(flight, number)

    def collect(self) -> None:
        """Take the results that are there."""
        if self.slow:
            for descriptor, _ in self._poller.poll(0, len(self.slow)):
                self._look(self.slow[descriptor])
        if self.fresh:
            fresh, self.fresh = self.fresh, []
            for flight in fresh:
                if not flight.done:
                    self._look(flight)

    def close(self) -> None:
        """Close the poller."""
        self._poller.close()

    def _look(self, flight: ConnectFlight) -> None:
        """Ask the kernel how far a connection has come."""
        made, ground = flight.socket, self.ground
        state, round_trip_us = _INFO.unpack(made.getsockopt(_TCP, _TCP_INFO, _INFO.size))
        if state == _SYN_SENT:
            self._wait(flight)
            return
        if state == _CLOSED:
            self._failed(flight, made.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))
            return
        flight.close()
        took_s = ground.now - flight.started_at
        if took_s < _FIRST_RETRANSMISSION_S and round_trip_us:
            took_s = round_trip_us / 1_000_000
        ground.finish(flight, GOOD, took_s)

    def _wait(self, flight: ConnectFlight) -> None:
        descriptor = flight.socket.fileno()
        if descriptor not in self.slow:
            self._poller.register(descriptor, select.EPOLLOUT)
            self.ground.set_deadline(flight)
        self.slow[descriptor] = flight

    def _failed(self, flight: ConnectFlight, number: int) -> None:
        ground = self.ground
        flight.close()
        if number in _STOOD:
            ground.finish(flight, GOOD, ground.now - flight.started_at)
        elif number in words.EXHAUSTED:
            ground.give_up(flight, words.starvation(number))
        else:
            ground.fail(flight, words.failure(number))
