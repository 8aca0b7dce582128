"""HTTP checks."""

import pytest

from kernelbal.health.checks.dialogue import GOOD, MAX_REPLY_BYTES, DialogueStep
from kernelbal.health.checks.http import (
    HttpDialogue,
    default_host,
    prepare_check,
    request_bytes,
    status_set,
)
from kernelbal.model.site.check import HttpCheck
from tests.unit.health.checks.talk import failure, reply, result

OK = b"HTTP/1.1 200 OK\r\n"


def asking(**settings: object) -> HttpDialogue:
    return HttpDialogue(prepare_check(HttpCheck.model_validate(settings), "192.0.2.1"))


@pytest.mark.parametrize(
    ("host", "port", "expected"),
    [
        ("192.0.2.1", 80, "192.0.2.1"),
        ("192.0.2.1", 8080, "192.0.2.1:8080"),
        ("2001:db8::1", 80, "[2001:db8::1]"),
        ("2001:db8::1", 8080, "[2001:db8::1]:8080"),
        ("www.example", 8443, "www.example:8443"),
    ],
)
def test_the_host_header(host: str, port: int, expected: str) -> None:
    assert default_host(host, port, 80) == expected


def test_the_request() -> None:
    assert asking(path="/health").begin() == DialogueStep(
        b"GET /health HTTP/1.1\r\nHost: 192.0.2.1\r\nUser-Agent: kernelbal\r\nAccept: */*\r\n"
        b"Connection: close\r\n\r\n"
    )


def test_a_request_with_a_body() -> None:
    check = {
        "method": "POST",
        "host": "www.example",
        "headers": {"X-Key": "k", "accept": "text/x"},
        "body": "é",
    }
    assert asking(**check).begin().send == (
        b"POST / HTTP/1.1\r\nHost: www.example\r\nUser-Agent: kernelbal\r\nConnection: close\r\n"
        b"Content-Length: 2\r\nX-Key: k\r\naccept: text/x\r\n\r\n" + "é".encode()
    )
    assert b"Content-Length: 0\r\n" in request_bytes("POST", "/", "x", {})


def test_statuses() -> None:
    assert status_set(("200", "301-303", "4xx")) == {200, 301, 302, 303, *range(400, 500)}


def test_a_good_status_is_enough_where_the_body_does_not_matter() -> None:
    assert reply(asking(), b"HTTP/1.1 20", b"4 ok\r\n").result == GOOD


def test_a_redirect_is_an_answer() -> None:
    assert reply(asking(), b"HTTP/1.1 302 Found\r\n").result == GOOD


def test_another_status_is_bad() -> None:
    assert (
        failure(asking(expect=["200-299", "401"]), b"HTTP/1.1 503 x\r\n")
        == "status 503, expected 200-299, 401"
    )


def test_text_in_the_body_is_good_as_soon_as_it_came() -> None:
    dialogue = asking(contains="alive")
    assert reply(dialogue, OK + b"Content-Length: 9999\r\n\r\nI am al", b"ive").result == GOOD


def test_a_body_without_the_text_is_bad() -> None:
    assert failure(asking(contains="alive"), OK + b"\r\nI am not") == 'body without "alive"'
    assert failure(asking(contains="alive"), OK + b"Content-Length: 2\r\n\r\nno") == 'body without "alive"'


def test_a_regular_expression_judges_the_whole_body() -> None:
    head = OK + b"Content-Length: 12\r\n\r\n"
    assert reply(asking(matches="^up: [0-9]+$"), head + b"up: ", b"12345678").result == GOOD
    assert failure(asking(matches="^up$"), head + b"up: 12345678") == 'body does not match "^up$"'
    assert reply(asking(matches="é.è"), OK + b"Content-Length: 5\r\n\r\n" + "é\nè".encode()).result == GOOD


def test_text_and_expression_must_both_be_there() -> None:
    dialogue = asking(contains="a", matches="b")
    assert failure(dialogue, OK + b"Content-Length: 1\r\n\r\na") == 'body does not match "b"'


def test_a_long_body_is_judged_by_what_came() -> None:
    head = OK + b"Content-Length: 10000000000\r\n\r\n"
    assert failure(asking(contains="z"), head, b"x" * MAX_REPLY_BYTES, b"z") == 'body without "z"'
    assert result(asking(matches="^x+$"), head, b"x" * MAX_REPLY_BYTES, b"z") == GOOD


def test_a_body_that_is_cut_short_is_bad_unless_the_expected_text_came() -> None:
    head = OK + b"Content-Length: 99\r\n\r\n"
    assert result(asking(contains="up"), head, b"up") == GOOD
    assert failure(asking(contains="up"), head, b"no") == "connection closed, expected rest of the HTTP reply"
    assert failure(asking(matches="up"), head, b"up") == "connection closed, expected rest of the HTTP reply"


def test_no_answer_at_all() -> None:
    assert failure(asking()) == "connection closed, expected HTTP status"
    assert failure(asking(), b"\x15\x03\x03\x00\x02\x02\x28") == "received TLS, expected HTTP"


def test_a_bad_expression_is_refused() -> None:
    with pytest.raises(ValueError, match="invalid regular expression: missing"):
        asking(matches="(")
