"""Errors in words."""

import errno

import pytest

from kernelbal.model.event import Topic
from kernelbal.runtime.checker import words


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (errno.ECONNREFUSED, "connection refused"),
        (errno.ECONNRESET, "connection reset"),
        (errno.ENETUNREACH, "network unreachable: this machine has no route"),
        (errno.ENOTCONN, "transport endpoint is not connected"),
    ],
)
def test_errors_of_a_socket(number: int, text: str) -> None:
    assert words.failure(number) == text


def test_a_refused_datagram_is_an_unreachable_port() -> None:
    assert words.datagram_failure(errno.ECONNREFUSED) == "port unreachable"
    assert words.datagram_failure(errno.EHOSTUNREACH) == words.failure(errno.EHOSTUNREACH)


def test_a_timeout_says_what_was_waited_for() -> None:
    assert words.timed_out(4.0) == "timeout after 4 s: no answer"
    assert words.timed_out(0.25, "greeting") == "timeout after 0.25 s, waiting for greeting"


@pytest.mark.parametrize("number", sorted(words.EXHAUSTED))
def test_what_this_machine_ran_out_of(number: int) -> None:
    notice = words.starvation(number)
    assert notice.topic is Topic.CHECKER_STARVED
    assert notice.message.startswith("out of ")
