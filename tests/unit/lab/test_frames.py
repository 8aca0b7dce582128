"""Frames between the command line and a lab's agent."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernelbal.lab.errors import SessionError
from kernelbal.lab.frames import (
    MAX_PAYLOAD_BYTES,
    Decoder,
    Frame,
    Kind,
    ProgramRequest,
    exit_frame,
    parse_exit,
    parse_request,
    parse_size,
    size_frame,
)

FRAMES = st.lists(st.builds(Frame, st.sampled_from(Kind), st.binary(max_size=100)), max_size=8)
REQUEST = ProgramRequest("rs1", ("ip", "addr"), "/", {"A": "b"}, True, 24, 80, "f00")


def test_frame_is_kind_length_payload() -> None:
    assert Frame(Kind.STDERR, b"no").encode() == b"\x07\x00\x00\x00\x02no"


@given(FRAMES, st.integers(1, 50))
def test_frames_survive_any_cut(frames: list[Frame], piece_bytes: int) -> None:
    stream = b"".join(frame.encode() for frame in frames)
    decoder = Decoder()
    pieces = [stream[at : at + piece_bytes] for at in range(0, len(stream), piece_bytes)]
    assert [frame for piece in pieces for frame in decoder.feed(piece)] == frames


@pytest.mark.parametrize("junk", [b"\x00\x00\x00\x00\x00", b"\x09\x00\x00\x00\x00", b"\x06\xff\xff\xff\xff"])
def test_junk_is_refused_and_forgotten(junk: bytes) -> None:
    decoder = Decoder()
    with pytest.raises(SessionError):
        decoder.feed(junk)
    assert decoder.feed(exit_frame(3).encode()) == [exit_frame(3)]


def test_largest_payload_is_taken() -> None:
    frame = Frame(Kind.STDOUT, bytes(MAX_PAYLOAD_BYTES))
    assert Decoder().feed(frame.encode()) == [frame]


def test_request_round_trip() -> None:
    assert parse_request(REQUEST.frame()) == REQUEST


@pytest.mark.parametrize("payload", [b"", b"[]", b"{}", b'{"argv": []}', b"\xff"])
def test_broken_request_is_refused(payload: bytes) -> None:
    with pytest.raises(SessionError, match="not a request"):
        parse_request(Frame(Kind.REQUEST, payload))


@given(st.integers(-(2**31), 2**31 - 1))
def test_exit_status_round_trip(status: int) -> None:
    assert parse_exit(exit_frame(status)) == status


def test_size_round_trip() -> None:
    assert parse_size(size_frame(50, 132)) == (50, 132)


@pytest.mark.parametrize("parse", [parse_exit, parse_size])
def test_short_payload_is_refused(parse: type) -> None:
    with pytest.raises(SessionError):
        parse(Frame(Kind.EXIT, b"\x00"))
