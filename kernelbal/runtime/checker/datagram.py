"""Dialogues over UDP: the socket is connected, and so hears of ICMP errors, but not of others' datagrams."""

from __future__ import annotations

import os
import select
import socket
import time
from typing import Final

from kernelbal.health.checks.dialogue import GOOD, Dialogue, Step, Verdict
from kernelbal.health.checks.table import ENTROPY_BYTES
from kernelbal.model.address import family_of
from kernelbal.runtime.checker import words
from kernelbal.runtime.checker.ground import READ_BYTES, Flight, Ground, Task
from kernelbal.runtime.checker.sockets import FLAGS, Obstacle

_TYPE: Final = socket.SOCK_DGRAM | FLAGS
MAX_DATAGRAMS: Final = 64
"""Most replies that one run looks at."""


class DatagramFlight(Flight):
    """One exchange."""

    __slots__ = ("_dialogue", "_ground", "_left", "_socket")

    def __init__(self, ground: Ground, task: Task, made: socket.SocketType) -> None:
        super().__init__(task, ground.now)
        if task.means.new_dialogue is None:
            raise ValueError(f"{task.means} has no dialogue")
        self._ground = ground
        self._socket = made
        self._dialogue: Dialogue = task.means.new_dialogue(os.urandom(ENTROPY_BYTES))
        self._left = MAX_DATAGRAMS

    def begin(self) -> None:
        """Send the first datagram."""
        try:
            number = self.task.connect(self._socket)
        except Obstacle as obstacle:
            self.close()
            self._ground.give_up(self, obstacle.notice)
            return
        if number:
            self._lost(number)
            return
        self._ground.watch(self._socket.fileno(), select.EPOLLIN, self._ready)
        step = self._dialogue.begin()
        self._perform(step, anyway=True)

    def expire(self, now: float) -> None:
        """Nothing came, which may be good."""
        if self.task.means.silence_is_good:
            self.close()
            self._ground.finish(self, GOOD, None)
        else:
            self._end(Verdict(False, words.timed_out(self.task.timing.timeout_s, self._dialogue.awaited)))

    def close(self) -> None:
        """Close the socket."""
        self._ground.unwatch(self._socket.fileno())
        self._socket.close()

    def _perform(self, step: Step, anyway: bool = False) -> None:
        if step.send or anyway:
            try:
                self._socket.send(step.send)
            except OSError as error:
                self._lost(error.errno or 0)
                return
        if step.verdict is not None:
            self._end(step.verdict)

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
                Verdict(False, f"more than {MAX_DATAGRAMS} datagrams, none the {self._dialogue.awaited}")
            )
        else:
            self._perform(self._dialogue.receive(data))

    def _lost(self, number: int) -> None:
        if number in words.EXHAUSTED:
            self.close()
            self._ground.give_up(self, words.starvation(number))
        else:
            self._end(Verdict(False, words.datagram_failure(number)))

    def _end(self, verdict: Verdict) -> None:
        self.close()
        now = time.clock_gettime(time.CLOCK_BOOTTIME)
        self._ground.finish(self, verdict, now - self.started_at)


def start(ground: Ground, task: Task) -> None:
    """Begin an exchange."""
    try:
        made = socket.SocketType(family_of(task.probe.target.address), _TYPE, 0)
    except OSError as error:
        ground.starve(task, error.errno or 0)
        return
    flight = DatagramFlight(ground, task, made)
    ground.begin(flight)
    flight.begin()
