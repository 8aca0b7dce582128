"""UDP checks."""

import re

import pytest

from kernelbal.health.checks.dialogue import GOOD, DialogueStep
from kernelbal.health.checks.udp import UdpDialogue, unescaped
from tests.unit.health.checks.talk import failure, reply


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ("", b""),
        (r"ping\r\n", b"ping\r\n"),
        (r"\x00\xfF\x41", b"\x00\xffA"),
        (r"\0\t\\n", b"\x00\t\\n"),
        (r"\q\x4", rb"\q\x4"),
        ("é\\", "é\\".encode()),
    ],
)
def test_escapes(text: str, data: bytes) -> None:
    assert unescaped(text) == data


def test_the_datagram_is_sent() -> None:
    assert UdpDialogue(b"ping", None).begin() == DialogueStep(b"ping")


def test_any_reply_is_good_where_none_is_expected() -> None:
    assert reply(UdpDialogue(b"", None), b"whatever").result == GOOD


def test_a_reply_must_match() -> None:
    expect = re.compile(rb"^po\x6eg")
    assert reply(UdpDialogue(b"", expect), b"pong 1").result == GOOD
    assert failure(UdpDialogue(b"", expect), b"nope") == r'reply "nope" does not match "^po\x6eg"'
    assert failure(UdpDialogue(b"", expect)) == "no reply"
