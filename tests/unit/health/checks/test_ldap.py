"""LDAP checks (RFC 4511)."""

import pytest

from kernelbal.health.checks.dialogue import GOOD, DialogueStep
from kernelbal.health.checks.ldap import (
    UNBIND,
    LdapDialogue,
    LdapResult,
    ber,
    bind_request,
    read_element,
    read_result,
    starttls_request,
)
from tests.unit.health.checks.talk import failure, reply

BOUND = bytes.fromhex("300c02010161070a010004000400")


def result(code: int, text: bytes = b"", *, message_id: int = 1, operation: int = 0x61) -> bytes:
    value = ber(0x0A, bytes([code])) + ber(0x04, b"") + ber(0x04, text)
    return ber(0x30, ber(0x02, bytes([message_id])) + ber(operation, value))


def odd(code: bytes) -> bytes:
    """A result whose code is a number of these octets."""
    return ber(0x30, ber(0x02, b"\x01") + ber(0x61, ber(0x0A, code) + ber(0x04, b"") + ber(0x04, b"")))


STARTTLS_OK = result(0, message_id=2, operation=0x78)


def test_the_requests() -> None:
    assert bind_request(1, "", "") == bytes.fromhex("300c020101600702010304008000")
    assert bind_request(1, "cn=x", "pw") == bytes.fromhex("3012020101600d0201030404636e3d7880027077")
    assert starttls_request(2) == bytes.fromhex("301d02010277188016") + b"1.3.6.1.4.1.1466.20037"


def test_long_elements_have_long_lengths() -> None:
    assert ber(0x04, b"x" * 0x80)[:3] == bytes.fromhex("048180")
    assert ber(0x04, b"x" * 0x100)[:4] == bytes.fromhex("04820100")
    assert read_element(ber(0x04, b"x" * 300)) == (0x04, b"x" * 300, 304)


def test_a_bind_is_good_and_is_undone() -> None:
    dialogue = LdapDialogue("", "", starttls=False)
    assert dialogue.begin() == DialogueStep(bind_request(1, "", ""))
    assert reply(dialogue, BOUND[:1], BOUND[1:5], BOUND[5:]) == DialogueStep(UNBIND, result=GOOD)


def test_a_result_is_read() -> None:
    message = read_element(result(49, b"no"))
    assert message is not None
    assert read_result(message.value) == LdapResult(1, 0x61, 49, b"no")


def test_starttls_comes_before_the_bind() -> None:
    dialogue = LdapDialogue("cn=x", "pw", starttls=True)
    assert dialogue.begin() == DialogueStep(starttls_request(2))
    assert dialogue.awaited == "answer to StartTLS"
    assert dialogue.receive(STARTTLS_OK) == DialogueStep(start_tls=True)
    assert dialogue.receive(b"") == DialogueStep(bind_request(1, "cn=x", "pw"))
    assert dialogue.receive(BOUND) == DialogueStep(UNBIND, result=GOOD)


def anonymous(starttls: bool = False) -> LdapDialogue:
    return LdapDialogue("", "", starttls=starttls)


@pytest.mark.parametrize(
    ("dialogue", "came", "reason"),
    [
        (LdapDialogue("cn=x", "bad", starttls=False), result(49, b"nope"),
         'answer to bind invalidCredentials "nope", expected success'),
        (LdapDialogue("cn=x", "hunter2", starttls=False), result(49, b"not hunter2"),
         'answer to bind invalidCredentials "not (hidden)", expected success'),
        (anonymous(), result(48),
         "answer to bind inappropriateAuthentication, expected success (are anonymous binds allowed?)"),
        (anonymous(True), result(2, message_id=2, operation=0x78),
         "answer to StartTLS protocolError, expected success"),
        (anonymous(), result(52, b"bye", message_id=0, operation=0x78),
         'server disconnects: unavailable "bye"'),
        (anonymous(), result(0, message_id=7), "received message 7 0x61, expected answer to bind"),
        (anonymous(), result(99), "answer to bind code 99, expected success (are anonymous binds allowed?)"),
        (anonymous(), b"220 ftp\r\n", "received byte 0x32, expected an LDAP message"),
        (anonymous(), bytes.fromhex("3084ffffffff"), "message of 4294967295 bytes, expected answer to bind"),
        (anonymous(), bytes.fromhex("30800000"),
         "invalid length of an LDAP message, expected answer to bind"),
        (anonymous(), odd(b"\x01" * 2001), "number of 2001 bytes, expected answer to bind"),
        (anonymous(), odd(b""), "number of 0 bytes, expected answer to bind"),
        (anonymous(), odd(b"\x80"), "negative number, expected answer to bind"),
        (anonymous(), bytes.fromhex("3003020101"), "no message id, expected answer to bind"),
        (anonymous(), bytes.fromhex("300c02010161ff0a010004000400"),
         "invalid length of an LDAP message, expected answer to bind"),
        (anonymous(), bytes.fromhex("300c020101611f0a010004000400"),
         "truncated message, expected answer to bind"),
        (anonymous(), ber(0x30, ber(0x02, b"\1") + b"\xa0\0" * 8000),
         "over 16 elements in a message, expected answer to bind"),
        # RFC 4511 6: what an attacker adds in clear must not count as said under TLS.
        (anonymous(True), STARTTLS_OK + BOUND, "data after the answer to StartTLS before TLS started"),
        (anonymous(), BOUND[:4], "connection closed, expected answer to bind"),
    ],
)  # fmt: skip
def test_what_is_bad(dialogue: LdapDialogue, came: bytes, reason: str) -> None:
    assert failure(dialogue, came) == reason
