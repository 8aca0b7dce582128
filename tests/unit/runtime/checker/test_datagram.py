"""Dialogues over UDP on loopback."""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from kernelbal.model.health import Health, Timing
from kernelbal.model.site.check import UdpCheck
from kernelbal.runtime.checker.datagram import MAX_DATAGRAMS
from tests.unit.runtime.checker.desk import Desk, free_port, probe

SHORT = Timing(0.5, 0.2, 1, 1)


@contextlib.contextmanager
def answering(reply: Callable[[bytes], list[bytes]]) -> Iterator[int]:
    """Answer datagrams in a thread; yields the port."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as bound:
        bound.bind(("127.0.0.1", 0))
        bound.settimeout(0.05)
        ended = threading.Event()

        def serve() -> None:
            while not ended.is_set():
                with contextlib.suppress(TimeoutError):
                    data, sender = bound.recvfrom(4096)
                    for each in reply(data):
                        bound.sendto(each, sender)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield bound.getsockname()[1]
        finally:
            ended.set()
            thread.join(5)


@pytest.mark.parametrize(
    ("reply", "reason"), [(lambda data: [data[::-1]], ""), (lambda data: [b"nonsense"], "nonsense")]
)
def test_a_reply_must_be_as_it_should_be(reply: Callable[[bytes], list[bytes]], reason: str) -> None:
    with answering(reply) as port, Desk() as desk:
        state = desk.result(probe(UdpCheck(send="ping", expect="^gnip$"), port))
    assert (state.health, reason in state.reason) == (Health.DOWN if reason else Health.UP, True)
    assert reason or state.response_s is not None


def test_a_closed_port() -> None:
    with Desk() as desk:
        state = desk.result(probe(UdpCheck(send="ping"), free_port()))
    assert (state.health, state.reason) == (Health.DOWN, "port unreachable")


def test_silence_is_good_unless_a_reply_is_expected() -> None:
    with answering(lambda data: []) as port, Desk() as desk:
        quiet = probe(UdpCheck(send="ping"), port, key="quiet", timing=SHORT)
        desk.send(quiet, probe(UdpCheck(send="ping", expect="pong"), port, key="asks", timing=SHORT))
        desk.until(lambda: len(desk.states) == 2)
    assert (desk.states["quiet"].health, desk.states["quiet"].response_s) == (Health.UP, None)
    assert desk.states["asks"].health is Health.DOWN
    assert desk.states["asks"].reason == "timeout after 0.2 s, waiting for reply"


def test_an_empty_datagram_is_sent_too() -> None:
    seen: list[bytes] = []

    def note(data: bytes) -> list[bytes]:
        seen.append(data)
        return [b"pong"]

    with answering(note) as port, Desk() as desk:
        assert desk.result(probe(UdpCheck(expect="pong"), port)).health is Health.UP
    assert seen[0] == b""


def test_a_flood_of_replies_ends_with_the_first_verdict() -> None:
    with answering(lambda data: [b"pong"] * MAX_DATAGRAMS * 2) as port, Desk() as desk:
        assert desk.result(probe(UdpCheck(expect="pong"), port)).health is Health.UP
