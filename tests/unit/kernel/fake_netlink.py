"""A netlink socket that plays the kernel's part from a script."""

import struct
from collections.abc import Callable, Iterable

from kernelbal.kernel.netlink import NLM_F_ACK, NLM_F_DUMP, NLMSG_NOOP

FAMILY = 31
HEADER = struct.Struct("=IHHIIBBxx")
Reply = bytes | OSError
Answering = Callable[["Request"], Iterable[Reply]]


class Request:
    """One message as the kernel sees it."""

    def __init__(self, raw: bytes) -> None:
        head = raw.ljust(HEADER.size, b"\0")  # an empty message has no command
        length, self.family, self.flags, self.sequence, _, self.command, self.version = HEADER.unpack_from(
            head
        )
        self.body = raw[HEADER.size : length]

    @property
    def wants_ack(self) -> bool:
        return bool(self.flags & NLM_F_ACK)

    @property
    def is_dump(self) -> bool:
        return self.flags & NLM_F_DUMP == NLM_F_DUMP


def requests_in(datagram: bytes) -> list[Request]:
    """The messages of one send."""
    found = []
    while datagram:
        length = struct.unpack_from("=I", datagram)[0]
        found.append(Request(datagram[:length]))
        datagram = datagram[(length + 3) & ~3 :]
    return found


def message(sequence: int, body: bytes, kind: int = FAMILY, flags: int = 2) -> bytes:
    """A message of the kernel with a generic netlink header."""
    return HEADER.pack(HEADER.size + len(body), kind, flags, sequence, 0, 0, 1) + body


def ack(sequence: int, number: int = 0, text: str = "", echo: bytes | None = None) -> bytes:
    """An NLMSG_ERROR message; `echo` is the refused message where the kernel does not cap it."""
    echoed = struct.pack("=IHHII", 16 if echo is None else len(echo), FAMILY, 1, sequence, 0)
    body = struct.pack("=i", -number) + (echoed if echo is None else echo)
    flags = 0x100 if echo is None else 0
    if text:
        words = text.encode() + b"\0"
        body += struct.pack("=HH", 4 + len(words), 1) + words + bytes(-len(words) % 4)
        flags |= 0x200
    return struct.pack("=IHHII", 16 + len(body), 2, flags, sequence, 0) + body


def done(sequence: int, number: int = 0, flags: int = 2) -> bytes:
    """The end of a dump."""
    return struct.pack("=IHHIIi", 20, 3, flags, sequence, 0, -number)


def obedient(request: Request) -> list[Reply]:
    """A kernel that does everything and says so when asked."""
    return [ack(request.sequence)] if request.wants_ack else []


class FakeSocket:
    """Answers each message that is sent at once, as the kernel does."""

    def __init__(self, answering: Answering = obedient, *, send_error: OSError | None = None) -> None:
        self._answering = answering
        self._send_error = send_error
        self._queue: list[Reply] = []
        self.sent: list[bytes] = []
        self.closed = False

    def send(self, data: bytes, /) -> int:
        if self._send_error is not None:
            raise self._send_error
        self.sent.append(bytes(data))
        for request in requests_in(bytes(data)):
            if request.family == NLMSG_NOOP:
                self._queue.append(ack(request.sequence))
            else:
                self._queue += self._answering(request)
        return len(data)

    def recv_into(self, buffer: memoryview, nbytes: int = 0, flags: int = 0, /) -> int:
        if not self._queue:
            raise BlockingIOError(11, "nothing is queued")
        reply = self._queue.pop(0)
        if isinstance(reply, OSError):
            raise reply
        buffer[: len(reply)] = reply
        return len(reply)

    def close(self) -> None:
        self.closed = True

    @property
    def requests(self) -> list[Request]:
        """Every message sent so far."""
        return [request for datagram in self.sent for request in requests_in(datagram)]

    @property
    def unread(self) -> int:
        """How many datagrams the driver left in the queue."""
        return len(self._queue)
