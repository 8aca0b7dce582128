"""Regular expressions of checks."""

import subprocess
import sys
import time

import pytest

from kernelbal.health.checks.pattern import MAX_INSTRUCTIONS, MAX_SEARCHED_BYTES, ReplyPattern


@pytest.mark.parametrize(
    ("text", "reply", "found"),
    [
        ("a.b", b"xa\nbx", True),
        ("^up$", b"up", True),
        ("^up$", b"up\n", True),
        ("^up$", b"up\n\n", False),
        (r"up\n", b"up\n", True),
        (r"up\n$", b"up\n", True),
        ("x", b"." * (MAX_SEARCHED_BYTES - 1) + b"x", True),
        ("x", b"." * MAX_SEARCHED_BYTES + b"x", False),
        (r"^up\z", b"up", True),
        ("^.$", "é".encode(), True),
        ("^\ufffd$", b"\xff", True),
        ("(?i)UP", b"up", True),
        ("(a)|b", b"b", True),
    ],
)
def test_text_is_matched(text: str, reply: bytes, found: bool) -> None:
    assert ReplyPattern(text).found_in(reply) is found


@pytest.mark.parametrize(
    ("text", "reply", "found"),
    [
        (r"^\x00\xff.$", b"\0\xff\xfe", True),
        ("^..$", "é".encode(), True),
        ("é", "é".encode(), True),
        (r"\xfe", b"\xff", False),
        ("^pong$", b"pong\n", True),
    ],
)
def test_bytes_are_matched(text: str, reply: bytes, found: bool) -> None:
    assert ReplyPattern(text, octets=True).found_in(reply) is found


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("(", r"invalid regular expression: missing \)"),
        (r"(a)\1", r"invalid regular expression: invalid escape sequence: \\1"),
        ("(?=a)", r"invalid regular expression: invalid perl operator: \(\?="),
        ("(?<!a)b", "invalid regular expression: invalid perl operator"),
        ("(?:.{30}){30}", rf"expected at most {MAX_INSTRUCTIONS}; repeat fewer times"),
    ],
)
def test_what_does_not_run_in_linear_time_is_refused(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        ReplyPattern(text)


@pytest.mark.parametrize(
    ("text", "reply"),
    [
        ("status.*healthy", b"status" * (MAX_SEARCHED_BYTES // 6)),
        ("^(a+)+$", b"a" * (MAX_SEARCHED_BYTES - 1) + b"b"),
        ("(x+x+)+y", b"x" * MAX_SEARCHED_BYTES),
    ],
)
def test_no_reply_takes_long(text: str, reply: bytes) -> None:
    """Milliseconds for RE2; minutes for an engine that backtracks."""
    pattern = ReplyPattern(text)
    started = time.process_time()
    assert not pattern.found_in(reply)
    assert time.process_time() - started < 0.2


def test_no_pattern_no_engine() -> None:
    """Loading it costs every start of the program."""
    program = "import sys, kernelbal.health.checks.table; sys.exit('re2' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)
