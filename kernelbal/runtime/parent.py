"""A child's side of its parent: frames over a connected socket, and ending when the parent is gone.

The parent starts a child with `--fd=N`, the number of a connected socket, and `--mark=N`, that of memory
which both share. What both send are frames: lines of JSON of bounded length. The mark, one number in that
memory, is what the parent can still read when the child has hung or ended: what it was working for. A child
imports this module and not the parent's, which needs asyncio.
"""

from __future__ import annotations

import argparse
import ctypes
import mmap
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from typing import Final

from kernelbal.store.codec import Malformed

MAX_FRAME_BYTES: Final = 4 * 1024 * 1024
"""Longest frame."""
MARK_BYTES: Final = 8
"""Size of a mark; its bytes are in the order of this machine."""
READ_BYTES: Final = 256 * 1024
"""Most that is read at once."""
_PR_SET_PDEATHSIG: Final = 1


class Frames:
    """Cuts a stream into frames."""

    def __init__(self, limit: int = MAX_FRAME_BYTES) -> None:
        self._limit = limit
        self._rest = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """Take what arrived, and return the frames that are complete, without their ends.

        Raises:
            Malformed: a frame is longer than the limit.
        """
        scan_from = len(self._rest)
        self._rest += data
        if self._rest.find(b"\n", scan_from) < 0:
            frames = []
        else:
            *frames, rest = bytes(self._rest).split(b"\n")
            self._rest = bytearray(rest)
        if len(self._rest) > self._limit or any(len(frame) > self._limit for frame in frames):
            raise Malformed(f"a frame has more than {self._limit} bytes")
        return frames


class ParentLink:
    """The connection to the parent, for a child that waits for its descriptors, and never for the parent.

    Attributes:
        ended: whether the parent has closed its end.
    """

    def __init__(self, connection: socket.socket, watch_writable: Callable[[bool], None]) -> None:
        """Use a non-blocking socket.

        Args:
            connection: to the parent.
            watch_writable: called when `write` shall be called once the socket takes more, or no longer.
        """
        self._connection = connection
        self._watch_writable = watch_writable
        self._frames = Frames()
        self._unsent = bytearray()
        self.ended = False

    @property
    def busy(self) -> bool:
        """Whether the parent has not read all that was sent."""
        return bool(self._unsent)

    def read(self) -> list[bytes]:
        """Return the frames that have arrived.

        Raises:
            ConnectionError: the parent is gone.
            Malformed: a frame is too long.
        """
        try:
            data = self._connection.recv(READ_BYTES)
        except BlockingIOError:
            return []
        self.ended = not data
        return self._frames.feed(data)

    def send(self, frame: bytes) -> None:
        """Have a frame sent by the next `write`."""
        self._unsent += frame
        self._unsent += b"\n"

    def write(self) -> None:
        """Send as much as the socket takes.

        Raises:
            ConnectionError: the parent is gone.
        """
        had_to_wait = False
        while self._unsent:
            try:
                sent = self._connection.send(self._unsent)
            except BlockingIOError:
                had_to_wait = True
                break
            del self._unsent[:sent]
        self._watch_writable(had_to_wait)


def serve_parent(
    name: str, arguments: Sequence[str], work: Callable[[socket.socket, memoryview], None]
) -> int:
    """Do a child's work until its parent is gone, and return the exit status.

    Args:
        name: of the program, for its messages.
        arguments: of the command line.
        work: takes the non-blocking connection to the parent, and the mark, a sequence of one number.
    """
    parser = argparse.ArgumentParser(prog=name)
    parser.add_argument("--fd", type=int, required=True, help="connected socket to the parent")
    parser.add_argument("--mark", type=int, default=-1, help="memory shared with the parent")
    parsed = parser.parse_args(arguments)
    mark = memoryview(mmap.mmap(parsed.mark, MARK_BYTES)).cast("Q")
    _end_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of a terminal; the parent decides
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(0))
    with socket.socket(fileno=parsed.fd) as connection:
        connection.setblocking(False)
        try:
            work(connection, mark)
        except Malformed as error:
            sys.stderr.write(f"{name}: its parent sent what cannot be read: {error.message}\n")
            return 1
    return 0


def _end_with_parent() -> None:
    """Get SIGTERM when the parent is gone, also when something else holds the connection open."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
