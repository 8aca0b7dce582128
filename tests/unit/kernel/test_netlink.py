"""Batches, refusals and dumps of generic netlink, against a scripted kernel."""

import errno
import struct
from collections.abc import Iterable

import pytest

from kernelbal.kernel.netlink import (
    BYTES_PER_SEND,
    MESSAGES_PER_SEND,
    NLM_F_DUMP_INTR,
    DumpInterrupted,
    Netlink,
    Refusal,
    attribute,
    attributes,
    message,
    nested,
)
from tests.unit.kernel import fake_netlink
from tests.unit.kernel.fake_netlink import FAMILY, FakeSocket, Reply, Request, ack, done

ENOBUFS = OSError(errno.ENOBUFS, "No buffer space available")
ENOMEM = OSError(errno.ENOMEM, "Cannot allocate memory")


def numbered(netlink: Netlink, bodies: list[bytes]) -> tuple[list[bytes], int]:
    first = netlink.reserve(len(bodies))
    return [message(FAMILY, 5, body, first + index) for index, body in enumerate(bodies)], first


def test_attribute_is_padded_but_its_length_is_not() -> None:
    assert attribute(6, b"rr\0") == struct.pack("=HH", 7, 6) + b"rr\0\0"
    assert nested(2, b"abcd") == struct.pack("=HH", 8, 0x8002) + b"abcd"


def test_attributes_are_found_again() -> None:
    data = b"head" + attribute(6, b"rr\0") + nested(1, attribute(2, b"x"))
    found = [(kind, data[start:end]) for kind, start, end in attributes(data, 4, len(data))]
    assert found == [(6, b"rr\0"), (1, attribute(2, b"x"))]


@pytest.mark.parametrize("length", [0, 3, 9, 0xFFFF])
def test_attribute_that_is_cut_off_is_refused(length: int) -> None:
    data = struct.pack("=HHI", length, 1, 7)
    with pytest.raises(DumpInterrupted):
        list(attributes(data, 0, len(data)))


def test_only_the_last_message_of_a_send_asks_for_an_ack() -> None:
    sock = FakeSocket()
    netlink = Netlink(sock)
    messages, first = numbered(netlink, [b"one!", b"two!", b"tri!"])
    assert netlink.transmit(messages, first) == ({}, [])
    assert len(sock.sent) == 1
    assert [request.wants_ack for request in sock.requests] == [False, False, True]
    assert [request.sequence for request in sock.requests] == [first, first + 1, first + 2]
    assert [request.body for request in sock.requests] == [b"one!", b"two!", b"tri!"]


def test_batches_are_bounded_in_number_and_size() -> None:
    sock = FakeSocket()
    netlink = Netlink(sock)
    netlink.transmit(*numbered(netlink, [b"abcd"] * (2 * MESSAGES_PER_SEND + 1)))
    assert [len(fake_netlink.requests_in(data)) for data in sock.sent] == [512, 512, 1]
    sock.sent.clear()
    netlink.transmit(*numbered(netlink, [bytes(1000)] * 300))
    assert max(map(len, sock.sent)) <= BYTES_PER_SEND
    assert sum(len(fake_netlink.requests_in(data)) for data in sock.sent) == 300


def test_nothing_is_sent_for_nothing() -> None:
    sock = FakeSocket()
    assert Netlink(sock).transmit([], 1) == ({}, [])
    assert sock.sent == []


def refusing(refused: dict[bytes, tuple[int, str]]) -> fake_netlink.Answering:
    def answer(request: Request) -> Iterable[Reply]:
        number, text = refused.get(request.body, (0, ""))
        return [ack(request.sequence, number, text)] if number or request.wants_ack else []

    return answer


def test_refusals_are_matched_by_sequence_number() -> None:
    sock = FakeSocket(refusing({b"two!": (errno.EEXIST, ""), b"four": (errno.EINVAL, "weight out of range")}))
    netlink = Netlink(sock)
    verdicts = netlink.transmit(*numbered(netlink, [b"one!", b"two!", b"tri!", b"four"]))
    assert verdicts.refused == {1: Refusal(errno.EEXIST), 3: Refusal(errno.EINVAL, "weight out of range")}
    assert verdicts.unknown == []
    assert sock.unread == 0


def test_refusals_in_later_batches_keep_their_place() -> None:
    bodies = [struct.pack("=I", number) for number in range(1300)]
    refused = {bodies[index]: (errno.ENOENT, "") for index in (0, 511, 512, 1299)}
    netlink = Netlink(FakeSocket(refusing(refused)))
    verdicts = netlink.transmit(*numbered(netlink, bodies))
    assert list(verdicts.refused) == [0, 511, 512, 1299]


def test_refusal_that_echoes_the_whole_message_is_understood() -> None:
    def answer(request: Request) -> Iterable[Reply]:
        echo = message(FAMILY, 5, request.body, request.sequence)
        return [ack(request.sequence, errno.EINVAL, "no such scheduler", echo)]

    netlink = Netlink(FakeSocket(answer))
    verdicts = netlink.transmit(*numbered(netlink, [b"body"]))
    assert verdicts.refused == {0: Refusal(errno.EINVAL, "no such scheduler")}


@pytest.mark.parametrize("loss", [ENOBUFS, ENOMEM])
def test_lost_answers_are_reported_as_unknown(loss: OSError) -> None:
    def answer(request: Request) -> Iterable[Reply]:
        if request.body == b"bad!":
            return [ack(request.sequence, errno.EINVAL)]
        return [loss] if request.wants_ack else []

    sock = FakeSocket(answer)
    netlink = Netlink(sock)
    verdicts = netlink.transmit(*numbered(netlink, [b"one!", b"bad!", b"tri!"]))
    assert verdicts.refused == {1: Refusal(errno.EINVAL)}
    assert verdicts.unknown == [0, 2]


def test_answers_queued_behind_a_loss_do_not_reach_the_next_batch() -> None:
    lost = [True]

    def answer(request: Request) -> Iterable[Reply]:
        if not request.wants_ack:
            return []
        answers: list[Reply] = [ENOBUFS] if lost else []
        lost.clear()
        return [*answers, ack(request.sequence, errno.EINVAL)]

    sock = FakeSocket(answer)
    netlink = Netlink(sock)
    assert netlink.transmit(*numbered(netlink, [b"one!", b"two!"])) == ({1: Refusal(errno.EINVAL)}, [0])
    assert sock.unread == 0
    assert netlink.transmit(*numbered(netlink, [b"tri!"])) == ({0: Refusal(errno.EINVAL)}, [])


def test_answer_to_an_earlier_batch_is_passed_over() -> None:
    def answer(request: Request) -> Iterable[Reply]:
        return [ack(request.sequence - 1, errno.EIO), ack(request.sequence)]

    netlink = Netlink(FakeSocket(answer))
    netlink.reserve(1)
    assert netlink.transmit(*numbered(netlink, [b"one!"])) == ({}, [])


def test_silence_is_a_loss_too() -> None:
    netlink = Netlink(FakeSocket(lambda request: []))
    assert netlink.transmit(*numbered(netlink, [b"one!"])) == ({}, [0])


def test_batch_that_cannot_be_sent_is_refused_whole() -> None:
    sock = FakeSocket(send_error=OSError(errno.EMSGSIZE, "Message too long"))
    netlink = Netlink(sock)
    verdicts = netlink.transmit(*numbered(netlink, [b"one!", b"two!"]))
    assert verdicts == ({0: Refusal(errno.EMSGSIZE), 1: Refusal(errno.EMSGSIZE)}, [])


def test_other_receive_errors_are_raised() -> None:
    netlink = Netlink(FakeSocket(lambda request: [OSError(errno.EBADF, "Bad file descriptor")]))
    with pytest.raises(OSError, match="Bad file descriptor"):
        netlink.transmit(*numbered(netlink, [b"one!"]))


def test_sequence_numbers_start_again_before_they_overflow() -> None:
    netlink = Netlink(FakeSocket())
    assert netlink.reserve(0x7FFFFFF0) == 1
    assert netlink.reserve(10) == 0x7FFFFFF1
    assert netlink.reserve(10) == 1


def test_question_and_answer() -> None:
    def answer(request: Request) -> Iterable[Reply]:
        return [fake_netlink.message(request.sequence, b"answer!!"), ack(request.sequence)]

    sock = FakeSocket(answer)
    reply = Netlink(sock).ask(FAMILY, 13, b"")
    assert isinstance(reply, bytes)
    assert reply[20:] == b"answer!!"
    assert sock.unread == 0


def test_question_refused() -> None:
    netlink = Netlink(FakeSocket(lambda request: [ack(request.sequence, errno.EPERM)]))
    assert netlink.ask(FAMILY, 13, b"") == Refusal(errno.EPERM)


def test_answer_to_an_earlier_question_is_passed_over() -> None:
    def answer(request: Request) -> Iterable[Reply]:
        return [ack(request.sequence + 7, errno.EIO), ack(request.sequence)]

    assert Netlink(FakeSocket(answer)).ask(FAMILY, 13, b"") == b""


def test_family_is_looked_up_by_name() -> None:
    def answer(request: Request) -> Iterable[Reply]:
        assert (request.family, request.command, request.body) == (16, 3, attribute(2, b"IPVS\0"))
        body = attribute(2, b"IPVS\0") + attribute(1, struct.pack("=H", 33))
        return [fake_netlink.message(request.sequence, body, kind=16), ack(request.sequence)]

    assert Netlink(FakeSocket(answer)).family("IPVS") == 33


def test_missing_family_is_none() -> None:
    netlink = Netlink(FakeSocket(lambda request: [ack(request.sequence, errno.ENOENT)]))
    assert netlink.family("IPVS") is None


def test_family_that_the_kernel_does_not_tell_is_not_missing() -> None:
    netlink = Netlink(FakeSocket(lambda request: [ack(request.sequence, errno.ENOMEM)]))
    with pytest.raises(OSError, match="Cannot allocate memory"):
        netlink.family("IPVS")


def dumping(*parts: bytes, flags: int = 2) -> fake_netlink.Answering:
    def answer(request: Request) -> Iterable[Reply]:
        if not request.is_dump:
            return fake_netlink.obedient(request)
        row = [fake_netlink.message(request.sequence, part, flags=flags) for part in parts]
        return [*row, done(request.sequence)]

    return answer


def test_dump_returns_every_part() -> None:
    sock = FakeSocket(dumping(b"one!", b"two!"))
    parts = Netlink(sock).dump(FAMILY, 4)
    assert [part[20:] for part in parts] == [b"one!", b"two!"]
    assert sock.requests[0].is_dump


def one(request: Request) -> bytes:
    return fake_netlink.message(request.sequence, b"one!")


def test_end_in_the_same_datagram_is_cut_off() -> None:
    sock = FakeSocket(lambda request: [one(request) + done(request.sequence)])
    assert [part[20:] for part in Netlink(sock).dump(FAMILY, 4)] == [b"one!"]


def test_empty_dump() -> None:
    assert Netlink(FakeSocket(dumping())).dump(FAMILY, 4) == []


@pytest.mark.parametrize(
    ("answer", "match"),
    [
        (dumping(b"one!", b"two!", flags=2 | NLM_F_DUMP_INTR), "changed"),
        (lambda request: [one(request), done(request.sequence, flags=2 | NLM_F_DUMP_INTR)], "changed"),
        (lambda request: [one(request), ENOBUFS, one(request), done(request.sequence)], "lost"),
        (lambda request: [one(request), ENOMEM, done(request.sequence)], "lost"),
        (lambda request: [one(request)[:-2], done(request.sequence)], "cut off"),
    ],
    ids=["interrupted", "interrupted at its end", "parts lost", "no memory", "datagram truncated"],
)
def test_broken_dump_is_read_to_its_end_and_reported(answer: fake_netlink.Answering, match: str) -> None:
    sock = FakeSocket(answer)
    with pytest.raises(DumpInterrupted, match=match):
        Netlink(sock).dump(FAMILY, 4)
    assert sock.unread == 0


@pytest.mark.parametrize(
    ("answer", "number"),
    [
        (lambda request: [ack(request.sequence, errno.EPERM)], errno.EPERM),
        (lambda request: [one(request), done(request.sequence, errno.ENOMEM)], errno.ENOMEM),
    ],
    ids=["at once", "half-way"],
)
def test_refused_dump_raises_its_error_number(answer: fake_netlink.Answering, number: int) -> None:
    with pytest.raises(OSError, match="refused") as refusal:
        Netlink(FakeSocket(answer)).dump(FAMILY, 4)
    assert refusal.value.errno == number


def test_left_over_of_an_earlier_dump_is_passed_over() -> None:
    def answer(request: Request) -> Iterable[Reply]:
        stale = fake_netlink.message(request.sequence - 1, b"old!")
        return [stale, *dumping(b"new!")(request)]

    netlink = Netlink(FakeSocket(answer))
    netlink.reserve(5)
    assert [part[20:] for part in netlink.dump(FAMILY, 4)] == [b"new!"]


def test_socket_is_closed_with_its_context() -> None:
    sock = FakeSocket()
    with Netlink(sock):
        assert not sock.closed
    assert sock.closed


def test_real_socket_knows_the_controller() -> None:
    with Netlink.open() as netlink:
        assert netlink.family("nlctrl") == 16
        assert netlink.family("no such family") is None
