"""Netlink with many requests per system call (`linux/netlink.h`, `linux/genetlink.h`).

Used for generic netlink (IPVS) and, by its `_plain` methods, for rtnetlink.

A send carries hundreds of messages and only the last one asks for an acknowledgement; the kernel reports each
refused message on its own, with that message's sequence number. So a batch costs one send and one receive,
plus one receive per refusal.

Numbers are in the byte order of the host, as in every netlink header.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import NamedTuple, Protocol, Self

NETLINK_ROUTE = 0
NETLINK_GENERIC = 16
SOL_NETLINK = 270
NETLINK_CAP_ACK = 10
NETLINK_EXT_ACK = 11
SO_SNDBUFFORCE = 32
SO_RCVBUFFORCE = 33

NLMSG_NOOP = 1
NLMSG_ERROR = 2
NLMSG_DONE = 3
NLM_F_REQUEST = 0x1
NLM_F_ACK = 0x4
NLM_F_DUMP_INTR = 0x10
NLM_F_DUMP = 0x300
NLM_F_CAPPED = 0x100
NLM_F_ACK_TLVS = 0x200
NLA_F_NESTED = 0x8000
NLA_TYPE_MASK = 0x3FFF
NLMSGERR_ATTR_MSG = 1

GENL_ID_CTRL = 16
CTRL_CMD_GETFAMILY = 3
CTRL_ATTR_FAMILY_ID = 1
CTRL_ATTR_FAMILY_NAME = 2

HEADER_BYTES = 20
"""A netlink header (16 bytes) and a generic netlink header (4)."""
MESSAGES_PER_SEND = 512
BYTES_PER_SEND = 128 * 1024
"""Below the default send buffer of 208 KiB, so that it holds without CAP_NET_ADMIN too."""
RECEIVE_BUFFER_BYTES = 4 * 1024 * 1024
"""Room for the refusals of a whole batch, each of which the kernel accounts with about 1 KiB."""
RECEIVE_BYTES = 64 * 1024
"""At least 32 KiB, the largest part in which the kernel sends a dump."""
ANSWER_WITHIN_S = 10
"""The kernel answers within the send; this bounds the wait for an answer that was lost without a word."""
LOST = (errno.ENOBUFS, errno.ENOMEM)
"""Errors of a receive by which an answer was lost, and after which there are others."""

_HEADER = struct.Struct("=IHHIIBBxx")
_REQUEST = struct.Struct("=IHHII")
_GENERIC = struct.Struct("=BBxx")
_NLMSG = struct.Struct("=IHHI")
_ATTRIBUTE = struct.Struct("=HH")
_ERROR = struct.Struct("=i")
_TIMEVAL = struct.Struct("@ll")


class RawSocket(Protocol):
    """What is needed of a socket."""

    def send(self, data: bytes, /) -> int:
        """Send one datagram."""

    def recv_into(self, buffer: memoryview, nbytes: int = 0, flags: int = 0, /) -> int:
        """Receive one datagram and return its length."""

    def close(self) -> None:
        """Close it."""


class DumpInterrupted(Exception):
    """The dump is incomplete or inconsistent: the tables changed meanwhile, or parts were lost."""


class Refusal(NamedTuple):
    """Why the kernel refused a message: its error number (positive), and its own words if it had any."""

    errno: int
    text: str = ""


class Verdicts(NamedTuple):
    """What became of a list of messages; those in neither part were carried out.

    Attributes:
        refused: index of a message and why.
        unknown: indices of messages whose answers were lost.
    """

    refused: dict[int, Refusal]
    unknown: list[int]


def attribute(kind: int, payload: bytes) -> bytes:
    """Return one netlink attribute, padded to 4 bytes."""
    return _ATTRIBUTE.pack(4 + len(payload), kind) + payload + bytes(-len(payload) % 4)


def nested(kind: int, payload: bytes) -> bytes:
    """Return a nested attribute; `payload` holds padded attributes."""
    return _ATTRIBUTE.pack(4 + len(payload), kind | NLA_F_NESTED) + payload


def attributes(data: bytes, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Yield type, payload start and payload end of each attribute in `data[start:end]`.

    Raises:
        DumpInterrupted: an attribute is cut off.
    """
    while start + 4 <= end:
        length, kind = _ATTRIBUTE.unpack_from(data, start)
        if length < 4 or start + length > end:
            raise DumpInterrupted("an attribute is cut off")
        yield kind & NLA_TYPE_MASK, start + 4, start + length
        start += (length + 3) & ~3


def message(family: int, command: int, body: bytes, sequence: int, flags: int = 0) -> bytes:
    """Return one generic netlink request (version 1)."""
    return (
        _HEADER.pack(HEADER_BYTES + len(body), family, NLM_F_REQUEST | flags, sequence, 0, command, 1) + body
    )


def request(kind: int, payload: bytes, sequence: int, flags: int = 0) -> bytes:
    """Return one request of any netlink family: a header with message type `kind`, and its payload."""
    return _REQUEST.pack(16 + len(payload), kind, NLM_F_REQUEST | flags, sequence, 0) + payload


class Netlink:
    """One netlink socket; requests are numbered and answered one batch at a time."""

    def __init__(self, sock: RawSocket) -> None:
        self._sock = sock
        self._sequence = 0
        self._view = memoryview(bytearray(RECEIVE_BYTES))

    @classmethod
    def open(cls, protocol: int = NETLINK_GENERIC) -> Self:
        """Open a socket in the network namespace of the calling thread.

        Args:
            protocol: `NETLINK_GENERIC` or `NETLINK_ROUTE`.

        Raises:
            OSError: the kernel has no netlink or refuses it.
        """
        sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, protocol)
        sock.bind((0, 0))
        sock.setsockopt(SOL_NETLINK, NETLINK_CAP_ACK, 1)
        sock.setsockopt(SOL_NETLINK, NETLINK_EXT_ACK, 1)
        # In the kernel and not by settimeout(), which would add a poll() to each receive.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _TIMEVAL.pack(ANSWER_WITHIN_S, 0))
        for option in (SO_SNDBUFFORCE, SO_RCVBUFFORCE):
            try:
                sock.setsockopt(socket.SOL_SOCKET, option, RECEIVE_BUFFER_BYTES)
            except PermissionError:
                break  # the default buffers do; an overflow is noticed and settled by reading
        return cls(sock)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the socket."""
        self._sock.close()

    def family(self, name: str) -> int | None:
        """Return the number of a generic netlink family, or None; the kernel may load its module for it.

        Raises:
            OSError: the kernel does not say, or the socket failed.
        """
        body = attribute(CTRL_ATTR_FAMILY_NAME, name.encode() + b"\0")
        answer = self.ask(GENL_ID_CTRL, CTRL_CMD_GETFAMILY, body)
        if isinstance(answer, Refusal):
            if answer.errno == errno.ENOENT:
                return None
            raise OSError(answer.errno, os.strerror(answer.errno))
        for kind, start, end in attributes(answer, HEADER_BYTES, len(answer)):
            if kind == CTRL_ATTR_FAMILY_ID:
                return int.from_bytes(answer[start:end], "little" if _LITTLE else "big")
        return None

    def reserve(self, count: int) -> int:
        """Return the first of `count` fresh sequence numbers."""
        if self._sequence + count > 0x7FFFFFFF:
            self._sequence = 0
        first = self._sequence + 1
        self._sequence += count
        return first

    def ask(self, family: int, command: int, body: bytes) -> bytes | Refusal:
        """Send one request that is no dump, and return its answer: a message, empty if it was a mere ack.

        Raises:
            OSError: the socket failed, or no answer came.
        """
        return self.ask_plain(family, _GENERIC.pack(command, 1) + body)

    def order(self, family: int, command: int, body: bytes) -> Refusal | None:
        """Send one request that nothing answers but an ack; return the kernel's refusal, if it was one.

        The ack is that of an empty message behind it, since the kernel answers nothing to a request that ends
        with EINTR (`netlink_rcv_skb`), as one does that stops an IPVS sync daemon before it has run.

        Raises:
            OSError: the socket failed.
        """
        first = self.reserve(2)
        sent = [request(family, _GENERIC.pack(command, 1) + body, first), request(NLMSG_NOOP, b"", first + 1)]
        verdicts = self.transmit(sent, first)
        return Refusal(errno.ENOBUFS) if verdicts.unknown else verdicts.refused.get(0)

    def ask_plain(self, kind: int, payload: bytes, flags: int = 0) -> bytes | Refusal:
        """Do what `ask` does with a request of any netlink family.

        Raises:
            OSError: the socket failed, or no answer came.
        """
        sequence = self.reserve(1)
        self._sock.send(request(kind, payload, sequence, flags | NLM_F_ACK))
        answer = b""
        while True:
            data = self._receive()
            for start, end, kind, flags, number in messages(data):
                if number != sequence:
                    continue
                if kind != NLMSG_ERROR:
                    answer = data[start:end]
                    continue
                refusal = _refusal(data, start, end, flags)
                return refusal or answer

    def transmit(self, messages: Sequence[bytes], first: int) -> Verdicts:
        """Send requests numbered from `first` on, many at a time, and collect what the kernel refused.

        Args:
            messages: complete requests without NLM_F_ACK, in the order in which they shall be carried out.
            first: the sequence number of the first one, from `reserve`.
        """
        verdicts = Verdicts({}, [])
        for start, end in _chunks(messages):
            self._transmit_chunk(messages, start, end, first, verdicts)
        return verdicts

    def _transmit_chunk(
        self, messages: Sequence[bytes], start: int, end: int, first: int, verdicts: Verdicts
    ) -> None:
        last = bytearray(messages[end - 1])
        last[6] |= NLM_F_ACK if _LITTLE else 0
        last[7] |= 0 if _LITTLE else NLM_F_ACK
        try:
            self._sock.send(b"".join([*messages[start : end - 1], last]))
        except OSError as error:
            refusal = Refusal(error.errno or errno.EIO)
            verdicts.refused.update(dict.fromkeys(range(start, end), refusal))
            return
        if not self._collect(range(first + start, first + end), first, verdicts.refused):
            self._drain(range(first + start, first + end), first, verdicts.refused)
            verdicts.unknown.extend(index for index in range(start, end) if index not in verdicts.refused)

    def _collect(self, sequences: range, first: int, refused: dict[int, Refusal]) -> bool:
        """Read answers up to that of the last message; return whether none was lost."""
        while True:
            try:
                data = self._receive()
            except OSError as error:
                if error.errno in (*LOST, errno.EAGAIN):
                    return False
                raise
            if _note(data, sequences, first, refused):
                return True

    def _drain(self, sequences: range, first: int, refused: dict[int, Refusal]) -> None:
        """Read what is still queued after answers were lost, so that none is left for the next request."""
        while True:
            try:
                _note(self._receive(socket.MSG_DONTWAIT), sequences, first, refused)
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno not in LOST:
                    raise

    def dump(self, family: int, command: int, body: bytes = b"") -> list[bytes]:
        """Send a dump request and return its datagrams, each a row of whole messages and nothing else.

        Raises:
            DumpInterrupted: the result is not complete; read again.
            OSError: the kernel refused the request (with its errno), or the socket failed.
        """
        return self.dump_plain(family, _GENERIC.pack(command, 1) + body)

    def dump_plain(self, kind: int, payload: bytes) -> list[bytes]:
        """Do what `dump` does with a request of any netlink family.

        Raises:
            DumpInterrupted: the result is not complete; read again.
            OSError: the kernel refused the request (with its errno), or the socket failed.
        """
        sequence = self.reserve(1)
        self._sock.send(request(kind, payload, sequence, NLM_F_DUMP))
        parts: list[bytes] = []
        interrupted, over = "", False
        while not over:  # to the end in any case: a dump that is under way blocks the next one
            try:
                data = self._receive()
            except OSError as error:
                if error.errno not in LOST:
                    raise
                interrupted = "parts of the dump were lost"
                continue
            try:
                end, over, flags = _dump_part(data, sequence)
            except DumpInterrupted as fault:
                interrupted = str(fault)
                continue
            if flags & NLM_F_DUMP_INTR:
                interrupted = "the table changed while it was read"
            if end:
                parts.append(data[:end] if end < len(data) else data)
        if interrupted:
            raise DumpInterrupted(interrupted)
        return parts

    def _receive(self, flags: int = 0) -> bytes:
        length = self._sock.recv_into(self._view, 0, flags)
        return bytes(self._view[:length])


_LITTLE = struct.pack("=H", 1) == b"\1\0"


def _chunks(messages: Sequence[bytes]) -> Iterator[tuple[int, int]]:
    start, total = 0, 0
    for index, data in enumerate(messages):
        total += len(data)
        if index - start == MESSAGES_PER_SEND or (total > BYTES_PER_SEND and index > start):
            yield start, index
            start, total = index, len(data)
    if start < len(messages):
        yield start, len(messages)


def messages(data: bytes) -> Iterator[tuple[int, int, int, int, int]]:
    """Yield start, end, type, flags and sequence number of each whole message.

    Raises:
        DumpInterrupted: a message is cut off.
    """
    start = 0
    while start + 16 <= len(data):
        length, kind, flags, sequence = _NLMSG.unpack_from(data, start)
        if length < 16 or start + length > len(data):
            raise DumpInterrupted("a message is cut off")
        yield start, start + length, kind, flags, sequence
        start += (length + 3) & ~3


def _refusal(data: bytes, start: int, end: int, flags: int) -> Refusal | None:
    """Return the refusal in an NLMSG_ERROR message; None when it is an acknowledgement."""
    code = -int(_ERROR.unpack_from(data, start + 16)[0])
    if code == 0:
        return None
    text = ""
    if flags & NLM_F_ACK_TLVS:
        echoed = 16 if flags & NLM_F_CAPPED else (_NLMSG.unpack_from(data, start + 20)[0] + 3) & ~3
        for kind, from_, to in attributes(data, start + 20 + echoed, end):
            if kind == NLMSGERR_ATTR_MSG:
                text = data[from_:to].rstrip(b"\0").decode(errors="replace")
    return Refusal(code, text)


def _note(data: bytes, sequences: range, first: int, refused: dict[int, Refusal]) -> bool:
    """Add the refusals in `data`; return whether the answer to the last message was among them."""
    last = False
    for start, end, kind, flags, number in messages(data):
        if kind != NLMSG_ERROR or number not in sequences:
            continue
        refusal = _refusal(data, start, end, flags)
        if refusal:
            refused[number - first] = refusal
        last = last or number == sequences[-1]
    return last


def _dump_part(data: bytes, sequence: int) -> tuple[int, bool, int]:
    """Return where the dump's messages in `data` end, whether the dump is over, and the flags seen.

    Raises:
        OSError: the kernel refused the dump or broke it off.
    """
    number = _NLMSG.unpack_from(data)[3]
    if number != sequence:
        return 0, False, 0  # left over from a request that was given up
    seen, end = 0, 0
    for start, stop, kind, flags, _ in messages(data):
        seen |= flags
        if kind in (NLMSG_DONE, NLMSG_ERROR):
            code = -_ERROR.unpack_from(data, start + 16)[0] if stop - start >= 20 else 0
            if code:
                raise OSError(code, "the dump was refused")
            return end, True, seen
        end = (stop + 3) & ~3
    return end, False, seen
