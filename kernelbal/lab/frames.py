"""What `lab shell` and `lab run` say to the agent inside a lab, and what it answers: frames on a byte stream.

A frame is one byte of kind, four bytes of length (big endian), and the payload. A stream may begin in the
middle of what an earlier client left behind: an answer counts from the `STARTED` with the client's own token.
"""

from __future__ import annotations

import json
import struct
from dataclasses import asdict, dataclass
from enum import IntEnum
from typing import Final, NamedTuple

from kernelbal.lab.errors import SessionError

MAX_PAYLOAD_BYTES: Final = 1 << 20
_HEADER: Final = struct.Struct("!BI")
_SIZE: Final = struct.Struct("!HH")
_STATUS: Final = struct.Struct("!i")


class Kind(IntEnum):
    """What a frame is."""

    REQUEST = 1
    INPUT = 2
    RESIZE = 3
    CANCEL = 4
    STARTED = 5
    STDOUT = 6
    STDERR = 7
    EXIT = 8


_KINDS: Final = frozenset(Kind)


class Frame(NamedTuple):
    """One message."""

    kind: Kind
    payload: bytes = b""

    def encode(self) -> bytes:
        """Return the bytes to send."""
        return _HEADER.pack(self.kind, len(self.payload)) + self.payload


@dataclass(frozen=True, slots=True)
class ProgramRequest:
    """A program to run on a host of the lab.

    Attributes:
        host: the host's name.
        argv: the program and its arguments.
        cwd: working directory; `/` is taken where it does not exist.
        env: its whole environment.
        terminal: give it a terminal of `rows` and `columns`.
        token: comes back in `STARTED`.
    """

    host: str
    argv: tuple[str, ...]
    cwd: str
    env: dict[str, str]
    terminal: bool
    rows: int
    columns: int
    token: str

    def frame(self) -> Frame:
        """Return it as a frame."""
        return Frame(Kind.REQUEST, json.dumps(asdict(self)).encode())


def parse_request(frame: Frame) -> ProgramRequest:
    """Return the request of a `REQUEST` frame.

    Raises:
        SessionError: it is no request.
    """
    try:
        fields = json.loads(frame.payload)
        return ProgramRequest(**{**fields, "argv": tuple(fields["argv"])})
    except (ValueError, TypeError, KeyError) as error:
        raise SessionError(f"not a request: {error}") from error


def size_frame(rows: int, columns: int) -> Frame:
    """Return a `RESIZE` frame."""
    return Frame(Kind.RESIZE, _SIZE.pack(rows, columns))


def parse_size(frame: Frame) -> tuple[int, int]:
    """Return rows and columns of a `RESIZE` frame.

    Raises:
        SessionError: its length is wrong.
    """
    if len(frame.payload) != _SIZE.size:
        raise SessionError("not a terminal size")
    rows, columns = _SIZE.unpack(frame.payload)
    return rows, columns


def exit_frame(status: int) -> Frame:
    """Return an `EXIT` frame."""
    return Frame(Kind.EXIT, _STATUS.pack(status))


def parse_exit(frame: Frame) -> int:
    """Return the exit status of an `EXIT` frame.

    Raises:
        SessionError: its length is wrong.
    """
    if len(frame.payload) != _STATUS.size:
        raise SessionError("not an exit status")
    status: int = _STATUS.unpack(frame.payload)[0]
    return status


class Decoder:
    """Cuts a byte stream into frames, however the bytes arrive."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[Frame]:
        """Return the frames that `data` completes.

        Raises:
            SessionError: an unknown kind or an absurd length; the stream is of no use any more.
        """
        self._buffer += data
        frames = []
        while len(self._buffer) >= _HEADER.size:
            number, length = _HEADER.unpack_from(self._buffer)
            if number not in _KINDS or length > MAX_PAYLOAD_BYTES:
                self._buffer.clear()
                raise SessionError(f"not a frame: kind {number}, {length} bytes")
            end = _HEADER.size + length
            if len(self._buffer) < end:
                break
            frames.append(Frame(Kind(number), bytes(self._buffer[_HEADER.size : end])))
            del self._buffer[:end]
        return frames
