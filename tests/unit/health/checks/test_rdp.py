"""RDP checks. Packets are those of MS-RDPBCGR 4.1.1 and 4.1.2, and variations of them."""

import pytest

from kernelbal.health.checks.dialogue import GOOD, DialogueStep
from kernelbal.health.checks.rdp import REQUEST, RdpDialogue
from tests.unit.health.checks.talk import failure, reply

CONFIRM = bytes.fromhex("030000130ed000001234000200080000000000")
BARE_CONFIRM = bytes.fromhex("0300000b06d00000123400")


def negotiation_failure(code: int) -> bytes:
    return bytes.fromhex("030000130ed000001234000300080000000000")[:15] + code.to_bytes(4, "little")


def test_the_request() -> None:
    """TPKT, X.224 connection request, RDP Negotiation Request for TLS and CredSSP; without a cookie."""
    cookie_request = bytes.fromhex(
        "0300002c27e00000000000436f6f6b69653a206d737473686173683d656c746f6e730d0a0100080000000000"
    )
    assert cookie_request[11:36] == b"Cookie: mstshash=eltons\r\n"
    without = bytearray(cookie_request[:11] + cookie_request[36:])
    without[3], without[4], without[15] = len(without), len(without) - 5, 3
    assert RdpDialogue().begin() == DialogueStep(REQUEST) == DialogueStep(bytes(without))


@pytest.mark.parametrize("packet", [CONFIRM, BARE_CONFIRM, negotiation_failure(2)])
def test_a_confirm_is_good(packet: bytes) -> None:
    assert reply(RdpDialogue(), packet[:3], packet[3:9], packet[9:]).result == GOOD


@pytest.mark.parametrize(
    ("packet", "reason"),
    [
        (negotiation_failure(3), "negotiation failed: SSL_CERT_NOT_ON_SERVER"),
        (negotiation_failure(5), "negotiation failed: HYBRID_REQUIRED_BY_SERVER"),
        (negotiation_failure(99), "negotiation failed: code 99"),
        (bytes.fromhex("0300000b06800000123400"), "X.224 TPDU 0x80, expected 0xd0 (connection confirm)"),
        (bytes.fromhex("03000004"), "TPKT of 4 bytes, expected 11-1024"),
        (bytes.fromhex("0300ffff"), "TPKT of 65535 bytes, expected 11-1024"),
        (b"SSH-2.0", "received byte 0x53, expected TPKT version 3"),
        (b"", "connection closed, expected X.224 connection confirm"),
        (
            CONFIRM[:5],
            'connection closed after "....." , expected X.224 connection confirm'.replace('" ,', '",'),
        ),
    ],
)
def test_what_is_bad(packet: bytes, reason: str) -> None:
    assert failure(RdpDialogue(), *([packet] if packet else [])) == reason
