"""Dialogues over TCP, with TLS at once, on demand or never."""

from __future__ import annotations

import errno
import os
import select
import socket
import ssl
import time
from typing import Final

from kernelbal.health.checks.dialogue import MAX_REPLY_BYTES, Dialogue, Step, Verdict
from kernelbal.health.checks.table import ENTROPY_BYTES
from kernelbal.model.address import family_of
from kernelbal.runtime.checker import words
from kernelbal.runtime.checker.ground import READ_BYTES, Flight, Ground, Task
from kernelbal.runtime.checker.sockets import FLAGS, Obstacle
from kernelbal.runtime.checker.tls import Contexts, Session

_TYPE: Final = socket.SOCK_STREAM | FLAGS
_MOST_BYTES: Final = MAX_REPLY_BYTES + 2 * READ_BYTES
"""Most that is read in one run, TLS and all."""
_LOST: Final = select.EPOLLERR | select.EPOLLHUP


class StreamFlight(Flight):
    """One conversation."""

    __slots__ = ("_contexts", "_dialogue", "_ground", "_left", "_phase", "_session", "_socket", "_unsent")

    def __init__(self, ground: Ground, contexts: Contexts, task: Task, made: socket.SocketType) -> None:
        super().__init__(task, ground.now)
        if task.means.new_dialogue is None:
            raise ValueError(f"{task.means} has no dialogue")
        self._ground = ground
        self._contexts = contexts
        self._socket = made
        self._dialogue: Dialogue = task.means.new_dialogue(os.urandom(ENTROPY_BYTES))
        self._session: Session | None = None
        self._phase = "connection"
        self._unsent = b""
        self._left = _MOST_BYTES

    def connect(self) -> None:
        """Begin to connect."""
        try:
            number = self.task.connect(self._socket)
        except Obstacle as obstacle:
            self._give_up(obstacle)
            return
        if number not in (0, errno.EINPROGRESS):
            self._lost(number)
            return
        self._ground.watch(self._socket.fileno(), select.EPOLLOUT, self._connected)

    def expire(self, now: float) -> None:
        """Whatever it waited for did not come in time."""
        if self._phase == "connection":
            self._end(Verdict(False, words.timed_out(self.task.timing.timeout_s)))
        else:
            self._end(Verdict(False, words.timed_out(self.task.timing.timeout_s, self._awaited())))

    def close(self) -> None:
        """Close the connection."""
        self._ground.unwatch(self._socket.fileno())
        self._socket.close()

    def _awaited(self) -> str:
        return self._dialogue.awaited if self._phase == "dialogue" else self._phase

    def _connected(self, mask: int) -> None:
        number = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) if mask & _LOST else 0
        if number:
            self._lost(number)
            return
        self._ground.rewatch(self._socket.fileno(), select.EPOLLIN, self._ready)
        if self.task.means.tls_first:
            self._start_tls()
        else:
            self._begin_dialogue()

    def _begin_dialogue(self) -> None:
        self._phase = "dialogue"
        self._perform(self._dialogue.begin())

    def _start_tls(self) -> None:
        means = self.task.means
        if means.tls is None:
            self._end(Verdict(False, "the check asks for TLS without settings for it"))
            return
        try:
            context = self._contexts.get(means.tls, bool(means.server_name))
        except Obstacle as obstacle:
            self._give_up(obstacle)
            return
        self._phase = "TLS handshake"
        self._session = Session(context, means.server_name)
        self._take(b"")

    def _perform(self, step: Step) -> None:
        """Do what the dialogue wants."""
        if step.send:
            if self._session is None:
                self._unsent += step.send
            else:
                self._session.write(step.send)
        self._flush()
        if self.done:
            return
        if step.verdict is not None:
            self._end(self._warned(step.verdict))
        elif step.start_tls:
            self._start_tls()

    def _flush(self) -> None:
        if self._session is not None:
            self._unsent += self._session.take_outgoing()
        if not self._unsent:
            return
        try:
            sent = self._socket.send(self._unsent)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            self._lost(error.errno or 0)
            return
        self._unsent = self._unsent[sent:]
        wanted = select.EPOLLIN | select.EPOLLOUT if self._unsent else select.EPOLLIN
        self._ground.change(self._socket.fileno(), wanted)

    def _ready(self, mask: int) -> None:
        if mask & select.EPOLLOUT:
            self._flush()
        if self.done or not mask & ~select.EPOLLOUT:
            return
        try:
            data = self._socket.recv(READ_BYTES)
        except BlockingIOError:
            return
        except OSError as error:
            self._lost(error.errno or 0)
            return
        self._left -= len(data)
        if not data:
            self._closed()
        elif self._left < 0:
            self._end(
                Verdict(False, f"more than {MAX_REPLY_BYTES // 1024} KiB while {self._awaited()} was due")
            )
        else:
            self._take(data)

    def _take(self, data: bytes) -> None:
        """Pass on what arrived, decrypted if need be."""
        session = self._session
        if session is None:
            self._perform(self._dialogue.receive(data))
            return
        fresh = not session.established
        try:
            clear = session.feed(data)
        except ssl.SSLError as error:
            self._flush()
            if not self.done:
                self._end(Verdict(False, words.tls_failure(error)))
            return
        self._flush()
        if fresh and session.established and not self.done:
            self._secured()
        if clear and not self.done:
            self._perform(self._dialogue.receive(clear))
        if session.ended and not self.done:
            self._end(self._warned(self._dialogue.end()))

    def _secured(self) -> None:
        """The handshake is done."""
        self._phase = "dialogue"
        first = self.task.means.tls_first
        self._perform(self._dialogue.begin() if first else self._dialogue.receive(b""))

    def _closed(self) -> None:
        if self._phase == "dialogue":
            self._end(self._warned(self._dialogue.end()))
        else:
            self._end(Verdict(False, f"connection closed, waiting for {self._phase}"))

    def _lost(self, number: int) -> None:
        if number in words.EXHAUSTED:
            self.close()
            self._ground.give_up(self, words.starvation(number))
            return
        reason = words.failure(number)
        if self._phase != "connection":
            reason = f"{reason}, waiting for {self._awaited()}"
        self._end(Verdict(False, reason))

    def _give_up(self, obstacle: Obstacle) -> None:
        self.close()
        self._ground.give_up(self, obstacle.notice)

    def _warned(self, verdict: Verdict) -> Verdict:
        """Add what the certificate is to be warned of."""
        settings = self.task.means.tls
        if self._session is None or settings is None or verdict.warning:
            return verdict
        wall_clock_s = time.clock_gettime(time.CLOCK_REALTIME)
        return verdict._replace(warning=self._session.warning(wall_clock_s, settings.warn_days))

    def _end(self, verdict: Verdict) -> None:
        if self._session is not None and self._session.established and not self._unsent:
            self._session.say_goodbye()
            goodbye = self._session.take_outgoing()
            try:
                self._socket.send(goodbye)
            except OSError:
                goodbye = b""  # nobody listens any more
        self.close()
        now = time.clock_gettime(time.CLOCK_BOOTTIME)
        self._ground.finish(self, verdict, now - self.started_at)


def start(ground: Ground, contexts: Contexts, task: Task) -> None:
    """Begin a conversation."""
    try:
        made = socket.SocketType(family_of(task.probe.target.address), _TYPE, 0)
    except OSError as error:
        ground.starve(task, error.errno or 0)
        return
    flight = StreamFlight(ground, contexts, task, made)
    ground.begin(flight)
    flight.connect()
