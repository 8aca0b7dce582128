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
from tests.unit.health.checks.talk import failure, reply

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


LONG = OK + b"Content-Length: 10000000000\r\n\r\n"
CUT = OK + b"Content-Length: 99\r\n\r\n"
FULL = b"x" * MAX_REPLY_BYTES


@pytest.mark.parametrize(
    ("settings", "portions"),
    [
        ({}, [b"HTTP/1.1 20", b"4 ok\r\n"]),
        ({}, [b"HTTP/1.1 302 Found\r\n"]),
        ({"contains": "alive"}, [OK + b"Content-Length: 9999\r\n\r\nI am al", b"ive"]),
        ({"matches": "^up: [0-9]+$"}, [OK + b"Content-Length: 12\r\n\r\nup: ", b"12345678"]),
        ({"matches": "é.è"}, [OK + b"Content-Length: 5\r\n\r\n" + "é\nè".encode()]),
        ({"matches": "^x+$"}, [LONG, FULL, b"z"]),
        ({"contains": "up"}, [CUT, b"up"]),
    ],
)
def test_what_is_good_as_soon_as_it_is_known(settings: dict[str, str], portions: list[bytes]) -> None:
    assert reply(asking(**settings), *portions).result == GOOD


@pytest.mark.parametrize(
    ("settings", "portions", "reason"),
    [
        ({"expect": ["200-299", "401"]}, [b"HTTP/1.1 503 x\r\n"], "status 503, expected 200-299, 401"),
        ({"contains": "alive"}, [OK + b"\r\nI am not"], 'body without "alive"'),
        ({"contains": "alive"}, [OK + b"Content-Length: 2\r\n\r\nno"], 'body without "alive"'),
        ({"matches": "^up$"}, [OK + b"Content-Length: 12\r\n\r\nup: 12345678"], 'body does not match "^up$"'),
        ({"contains": "a", "matches": "b"}, [OK + b"Content-Length: 1\r\n\r\na"], 'body does not match "b"'),
        ({"contains": "z"}, [LONG, FULL, b"z"], 'body without "z"'),
        ({"contains": "up"}, [CUT, b"no"], "connection closed, expected rest of the HTTP reply"),
        ({"matches": "up"}, [CUT, b"up"], "connection closed, expected rest of the HTTP reply"),
        ({}, [], "connection closed, expected HTTP status"),
        ({}, [b"\x15\x03\x03\x00\x02\x02\x28"], "received TLS, expected HTTP"),
    ],
)
def test_what_is_bad(settings: dict[str, object], portions: list[bytes], reason: str) -> None:
    assert failure(asking(**settings), *portions) == reason


def test_a_bad_expression_is_refused() -> None:
    with pytest.raises(ValueError, match="invalid regular expression: missing"):
        asking(matches="(")


@pytest.mark.parametrize(
    "came",
    [
        b"GET / Authorization: Bearer hunter2-token\r\n",
        b"you sent hunter2-token, and hunter2-body\r\n",
        b"HTTP/1.1 hunter2-token\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nhunter2-token\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nxhunter2-body\r\n",
        b"HTTP hunter2-to",
    ],
)
def test_secret_of_the_request_is_not_repeated(came: bytes) -> None:
    dialogue = asking(
        method="POST", headers={"Authorization": "Bearer hunter2-token"}, body="hunter2-body", contains="y"
    )
    assert "hunter2" not in failure(dialogue, came)
