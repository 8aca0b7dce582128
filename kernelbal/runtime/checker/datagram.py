"""Dialogues over UDP: the socket is connected, and so receives ICMP errors, but no datagrams of others."""

from __future__ import annotations

import os
import select
import socket
import time
from typing import Final

from kernelbal.health.checks.dialogue import GOOD, Dialogue, DialogueStep, ProbeResult
from kernelbal.health.checks.table import ENTROPY_BYTES
from kernelbal.model.address import family_of
from kernelbal.runtime.checker import reasons
from kernelbal.runtime.checker.reactor import READ_BYTES, ProbeRun, ProbeTask, Reactor
from kernelbal.runtime.checker.sockets import FLAGS, ProbeSetupError

_TYPE: Final = socket.SOCK_DGRAM | FLAGS
MAX_DATAGRAMS: Final = 64
"""Most replies that one run looks at."""


class DatagramRun(ProbeRun):
    """One exchange."""

    __slots__ = ("_dialogue", "_left", "_reactor", "_socket")

    def __init__(self, reactor: Reactor, task: ProbeTask, sock: socket.SocketType) -> None:
        super().__init__(task, reactor.now)
        if task.method.new_dialogue is None:
            raise ValueError(f"{task.method} has no dialogue")
        self._reactor = reactor
        self._socket = sock
        self._dialogue: Dialogue = task.method.new_dialogue(os.urandom(ENTROPY_BYTES))
        self._left = MAX_DATAGRAMS

    def begin(self) -> None:
        """Send the first datagram."""
        try:
            number = self.task.connect(self._socket)
        except ProbeSetupError as error:
            self.close()
            self._reactor.discard(self, error.notice)
            return
        if number:
            self._lost(number)
            return
        self._reactor.watch(self._socket.fileno(), select.EPOLLIN, self._ready, self)
        step = self._dialogue.begin()
        self._perform(step, anyway=True)

    def expire(self, now: float) -> None:
        """Take the timeout, which is a success where silence is."""
        if self.task.method.silence_is_good:
            self.close()
            self._reactor.finish(self, GOOD, None)
        else:
            self._end(
                ProbeResult(False, reasons.timed_out(self.task.timing.timeout_s, self._dialogue.awaited))
            )

    def close(self) -> None:
        """Close the socket."""
        self._reactor.unwatch(self._socket.fileno())
        self._socket.close()

    def _perform(self, step: DialogueStep, anyway: bool = False) -> None:
        if step.send or anyway:
            try:
                self._socket.send(step.send)
            except OSError as error:
                self._lost(error.errno or 0)
                return
        if step.result is not None:
            self._end(step.result)

    def _ready(self, _mask: int) -> None:
        try:
            data = self._socket.recv(READ_BYTES)
        except BlockingIOError:
            return
        except OSError as error:
            self._lost(error.errno or 0)
            return
        self._left -= 1
        if self._left < 0:
            self._end(
                ProbeResult(False, f"more than {MAX_DATAGRAMS} datagrams, none the {self._dialogue.awaited}")
            )
        else:
            self._perform(self._dialogue.receive(data))

    def _lost(self, number: int) -> None:
        if number in reasons.RESOURCE_ERRORS:
            self.close()
            self._reactor.discard(self, reasons.out_of_resources(number))
        else:
            self._end(ProbeResult(False, reasons.datagram_failure(number)))

    def _end(self, result: ProbeResult) -> None:
        self.close()
        now = time.clock_gettime(time.CLOCK_BOOTTIME)
        self._reactor.finish(self, result, now - self.started_at)


def start(reactor: Reactor, task: ProbeTask) -> None:
    """Begin an exchange."""
    try:
        sock = socket.SocketType(family_of(task.probe.target.address), _TYPE, 0)
    except OSError as error:
        reactor.starve(task, error.errno or 0)
        return
    run = DatagramRun(reactor, task, sock)
    reactor.begin(run)
    run.begin()
