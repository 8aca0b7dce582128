"""Dialogues over TCP, with TLS at once, on demand or never."""

from __future__ import annotations

import errno
import os
import select
import socket
import ssl
import time
from typing import Final

from kernelbal.health.checks.dialogue import MAX_REPLY_BYTES, Dialogue, DialogueStep, ProbeResult
from kernelbal.health.checks.table import ENTROPY_BYTES
from kernelbal.model.address import family_of
from kernelbal.runtime.checker import reasons
from kernelbal.runtime.checker.reactor import READ_BYTES, ProbeRun, ProbeTask, Reactor
from kernelbal.runtime.checker.sockets import FLAGS, ProbeSetupError
from kernelbal.runtime.checker.tls import TlsContexts, TlsSession

_TYPE: Final = socket.SOCK_STREAM | FLAGS
_MOST_BYTES: Final = MAX_REPLY_BYTES + 2 * READ_BYTES
"""Most that is read in one run, TLS and all."""
_LOST: Final = select.EPOLLERR | select.EPOLLHUP


class StreamRun(ProbeRun):
    """One conversation."""

    __slots__ = ("_contexts", "_dialogue", "_left", "_phase", "_reactor", "_session", "_socket", "_unsent")

    def __init__(
        self, reactor: Reactor, contexts: TlsContexts, task: ProbeTask, sock: socket.SocketType
    ) -> None:
        super().__init__(task, reactor.now)
        if task.method.new_dialogue is None:
            raise ValueError(f"{task.method} has no dialogue")
        self._reactor = reactor
        self._contexts = contexts
        self._socket = sock
        self._dialogue: Dialogue = task.method.new_dialogue(os.urandom(ENTROPY_BYTES))
        self._session: TlsSession | None = None
        self._phase = "connection"
        self._unsent = b""
        self._left = _MOST_BYTES

    def connect(self) -> None:
        """Begin to connect."""
        try:
            number = self.task.connect(self._socket)
        except ProbeSetupError as error:
            self._discard(error)
            return
        if number not in (0, errno.EINPROGRESS):
            self._lost(number)
            return
        self._reactor.watch(self._socket.fileno(), select.EPOLLOUT, self._connected, self)

    def expire(self, now: float) -> None:
        """Fail: what it waited for did not arrive in time."""
        if self._phase == "connection":
            self._end(ProbeResult(False, reasons.timed_out(self.task.timing.timeout_s)))
        else:
            self._end(ProbeResult(False, reasons.timed_out(self.task.timing.timeout_s, self._awaited())))

    def close(self) -> None:
        """Close the connection."""
        self._reactor.unwatch(self._socket.fileno())
        self._socket.close()

    def _awaited(self) -> str:
        return self._dialogue.awaited if self._phase == "dialogue" else self._phase

    def _connected(self, mask: int) -> None:
        number = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) if mask & _LOST else 0
        if number:
            self._lost(number)
            return
        self._reactor.rewatch(self._socket.fileno(), select.EPOLLIN, self._ready, self)
        if self.task.method.tls_first:
            self._start_tls()
        else:
            self._begin_dialogue()

    def _begin_dialogue(self) -> None:
        self._phase = "dialogue"
        self._perform(self._dialogue.begin())

    def _start_tls(self) -> None:
        method = self.task.method
        if method.tls is None:
            self._end(ProbeResult(False, "the check has no TLS settings"))
            return
        try:
            context = self._contexts.get(method.tls, bool(method.server_name))
        except ProbeSetupError as error:
            self._discard(error)
            return
        self._phase = "TLS handshake"
        self._session = TlsSession(context, method.server_name)
        self._take(b"")

    def _perform(self, step: DialogueStep) -> None:
        """Perform a step of the dialogue."""
        if step.send:
            if self._session is None:
                self._unsent += step.send
            else:
                self._session.write(step.send)
        self._flush()
        if self.done:
            return
        if step.result is not None:
            self._end(self._with_warning(step.result))
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
        events = select.EPOLLIN | select.EPOLLOUT if self._unsent else select.EPOLLIN
        self._reactor.change(self._socket.fileno(), events)

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
                ProbeResult(
                    False, f"over {MAX_REPLY_BYTES // 1024} KiB received without a complete {self._awaited()}"
                )
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
                self._end(ProbeResult(False, reasons.tls_failure(error)))
            return
        self._flush()
        if fresh and session.established and not self.done:
            self._secured()
        if clear and not self.done:
            self._perform(self._dialogue.receive(clear))
        if session.ended and not self.done:
            self._end(self._with_warning(self._dialogue.end()))

    def _secured(self) -> None:
        """The handshake is done."""
        self._phase = "dialogue"
        first = self.task.method.tls_first
        self._perform(self._dialogue.begin() if first else self._dialogue.receive(b""))

    def _closed(self) -> None:
        if self._phase == "dialogue":
            self._end(self._with_warning(self._dialogue.end()))
        else:
            self._end(ProbeResult(False, f"connection closed, waiting for {self._phase}"))

    def _lost(self, number: int) -> None:
        if number in reasons.RESOURCE_ERRORS:
            self.close()
            self._reactor.discard(self, reasons.out_of_resources(number))
            return
        reason = reasons.failure(number)
        if self._phase != "connection":
            reason = f"{reason}, waiting for {self._awaited()}"
        self._end(ProbeResult(False, reason))

    def _discard(self, error: ProbeSetupError) -> None:
        self.close()
        self._reactor.discard(self, error.notice)

    def _with_warning(self, result: ProbeResult) -> ProbeResult:
        """Add the warning about the certificate."""
        settings = self.task.method.tls
        if self._session is None or settings is None or result.warning:
            return result
        wall_clock_s = time.clock_gettime(time.CLOCK_REALTIME)
        return result._replace(warning=self._session.warning(wall_clock_s, settings.warn_days))

    def _end(self, result: ProbeResult) -> None:
        if self._session is not None and self._session.established and not self._unsent:
            self._session.close_notify()
            goodbye = self._session.take_outgoing()
            try:
                self._socket.send(goodbye)
            except OSError:
                goodbye = b""  # the other side is gone
        self.close()
        now = time.clock_gettime(time.CLOCK_BOOTTIME)
        self._reactor.finish(self, result, now - self.started_at)


def start(reactor: Reactor, contexts: TlsContexts, task: ProbeTask) -> None:
    """Begin a conversation."""
    try:
        sock = socket.SocketType(family_of(task.probe.target.address), _TYPE, 0)
    except OSError as error:
        reactor.starve(task, error.errno or 0)
        return
    run = StreamRun(reactor, contexts, task, sock)
    reactor.begin(run)
    run.connect()
