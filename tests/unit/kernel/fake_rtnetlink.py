"""An rtnetlink socket that plays the kernel's part from a script."""

import struct
from collections.abc import Callable, Iterable
from typing import NamedTuple

from kernelbal.kernel.netlink import NLM_F_ACK, NLM_F_DUMP, Netlink, attribute
from kernelbal.kernel.rtnetlink import IFINFO_MESSAGE, RTM_GETLINK, U32, RtNetlink
from tests.unit.kernel.fake_netlink import FakeSocket, Reply, ack, done

_HEADER = struct.Struct("=IHHII")


class RouteRequest(NamedTuple):
    """One message as the kernel sees it."""

    kind: int
    flags: int
    sequence: int
    payload: bytes

    @property
    def is_dump(self) -> bool:
        return self.flags & NLM_F_DUMP == NLM_F_DUMP

    def answer(self, *payloads: bytes) -> list[Reply]:
        """The answer to a dump, or to a request for one object, with its acknowledgement."""
        messages = [_message(self.sequence, payload) for payload in payloads]
        if self.is_dump:
            return [b"".join(messages), done(self.sequence)] if messages else [done(self.sequence)]
        return [*messages, ack(self.sequence)]

    def verdict(self, number: int = 0, text: str = "") -> list[Reply]:
        """A refusal, or an acknowledgement where one is asked for."""
        if number or self.flags & NLM_F_ACK:
            return [ack(self.sequence, number, text)]
        return []


Answering = Callable[[RouteRequest], Iterable[Reply]]


class FakeRouteSocket(FakeSocket):
    """Answers each message that is sent at once, as the kernel does."""

    def __init__(self, answering: Answering) -> None:
        super().__init__()
        self._answering_route = answering
        self.asked: list[RouteRequest] = []

    def send(self, data: bytes, /) -> int:
        datagram = bytes(data)
        while datagram:
            length, kind, flags, sequence, _ = _HEADER.unpack_from(datagram)
            request = RouteRequest(kind, flags, sequence, datagram[_HEADER.size : length])
            self.asked.append(request)
            self._queue += self._answering_route(request)
            datagram = datagram[(length + 3) & ~3 :]
        return len(data)


def rtnetlink(answering: Answering) -> tuple[RtNetlink, FakeRouteSocket]:
    """A driver's socket and the fake behind it."""
    fake = FakeRouteSocket(answering)
    return RtNetlink(Netlink(fake)), fake


def _message(sequence: int, payload: bytes) -> bytes:
    raw = _HEADER.pack(_HEADER.size + len(payload), 20, 2, sequence, 0) + payload
    return raw + bytes(-len(raw) % 4)


def link_payload(name: str, index: int, *, flags: int = 1, kind: bytes = b"") -> bytes:
    """An RTM_NEWLINK message as the kernel sends it, with some attributes more than a driver needs."""
    info = attribute(18, attribute(1, kind + b"\0") + attribute(2, b"data")) if kind else b""
    return (
        IFINFO_MESSAGE.pack(0, 1, index, flags, 0)
        + attribute(3, name.encode() + b"\0")
        + attribute(13, U32.pack(1000))
        + attribute(4, U32.pack(1500))
        + attribute(1, bytes.fromhex("525400123456"))
        + info
    )


def with_links(rest: Answering, *names: str) -> Answering:
    """A kernel with these devices, numbered from 1, that answers all else by `rest`."""

    def answering(request: RouteRequest) -> Iterable[Reply]:
        if request.kind == RTM_GETLINK and request.is_dump:
            payloads = (link_payload(name, index) for index, name in enumerate(names, 1))
            return request.answer(*payloads)
        return rest(request)

    return answering
