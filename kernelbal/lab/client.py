"""Talks to the agent inside a lab: runs one program there as if it ran here."""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import termios
import time
import tty
from typing import TYPE_CHECKING, Final, NamedTuple

from kernelbal.lab.errors import SessionError
from kernelbal.lab.frames import Decoder, Frame, Kind, ProgramRequest, parse_exit, size_frame

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kernelbal.lab.backends.base import StandardStreams


class Transport(NamedTuple):
    """File descriptors to the agent; both may be the same."""

    reading: int
    writing: int


_CHUNK_BYTES: Final = 16384
_START_LIMIT_S: Final = 20.0


def write_all(descriptor: int, data: bytes) -> None:
    """Write all of `data`.

    Raises:
        OSError: as `write(2)` says.
    """
    while data:
        data = data[os.write(descriptor, data) :]


def call(transport: Transport, request: ProgramRequest, streams: StandardStreams) -> int:
    """Run a program in the lab over a connected transport and return its exit status.

    Raises:
        SessionError: the agent does not answer or goes away.
        KeyboardInterrupt: the program has been ended as well.
    """
    write_all(transport.writing, request.frame().encode())
    beginning = _await_start(transport, request.token)
    with _terminal(streams.stdin, request.terminal, transport):
        try:
            return _converse(transport, beginning, streams, forward_input=request.terminal)
        except KeyboardInterrupt:
            write_all(transport.writing, Frame(Kind.CANCEL).encode())
            raise


def _await_start(transport: Transport, token: str) -> bytes:
    """Skip what an earlier client left; return what follows the agent's acknowledgement."""
    started = Frame(Kind.STARTED, token.encode()).encode()
    seen = b""
    deadline = time.monotonic() + _START_LIMIT_S
    while started not in seen:
        left_s = deadline - time.monotonic()
        if left_s <= 0 or not select.select([transport.reading], [], [], left_s)[0]:
            raise SessionError("the lab does not answer", "kernelbal lab down, then lab up")
        seen = seen[-len(started) :] + _read(transport)
    return seen.split(started, 1)[1]


def _read(transport: Transport) -> bytes:
    data = os.read(transport.reading, _CHUNK_BYTES)
    if not data:
        raise SessionError("the lab has gone", "kernelbal lab up")
    return data


def _converse(transport: Transport, data: bytes, streams: StandardStreams, *, forward_input: bool) -> int:
    decoder = Decoder()
    outputs = {Kind.STDOUT: streams.stdout, Kind.STDERR: streams.stderr}
    watched = [transport.reading, streams.stdin] if forward_input else [transport.reading]
    while True:
        for frame in decoder.feed(data):
            if frame.kind is Kind.EXIT:
                return parse_exit(frame)
            if frame.kind in outputs:
                write_all(outputs[frame.kind], frame.payload)
        data = b""
        ready = select.select(watched, [], [])[0]
        if streams.stdin in ready and forward_input:
            typed = os.read(streams.stdin, _CHUNK_BYTES)
            if typed:
                write_all(transport.writing, Frame(Kind.INPUT, typed).encode())
            else:
                watched.remove(streams.stdin)
                write_all(transport.writing, Frame(Kind.INPUT, b"\x04").encode())  # end of input, as typed
        if transport.reading in ready:
            data = _read(transport)


@contextlib.contextmanager
def _terminal(descriptor: int, wanted: bool, transport: Transport) -> Iterator[None]:
    """Hand every key and every change of size on, and restore the terminal afterwards."""
    if not (wanted and os.isatty(descriptor)):
        yield
        return

    def resized(_number: int, _frame: object) -> None:
        size = shutil.get_terminal_size()
        write_all(transport.writing, size_frame(size.lines, size.columns).encode())

    before = termios.tcgetattr(descriptor)
    handler = signal.signal(signal.SIGWINCH, resized)
    tty.setraw(descriptor, termios.TCSADRAIN)  # what has been typed already counts
    try:
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
        signal.signal(signal.SIGWINCH, handler)
