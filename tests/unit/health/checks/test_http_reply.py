"""HTTP replies as they come."""

import pytest

from kernelbal.health.checks.dialogue import MAX_REPLY_BYTES
from kernelbal.health.checks.http_reply import MAX_CHUNKS, MAX_HEADER_BYTES, MAX_INTERIM, HttpReply

OK = b"HTTP/1.1 200 OK\r\n"


def fed(*portions: bytes, head: bool = False) -> HttpReply:
    reply = HttpReply(head)
    for portion in portions:
        reply.feed(portion)
    return reply


def test_the_status_is_known_before_the_headers_end() -> None:
    reply = fed(b"HTTP/1.1 503 Service Un")
    assert reply.status is None
    assert reply.awaited == "HTTP status"
    reply.feed(b"available\r\nServer:")
    assert reply.status == 503
    assert reply.awaited == "rest of the HTTP reply"


@pytest.mark.parametrize("line", [b"HTTP/1.0 200 OK\r\n", b"HTTP/1.1 200\r\n", b"HTTP/1.1 200 \n"])
def test_forms_of_a_status_line(line: bytes) -> None:
    assert fed(line).status == 200


def test_a_body_of_known_length() -> None:
    reply = fed(OK + b"Content-Length: 5\r\n\r\nhel", b"lo, and more")
    assert (reply.body, reply.complete, reply.error) == (b"hello", True, "")


def test_a_body_without_bytes() -> None:
    assert fed(OK + b"content-length:0\r\n\r\n").complete


def test_a_body_up_to_the_end_of_the_stream() -> None:
    reply = fed(OK + b"\r\nhel", b"lo")
    assert not reply.complete
    reply.close()
    assert (reply.body, reply.complete) == (b"hello", True)


def test_a_body_in_chunks() -> None:
    reply = fed(OK + b"Transfer-Encoding: chunked\r\n\r\n4;x=y\r\nWiki\r\n", b"6\r\npedia \r\n", b"0\r\n")
    assert (reply.body, reply.complete, reply.error) == (b"Wikipedia ", True, "")


def test_chunks_count_more_than_a_length() -> None:
    reply = fed(OK + b"Content-Length: 1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n")
    assert reply.body == b"ab"


@pytest.mark.parametrize(
    ("chunks", "failure"),
    [
        (b"xyz\r\n", 'received "xyz", expected a chunk size'),
        (b"-1\r\n", 'received "-1", expected a chunk size'),
        (b"\r\n", 'received "", expected a chunk size'),
        (b"1\r\nabc\r\n", 'received "bc", expected the end of a chunk'),
        (b"1" * 2000, "chunk size line of over 1024 bytes"),
    ],
)
def test_broken_chunks(chunks: bytes, failure: str) -> None:
    assert fed(OK + b"Transfer-Encoding: chunked\r\n\r\n" + chunks).error == failure


def test_interim_replies_are_passed_over() -> None:
    reply = fed(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n", OK)
    assert reply.status == 200
    assert fed(b"HTTP/1.1 101 Switching Protocols\r\n").status == 101


def test_replies_that_have_no_body() -> None:
    assert fed(b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n").complete
    assert fed(OK + b"Content-Length: 5\r\n\r\n", head=True).complete


def test_a_long_body_is_cut() -> None:
    reply = fed(OK + b"\r\n", b"x" * MAX_REPLY_BYTES)
    assert not reply.complete
    reply.feed(b"y" * 100_000)
    assert reply.complete
    assert reply.body == b"x" * MAX_REPLY_BYTES


def test_headers_without_end() -> None:
    line = b"X: " + b"y" * 997 + b"\r\n"
    reply = fed(OK + line * 65)
    assert reply.error == ""
    reply.feed(line)
    assert reply.error == f"headers of over {MAX_HEADER_BYTES} bytes"


def test_a_status_line_without_end() -> None:
    assert fed(b"HTTP/1.1 200 " + b"x" * MAX_HEADER_BYTES).error == "status line of over 65536 bytes"


@pytest.mark.parametrize(
    ("came", "failure"),
    [
        (b"SSH-2.0-OpenSSH\r\n", 'received "SSH-2.0-OpenSSH", expected HTTP/1.1'),
        (b"\n", 'received "", expected HTTP/1.1'),
        (b"z" * 100, f'received "{"z" * 57}...", expected HTTP/1.1'),
        (b"HTTP/2 200\r\n", 'received "HTTP/2 200", expected HTTP/1.1'),
        (b"HTTP/1.1 OK\r\n", 'received "HTTP/1.1 OK", expected an HTTP status'),
        (b"HTTP/1.1 2000 OK\r\n", 'received "HTTP/1.1 2000 OK", expected an HTTP status'),
        (b"\x15\x03\x01\x00\x02\x02F", "received TLS, expected HTTP"),
    ],
)
def test_what_is_no_http(came: bytes, failure: str) -> None:
    assert fed(came).error == failure


@pytest.mark.parametrize(
    ("came", "failure"),
    [
        (b"", "connection closed, expected HTTP status"),
        (b"HTT", 'connection closed after "HTT", expected HTTP status'),
        (OK, "connection closed, expected rest of the HTTP reply"),
        (OK + b"Content-Length: 5\r\n\r\nhell", "connection closed, expected rest of the HTTP reply"),
    ],
)
def test_a_stream_that_ends_too_early(came: bytes, failure: str) -> None:
    reply = fed(came)
    reply.close()
    assert reply.error == failure


def test_interim_replies_without_end() -> None:
    interim = b"HTTP/1.1 100 Continue\r\n\r\n"
    assert fed(interim * MAX_INTERIM + OK).status == 200
    assert fed(interim * (MAX_INTERIM + 1) + OK).error == "over 100 interim replies"


def test_chunks_without_end_are_judged_by_what_came() -> None:
    reply = fed(OK + b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 5000)
    assert reply.complete
    assert len(reply.body) == MAX_CHUNKS
