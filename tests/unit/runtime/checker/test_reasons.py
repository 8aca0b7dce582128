"""Errors in words."""

import errno

import pytest

from kernelbal.model.event import Topic
from kernelbal.runtime.checker import reasons


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
    assert reasons.failure(number) == text


def test_a_refused_datagram_is_an_unreachable_port() -> None:
    assert reasons.datagram_failure(errno.ECONNREFUSED) == "port unreachable"
    assert reasons.datagram_failure(errno.EHOSTUNREACH) == reasons.failure(errno.EHOSTUNREACH)


def test_a_timeout_names_what_was_waited_for() -> None:
    assert reasons.timed_out(4.0) == "timeout after 4 s: no answer"
    assert reasons.timed_out(0.25, "greeting") == "timeout after 0.25 s, waiting for greeting"


@pytest.mark.parametrize("number", sorted(reasons.RESOURCE_ERRORS))
def test_what_this_machine_ran_out_of(number: int) -> None:
    notice = reasons.out_of_resources(number)
    assert notice.topic is Topic.CHECKER_STARVED
    assert notice.message.startswith("out of ")
