"""Dumps and requests of rtnetlink, against a scripted kernel."""

import errno
import struct
from collections.abc import Iterable

import pytest

from kernelbal.errors import KernelError, NotPermitted
from kernelbal.kernel.netlink import NLM_F_DUMP_INTR, Refusal, attribute
from kernelbal.kernel.rtnetlink import (
    NLM_F_CREATE,
    READ_ATTEMPTS,
    RTM_GETADDR,
    RTM_NEWADDR,
    Request,
    attribute_table,
)
from tests.unit.kernel.fake_netlink import Reply, done
from tests.unit.kernel.fake_rtnetlink import RouteRequest, rtnetlink


def test_dump_yields_messages_without_their_headers() -> None:
    socket, fake = rtnetlink(lambda request: request.answer(b"one!", b"two", b""))
    assert list(socket.dump(RTM_GETADDR, b"body", "addresses")) == [b"one!", b"two", b""]
    (asked,) = fake.asked
    assert (asked.kind, asked.is_dump, asked.payload) == (RTM_GETADDR, True, b"body")


def interrupted(times: int) -> list[bool]:
    """Answer so many dumps with the mark of an interruption; return which dumps were answered so."""
    marks: list[bool] = []

    def answering(request: RouteRequest) -> Iterable[Reply]:
        marks.append(len(marks) < times)
        return [done(request.sequence, flags=NLM_F_DUMP_INTR if marks[-1] else 2)]

    socket, _ = rtnetlink(answering)
    list(socket.dump(RTM_GETADDR, b"", "addresses"))
    return marks


def test_interrupted_dump_is_read_again() -> None:
    assert interrupted(2) == [True, True, False]


def test_dump_that_is_interrupted_for_ever_is_an_error() -> None:
    with pytest.raises(KernelError, match=f"cannot read addresses: .* {READ_ATTEMPTS} times"):
        interrupted(READ_ATTEMPTS)


def test_refused_dump_is_worded() -> None:
    socket, _ = rtnetlink(lambda request: request.verdict(errno.EPERM))
    with pytest.raises(NotPermitted, match="cannot read addresses: the kernel requires CAP_NET_ADMIN"):
        list(socket.dump(RTM_GETADDR, b"", "addresses"))


def test_answer_comes_without_its_header() -> None:
    socket, _ = rtnetlink(lambda request: request.answer(b"body"))
    assert socket.ask(RTM_GETADDR, b"") == b"body"


def test_refusal_of_a_request_is_a_value() -> None:
    socket, _ = rtnetlink(lambda request: request.verdict(errno.ENODEV, "no such thing"))
    assert socket.ask(RTM_GETADDR, b"") == Refusal(errno.ENODEV, "no such thing")


def test_lost_answer_is_a_refusal() -> None:
    socket, _ = rtnetlink(lambda _: [OSError(errno.ENOBUFS, "No buffer space available")])
    assert socket.ask(RTM_GETADDR, b"") == Refusal(errno.ENOBUFS)


def test_changes_travel_together() -> None:
    socket, fake = rtnetlink(lambda r: r.verdict(errno.EEXIST if r.payload == b"two!" else 0))
    verdicts = socket.transmit(
        [Request(RTM_NEWADDR, NLM_F_CREATE, text) for text in (b"one!", b"two!", b"tri!")]
    )
    assert verdicts.refused == {1: Refusal(errno.EEXIST)}
    assert [request.payload for request in fake.asked] == [b"one!", b"two!", b"tri!"]
    assert all(request.flags & NLM_F_CREATE and request.flags & 1 for request in fake.asked)


def test_nothing_to_change_sends_nothing() -> None:
    socket, fake = rtnetlink(lambda request: request.verdict())
    assert socket.transmit([]) == ({}, [])
    assert fake.asked == []


def test_attribute_table() -> None:
    data = b"head" + attribute(1, b"a") + attribute(3, b"bcd") + struct.pack("=HH", 4, 7)
    assert attribute_table(data, 4) == {1: b"a", 3: b"bcd", 7: b""}


def test_close_reaches_the_socket() -> None:
    socket, fake = rtnetlink(lambda request: request.verdict())
    with socket:
        pass
    assert fake.closed
