"""The command line's side of a conversation with the agent; the agent is played by a script."""

import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from kernelbal.lab.backends.base import Streams
from kernelbal.lab.client import Transport, call
from kernelbal.lab.errors import SessionError
from kernelbal.lab.frames import Decoder, Frame, Kind, Request, exit_frame, parse_request

REQUEST = Request("rs1", ("true",), "/", {}, False, 24, 80, "0123abcd")
STARTED = Frame(Kind.STARTED, b"0123abcd").encode()


class Agent:
    """Says one thing when it gets a request, and keeps what it hears."""

    def __init__(self, said: bytes) -> None:
        self.ours, theirs = socket.socketpair()
        self.transport = Transport(theirs.fileno(), theirs.fileno())
        self._theirs = theirs
        self._said = said
        self.heard: list[Frame] = []
        self._thread = threading.Thread(target=self._play)
        self._thread.start()

    def _play(self) -> None:
        self.heard += Decoder().feed(self.ours.recv(65536))
        self.ours.sendall(self._said)
        self.ours.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        self._thread.join()
        self.ours.close()
        self._theirs.close()


@pytest.fixture
def streams(tmp_path: Path) -> Iterator[Streams]:
    with (tmp_path / "out").open("wb") as out, (tmp_path / "err").open("wb") as err:
        yield Streams(out.fileno(), err.fileno())


def converse(said: bytes, streams: Streams) -> int:
    agent = Agent(said)
    try:
        return call(agent.transport, REQUEST, streams)
    finally:
        agent.close()
        assert parse_request(agent.heard[0]) == REQUEST


def test_output_goes_to_its_stream(streams: Streams, tmp_path: Path) -> None:
    said = Frame(Kind.STDOUT, b"o1").encode() + Frame(Kind.STDERR, b"e").encode()
    assert (
        converse(STARTED + said + Frame(Kind.STDOUT, b"o2").encode() + exit_frame(3).encode(), streams) == 3
    )
    assert (tmp_path / "out").read_bytes() == b"o1o2"
    assert (tmp_path / "err").read_bytes() == b"e"


def test_leftovers_of_an_earlier_client_are_skipped(streams: Streams, tmp_path: Path) -> None:
    whole = Frame(Kind.STDOUT, b"old output").encode() + exit_frame(9).encode()
    for cut in range(len(whole)):
        assert converse(whole[cut:] + STARTED + exit_frame(0).encode(), streams) == 0
    assert (tmp_path / "out").read_bytes() == b""


def test_another_clients_start_does_not_count(streams: Streams) -> None:
    other = Frame(Kind.STARTED, b"ffffffff").encode() + exit_frame(9).encode()
    assert converse(other + STARTED + exit_frame(2).encode(), streams) == 2


@pytest.mark.parametrize("said", [b"", STARTED, STARTED + Frame(Kind.STDOUT, b"x").encode()])
def test_lab_that_goes_away_is_an_error(said: bytes, streams: Streams) -> None:
    with pytest.raises(SessionError, match="the lab has gone"):
        converse(said, streams)


def test_descriptors_are_left_as_they_were(streams: Streams) -> None:
    converse(STARTED + exit_frame(0).encode(), streams)
    assert os.get_blocking(streams.stdout)
