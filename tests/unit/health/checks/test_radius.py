"""RADIUS checks. Packets are those of RFC 2865 7.1 and RFC 5997 6, which share the secret `xyzzy5461`."""

import hashlib
import hmac

import pytest

from kernelbal.health.checks.dialogue import GOOD, DialogueStep
from kernelbal.health.checks.radius import (
    RadiusDialogue,
    hidden_password,
    packet_bytes,
    reply_error,
    request_bytes,
)
from kernelbal.model.site.check import RadiusCheck
from tests.unit.health.checks.talk import failure, reply

SECRET = b"xyzzy5461"
NEMO = bytes.fromhex("0f403f9473978057bd83d5cb98f4227a")
ACCEPT = bytes.fromhex("02000026 86fe220e7624ba2a1005f6bf9b55e0b2 0606 00000001 0f06 00000000 0e06 c0a80103")
STATUS_REQUEST = bytes.fromhex(
    "0cda0026 8a54f4686fb394c52866e302185d0623 5012 5a665e2e1e8411f3e243822097c84fa3"
)
STATUS_ACCEPT = bytes.fromhex("02da0014 ef0d552a4bf2d693ec2b6fe8b5411d66")


def dialogue(identifier: int = 0, authenticator: bytes = NEMO, **settings: object) -> RadiusDialogue:
    check = RadiusCheck.model_validate({"secret": SECRET.decode(), **settings})
    return RadiusDialogue(check, identifier, authenticator)


def signed(code: int, attributes: bytes = b"", identifier: int = 0) -> bytes:
    """A reply of a server that knows the secret."""
    unsigned = packet_bytes(code, identifier, NEMO, attributes)
    return unsigned[:4] + hashlib.md5(unsigned + SECRET).digest() + attributes


def test_a_password_is_hidden() -> None:
    assert hidden_password(b"arctangent", SECRET, NEMO).hex() == "0dbe708d93d413ce3196e43f782a0aee"
    assert len(hidden_password(b"", SECRET, NEMO)) == 16
    assert len(hidden_password(b"x" * 17, SECRET, NEMO)) == 32


def test_long_passwords_are_refused() -> None:
    with pytest.raises(ValueError, match="at most 128 bytes"):
        dialogue(user="nemo", password="x" * 129)
    with pytest.raises(ValueError, match="at most 253 bytes"):
        dialogue(user="x" * 254)


def test_the_message_authenticator_of_a_request() -> None:
    """It is that of RFC 5997 6.1 when its lone attribute is signed the same way."""
    authenticator = STATUS_REQUEST[4:20]
    request = request_bytes(RadiusCheck(secret=SECRET.decode(), nas_identifier="lb"), 0xDA, authenticator)
    assert request[:4] == bytes.fromhex("0cda002a")
    assert request[20:22] == bytes.fromhex("5012")
    blank = request[:22] + bytes(16) + request[38:]
    assert request[22:38] == hmac.new(SECRET, blank, "md5").digest()
    golden = STATUS_REQUEST[:22] + bytes(16)
    assert STATUS_REQUEST[22:] == hmac.new(SECRET, golden, "md5").digest()


def test_an_access_request_bears_user_and_hidden_password() -> None:
    request = dialogue(user="nemo", password="arctangent").begin().send
    assert request[0] == 1
    assert request[38:44] == b"\x01\x06nemo"
    assert request[44:62].hex() == "02120dbe708d93d413ce3196e43f782a0aee"


def test_replies_of_the_documents_are_verified() -> None:
    assert reply_error(ACCEPT, NEMO, SECRET) == ""
    assert reply_error(STATUS_ACCEPT, STATUS_REQUEST[4:20], SECRET) == ""
    assert reply_error(ACCEPT, NEMO, b"wrong") == "reply is not signed with the shared secret"


def authenticated(digest: bytes = b"") -> bytes:
    """A reply with a Message-Authenticator, the right one unless another is given."""
    blank = packet_bytes(2, 0, NEMO, b"\x50\x12" + bytes(16))
    return signed(2, b"\x50\x12" + (digest or hmac.new(SECRET, blank, "md5").digest()))


@pytest.mark.parametrize(
    ("asked", "came"),
    [
        (dialogue(user="nemo"), ACCEPT),
        (dialogue(user="nemo"), ACCEPT + bytes(8)),  # bytes after the packet are padding
        (dialogue(0xDA, STATUS_REQUEST[4:20]), STATUS_ACCEPT),
        (dialogue(user="nemo"), signed(3)),  # a reject proves that it works
        (dialogue(), signed(5)),
        (dialogue(), authenticated()),
    ],
)
def test_what_is_good(asked: RadiusDialogue, came: bytes) -> None:
    assert reply(asked, came).result == GOOD


@pytest.mark.parametrize(
    ("asked", "came", "reason"),
    [
        (dialogue(user="nemo", reject_is_good=False), signed(3), "Access-Reject, expected Access-Accept"),
        (dialogue(), signed(3), "Access-Reject, expected Access-Accept"),
        (dialogue(), signed(99), "code 99, expected Access-Accept"),
        (dialogue(user="nemo"), ACCEPT[:-1] + b"\x04", "reply is not signed with the shared secret"),
        (dialogue(), signed(2, b"\x06\x00"), "malformed attribute in the reply"),
        (dialogue(), signed(2, b"\x06\x09"), "malformed attribute in the reply"),
        (dialogue(), signed(2, b"\x06"), "malformed attribute in the reply"),
        (dialogue(), authenticated(bytes(16)), "wrong Message-Authenticator in the reply"),
        (dialogue(), signed(2, b"\x50\x02"), "malformed attribute in the reply"),
        (dialogue(), signed(2, b"\x50\x13" + bytes(17)), "malformed attribute in the reply"),
    ],
)
def test_what_is_bad(asked: RadiusDialogue, came: bytes, reason: str) -> None:
    assert failure(asked, came) == reason


@pytest.mark.parametrize(
    "datagram",
    [b"", b"garbage", signed(2, identifier=1), ACCEPT[:25], ACCEPT[:2] + b"\x00\x13" + ACCEPT[4:]],
    ids=["empty", "short", "another identifier", "cut", "length too small"],
)
def test_datagrams_that_cannot_be_the_reply_are_passed_over(datagram: bytes) -> None:
    waiting = dialogue(user="nemo")
    assert reply(waiting, datagram) == DialogueStep()
    assert waiting.awaited == "RADIUS reply to the request (another datagram received)"
    assert reply(waiting, ACCEPT).result == GOOD
    assert failure(dialogue()) == "no RADIUS reply"
