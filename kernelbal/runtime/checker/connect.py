"""TCP connects, the most frequent check: as few system calls as possible.

A run is `socket`, `connect`, `getsockopt` and `close`. One tick after `connect` nearly every connection is
established or has failed: TCP_INFO says which, with the round trip time that the kernel measured. Only those
that need longer cost more: a deadline, and a place in the poller.

The connection ends by FIN, not by RST: servers then see a client that left without sending, which hardly any
of them logs as an error, and no further system call is needed.
"""

from __future__ import annotations

import errno
import select
import socket
import struct
from typing import Final

from kernelbal.health.checks.dialogue import GOOD
from kernelbal.model.address import family_of
from kernelbal.runtime.checker import reasons
from kernelbal.runtime.checker.reactor import ProbeRun, ProbeTask, Reactor
from kernelbal.runtime.checker.sockets import FLAGS, ProbeSetupError

_TYPE: Final = socket.SOCK_STREAM | FLAGS
_INFO: Final = struct.Struct("=B67xI")
"""`tcpi_state` and `tcpi_rtt` of `struct tcp_info` in `linux/tcp.h`; microseconds."""
_SYN_SENT: Final = 2
_CLOSED: Final = 7
_FIRST_RETRANSMISSION_S: Final = 1.0
"""When the kernel repeats its SYN (RFC 6298): from then on the round trip is not what it took."""
_ESTABLISHED: Final = frozenset({errno.ECONNRESET, errno.EPIPE})
"""Errors of a connection that was established and then reset; a refused one has ECONNREFUSED."""
_TCP: Final = socket.IPPROTO_TCP
_TCP_INFO: Final = socket.TCP_INFO


class ConnectRun(ProbeRun):
    """A connection being established."""

    __slots__ = ("_driver", "socket")

    def __init__(self, task: ProbeTask, now: float, sock: socket.SocketType, driver: ConnectDriver) -> None:
        super().__init__(task, now)
        self.socket = sock
        self._driver = driver

    def expire(self, now: float) -> None:
        """Fail: no answer in time."""
        self.close()
        self._driver.reactor.fail(self, reasons.timed_out(self.task.timing.timeout_s))

    def close(self) -> None:
        """Give it up."""
        self._driver.slow.pop(self.socket.fileno(), None)
        self.socket.close()


class ConnectDriver:
    """Opens connections, and collects once per tick those that are established or failed.

    Attributes:
        fresh: those of the last tick.
        slow: those not established after one tick, by descriptor.
    """

    def __init__(self, reactor: Reactor) -> None:
        self.reactor = reactor
        self.fresh: list[ConnectRun] = []
        self.slow: dict[int, ConnectRun] = {}
        self._poller = select.epoll()

    def start(self, task: ProbeTask) -> None:
        """Begin to connect."""
        reactor = self.reactor
        try:
            sock = socket.SocketType(family_of(task.probe.target.address), _TYPE, 0)
        except OSError as error:
            reactor.starve(task, error.errno or 0)
            return
        run = ConnectRun(task, reactor.now, sock, self)
        reactor.begin_untimed(run)
        try:
            number = task.connect(sock)
        except ProbeSetupError as error:
            sock.close()
            reactor.discard(run, error.notice)
            return
        if number in (0, errno.EINPROGRESS):
            self.fresh.append(run)
        else:
            self._failed(run, number)

    def collect(self) -> None:
        """Collect the results that are there."""
        if self.slow:
            for descriptor, _ in self._poller.poll(0, len(self.slow)):
                run = self.slow[descriptor]
                self.reactor.guard(run.task, self._inspect, run)
        if self.fresh:
            fresh, self.fresh = self.fresh, []
            for run in fresh:
                if not run.done:
                    self.reactor.guard(run.task, self._inspect, run)

    def close(self) -> None:
        """Close the poller."""
        self._poller.close()

    def _inspect(self, run: ConnectRun) -> None:
        """Read the state of a connection."""
        sock, reactor = run.socket, self.reactor
        state, round_trip_us = _INFO.unpack(sock.getsockopt(_TCP, _TCP_INFO, _INFO.size))
        if state == _SYN_SENT:
            self._wait(run)
            return
        if state == _CLOSED:
            self._failed(run, sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))
            return
        run.close()
        took_s = reactor.now - run.started_at
        if took_s < _FIRST_RETRANSMISSION_S and round_trip_us:
            took_s = round_trip_us / 1_000_000
        reactor.finish(run, GOOD, took_s)

    def _wait(self, run: ConnectRun) -> None:
        descriptor = run.socket.fileno()
        if descriptor not in self.slow:
            self._poller.register(descriptor, select.EPOLLOUT)
            self.reactor.set_deadline(run)
        self.slow[descriptor] = run

    def _failed(self, run: ConnectRun, number: int) -> None:
        reactor = self.reactor
        run.close()
        if number in _ESTABLISHED:
            reactor.finish(run, GOOD, reactor.now - run.started_at)
        elif number in reasons.RESOURCE_ERRORS:
            reactor.discard(run, reasons.out_of_resources(number))
        else:
            reactor.fail(run, reasons.failure(number))
