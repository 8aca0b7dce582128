"""ICMP echo."""

import pytest

from kernelbal.health.checks.icmp import (
    EchoMessage,
    echo_request,
    error_text,
    read_echo,
    without_ipv4_header,
)
from kernelbal.model.address import AF_INET, AF_INET6
from kernelbal.model.headers import internet_checksum

PAYLOAD = b"kernelbal"


def v4_header(protocol: int = 1, options: bytes = b"") -> bytes:
    return bytes([0x45 + len(options) // 4]) + bytes(8) + bytes([protocol]) + bytes(10) + options


def v6_header(next_header: int = 58) -> bytes:
    return bytes([0x60, 0, 0, 0, 0, 0, next_header]) + bytes(33)


def v4_message(kind: int, code: int, rest: bytes) -> bytes:
    unsigned = bytes([kind, code, 0, 0]) + rest
    return unsigned[:2] + internet_checksum(unsigned).to_bytes(2, "big") + rest


def v6_message(kind: int, code: int, rest: bytes) -> bytes:
    return bytes([kind, code, 0xAB, 0xCD]) + rest


IDS = bytes.fromhex("12340007")


def test_requests() -> None:
    assert echo_request(AF_INET, 0x1234, 7, PAYLOAD) == v4_message(8, 0, IDS + PAYLOAD)
    assert internet_checksum(echo_request(AF_INET, 0x1234, 7, PAYLOAD)) == 0
    assert echo_request(AF_INET6, 0x1234, 7, PAYLOAD) == b"\x80\0\0\0" + IDS + PAYLOAD


def test_replies() -> None:
    expected = EchoMessage(0x1234, 7, PAYLOAD)
    assert read_echo(AF_INET, v4_message(0, 0, IDS + PAYLOAD)) == expected
    assert read_echo(AF_INET6, v6_message(129, 0, IDS + PAYLOAD)) == expected


def test_errors_quote_the_request() -> None:
    for_v4 = v4_header() + echo_request(AF_INET, 0x1234, 7, PAYLOAD)
    assert read_echo(AF_INET, v4_message(3, 10, bytes(4) + for_v4)) == EchoMessage(
        0x1234, 7, PAYLOAD, "destination unreachable: host prohibited"
    )
    for_v6 = v6_header() + echo_request(AF_INET6, 0x1234, 7, PAYLOAD)
    assert read_echo(AF_INET6, v6_message(1, 3, bytes(4) + for_v6)) == EchoMessage(
        0x1234, 7, PAYLOAD, "destination unreachable: address unreachable"
    )


def test_errors_quote_as_little_as_eight_bytes_after_options() -> None:
    quoted = v4_header(options=bytes(8)) + echo_request(AF_INET, 0x1234, 7, PAYLOAD)[:8]
    assert read_echo(AF_INET, v4_message(11, 0, bytes(4) + quoted)) == EchoMessage(
        0x1234, 7, b"", "time exceeded: hop limit exceeded"
    )


@pytest.mark.parametrize(
    ("family", "message"),
    [
        (AF_INET, b""),
        (AF_INET, b"\x00" * 7),
        (AF_INET, v4_message(8, 0, IDS)),
        (AF_INET, v4_message(0, 0, IDS + PAYLOAD)[:-1] + b"x"),
        (AF_INET, v4_message(3, 1, bytes(4) + v4_header(protocol=6) + bytes(8))),
        (AF_INET, v4_message(3, 1, bytes(4) + v4_header())),
        (AF_INET, v4_message(3, 1, bytes(4) + v4_header() + v4_message(0, 0, IDS))),
        (AF_INET6, v6_message(128, 0, IDS)),
        (AF_INET6, v6_message(1, 0, bytes(4) + v6_header(6) + bytes(8))),
        (AF_INET6, v6_message(134, 0, bytes(4))),
    ],
    ids=[
        "empty", "short", "request", "wrong checksum", "error for TCP", "error without quote",
        "error for a reply", "v6 request", "v6 error for TCP", "router advertisement",
    ],
)  # fmt: skip
def test_other_messages_are_none_of_ours(family: int, message: bytes) -> None:
    assert read_echo(family, message) is None


def test_the_header_before_a_message() -> None:
    assert without_ipv4_header(v4_header() + b"x") == b"x"
    assert without_ipv4_header(v4_header(options=bytes(4)) + b"x") == b"x"
    assert without_ipv4_header(b"\x45") == b""
    assert without_ipv4_header(v6_header()) == b""


def test_text_of_errors() -> None:
    assert error_text(AF_INET, 3, 1) == "destination unreachable: host unreachable"
    assert error_text(AF_INET6, 2, 0) == "packet too big: code 0"
    assert error_text(AF_INET, 99, 1) == "ICMP error 99: code 1"
