"""A child's side: frames, and a connection that is never waited for."""

import socket
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernelbal.runtime.parent import Frames, ParentLink
from kernelbal.store.codec import Malformed


@given(st.lists(st.binary(max_size=20).filter(lambda b: b"\n" not in b), max_size=10), st.integers(1, 30))
def test_frames_are_the_same_however_they_arrive(frames: list[bytes], portion: int) -> None:
    stream = b"".join(frame + b"\n" for frame in frames)
    cutter = Frames()
    found: list[bytes] = []
    for start in range(0, len(stream), portion):
        found += cutter.feed(stream[start : start + portion])
    assert found == frames


@pytest.mark.parametrize("data", [b"x" * 11, b"x" * 11 + b"\n"])
def test_a_frame_that_is_too_long_is_refused(data: bytes) -> None:
    with pytest.raises(Malformed, match="more than 10 bytes"):
        Frames(10).feed(data)


class Ends:
    """A child's link and its parent's end."""

    def __init__(self) -> None:
        self.parent, self.child = socket.socketpair()
        self.child.setblocking(False)
        self.waits: list[bool] = []
        self.link = ParentLink(self.child, self.waits.append)


@pytest.fixture
def ends() -> Iterator[Ends]:
    made = Ends()
    with made.parent, made.child:
        yield made


def test_a_parent_that_does_not_read_is_not_waited_for(ends: Ends) -> None:
    ends.child.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    ends.link.send(b"x" * 100_000)
    ends.link.write()
    assert (ends.link.busy, ends.waits) == (True, [True])
    received = b""
    while ends.link.busy:
        received += ends.parent.recv(1 << 20)
        ends.link.write()
    while len(received) <= 100_000:
        received += ends.parent.recv(1 << 20)
    assert received == b"x" * 100_000 + b"\n"
    assert not ends.waits[-1]


def test_frames_of_the_parent_are_read_until_it_ends(ends: Ends) -> None:
    assert ends.link.read() == []
    ends.parent.sendall(b"one\ntwo\nthr")
    assert ends.link.read() == [b"one", b"two"]
    ends.parent.close()
    assert not ends.link.ended
    assert ends.link.read() == []
    assert ends.link.ended


def test_a_parent_that_is_gone_is_an_error_when_written_to(ends: Ends) -> None:
    ends.parent.close()
    ends.link.send(b"one")
    with pytest.raises(ConnectionError):
        ends.link.write()
