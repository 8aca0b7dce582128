"""ARP packets (RFC 826) as they are on the wire."""

import pytest

from kernelbal.lab.demo.arp import request, sender_of_reply

OWN = bytes.fromhex("020000000064")
REQUEST = bytes.fromhex(
    "ffffffffffff 020000000064 08060001 0800 06 04 0001 020000000064 0a000064 000000000000 0a000050"
)
REPLY = bytes.fromhex(
    "020000000064 020000000001 0806"
    "0001 0800 06 04 0002 020000000001 0a000050 020000000064 0a000064"
    "000000000000000000000000000000000000"  # padding to the least length of a frame
)


def test_request() -> None:
    assert request(OWN, "10.0.0.100", "10.0.0.80") == REQUEST


def test_reply() -> None:
    assert sender_of_reply(REPLY, "10.0.0.80") == "02:00:00:00:00:01"


@pytest.mark.parametrize("frame", [REQUEST, REPLY[:41], b""])
def test_no_reply(frame: bytes) -> None:
    assert sender_of_reply(frame, "10.0.0.80") is None


def test_reply_about_another_address() -> None:
    assert sender_of_reply(REPLY, "10.0.0.81") is None
