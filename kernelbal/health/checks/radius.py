"""RADIUS checks: Status-Server (RFC 5997), or Access-Request (RFC 2865) when there is a user.

Requests bear a Message-Authenticator as their first attribute, so that nothing chosen by others comes before.
Replies must be signed with the secret; a Message-Authenticator in them must be right.
"""

from __future__ import annotations

import hashlib
import hmac
import struct
from enum import IntEnum
from typing import Final

from kernelbal.health.checks.dialogue import GOOD, WAIT, DialogueStep, ProbeResult
from kernelbal.model.site.check import RadiusCheck

_HEADER: Final = struct.Struct(">BBH16s")
_MAX_BYTES: Final = 4096
_MAX_PASSWORD_BYTES: Final = 128
_MAX_VALUE_BYTES: Final = 253
_ZEROES: Final = bytes(16)
_AUTHENTICATOR_BYTES: Final = 18
"""Length of the attribute Message-Authenticator (RFC 2869 5.14)."""


class RadiusCode(IntEnum):
    """Codes that matter here (RFC 2865 3, RFC 5997)."""

    ACCESS_REQUEST = 1
    ACCESS_ACCEPT = 2
    ACCESS_REJECT = 3
    ACCOUNTING_RESPONSE = 5
    ACCESS_CHALLENGE = 11
    STATUS_SERVER = 12


class RadiusAttribute(IntEnum):
    """Attributes that matter here."""

    USER_NAME = 1
    USER_PASSWORD = 2
    NAS_IDENTIFIER = 32
    MESSAGE_AUTHENTICATOR = 80


_NAMES: Final = {
    RadiusCode.ACCESS_ACCEPT: "Access-Accept",
    RadiusCode.ACCESS_REJECT: "Access-Reject",
    RadiusCode.ACCOUNTING_RESPONSE: "Accounting-Response",
    RadiusCode.ACCESS_CHALLENGE: "Access-Challenge",
}


def _md5(data: bytes) -> bytes:
    return hashlib.md5(data, usedforsecurity=False).digest()


def hidden_password(password: bytes, secret: bytes, authenticator: bytes) -> bytes:
    """Return the value of User-Password (RFC 2865 5.2).

    Raises:
        ValueError: it is longer than 128 bytes.
    """
    if len(password) > _MAX_PASSWORD_BYTES:
        raise ValueError("a RADIUS password has at most 128 bytes")
    padded = password.ljust(max(16, -(-len(password) // 16) * 16), b"\0")
    hidden, block = b"", authenticator
    for at in range(0, len(padded), 16):
        block = bytes(a ^ b for a, b in zip(padded[at : at + 16], _md5(secret + block), strict=True))
        hidden += block
    return hidden


def packet_bytes(code: RadiusCode, identifier: int, authenticator: bytes, attributes: bytes) -> bytes:
    """Return a packet (RFC 2865 3)."""
    return _HEADER.pack(code, identifier, _HEADER.size + len(attributes), authenticator) + attributes


def _attribute(kind: RadiusAttribute, value: bytes) -> bytes:
    if len(value) > _MAX_VALUE_BYTES:
        raise ValueError("a RADIUS attribute has at most 253 bytes")
    return bytes([kind, len(value) + 2]) + value


def request_bytes(check: RadiusCheck, identifier: int, authenticator: bytes) -> bytes:
    """Return the request of a check.

    Args:
        check: its settings.
        identifier: 0-255.
        authenticator: 16 random bytes.

    Raises:
        ValueError: a name or the password is too long.
    """
    secret = check.secret.encode()
    attributes = _attribute(RadiusAttribute.NAS_IDENTIFIER, check.nas_identifier.encode())
    code = RadiusCode.STATUS_SERVER
    if check.user is not None:
        code = RadiusCode.ACCESS_REQUEST
        hidden = hidden_password(check.password.encode(), secret, authenticator)
        attributes = (
            _attribute(RadiusAttribute.USER_NAME, check.user.encode())
            + _attribute(RadiusAttribute.USER_PASSWORD, hidden)
            + attributes
        )
    blank = _attribute(RadiusAttribute.MESSAGE_AUTHENTICATOR, _ZEROES)
    unsigned = packet_bytes(code, identifier, authenticator, blank + attributes)
    signature = hmac.new(secret, unsigned, "md5").digest()
    signed = _attribute(RadiusAttribute.MESSAGE_AUTHENTICATOR, signature) + attributes
    return packet_bytes(code, identifier, authenticator, signed)


def reply_error(reply: bytes, authenticator: bytes, secret: bytes) -> str:
    """Return why a reply is not from a server that knows the secret; empty when it is.

    Args:
        reply: at least a header, of the length that it names.
        authenticator: of the request.
        secret: shared with the server.
    """
    signed = reply[:4] + authenticator + reply[_HEADER.size :]
    if not hmac.compare_digest(_md5(signed + secret), reply[4 : _HEADER.size]):
        return "reply is not signed with the shared secret"
    at = _HEADER.size
    while at < len(reply):
        kind, length = reply[at], reply[at + 1] if at + 1 < len(reply) else 0
        if length < 2 or at + length > len(reply):
            return "malformed attribute in the reply"
        if kind == RadiusAttribute.MESSAGE_AUTHENTICATOR:
            if length != _AUTHENTICATOR_BYTES:
                return "malformed attribute in the reply"
            blank = signed[: at + 2] + _ZEROES + signed[at + length :]
            if not hmac.compare_digest(hmac.new(secret, blank, "md5").digest(), reply[at + 2 : at + length]):
                return "wrong Message-Authenticator in the reply"
        at += length
    return ""


class RadiusDialogue:
    """One request and its reply; datagrams that cannot be its reply are passed over."""

    def __init__(self, check: RadiusCheck, identifier: int, authenticator: bytes) -> None:
        """Begin with an identifier (0-255) and 16 bytes, both random."""
        self.awaited = "RADIUS reply (is this a client there, with this shared secret?)"
        self._check = check
        self._identifier = identifier
        self._authenticator = authenticator
        self._request = request_bytes(check, identifier, authenticator)

    def begin(self) -> DialogueStep:
        """Send the request."""
        return DialogueStep(self._request)

    def receive(self, data: bytes) -> DialogueStep:
        """Evaluate a reply."""
        if len(data) < _HEADER.size:
            return self._pass_over()
        code, identifier, length, _ = _HEADER.unpack_from(data)
        if identifier != self._identifier or not _HEADER.size <= length <= min(len(data), _MAX_BYTES):
            return self._pass_over()
        error = reply_error(data[:length], self._authenticator, self._check.secret.encode())
        return DialogueStep(result=ProbeResult(False, error) if error else self._evaluate(code))

    def end(self) -> ProbeResult:
        """Return the failure."""
        return ProbeResult(False, "no RADIUS reply")

    def _pass_over(self) -> DialogueStep:
        self.awaited = "RADIUS reply to the request (another datagram received)"
        return WAIT

    def _evaluate(self, code: int) -> ProbeResult:
        good = {RadiusCode.ACCESS_ACCEPT}
        if self._check.user is None:
            good.add(RadiusCode.ACCOUNTING_RESPONSE)
        elif self._check.reject_is_good:
            good |= {RadiusCode.ACCESS_REJECT, RadiusCode.ACCESS_CHALLENGE}
        if code in good:
            return GOOD
        return ProbeResult(
            False,
            f"{_NAMES.get(RadiusCode(code)) if code in _NAMES else f'code {code}'}, expected Access-Accept",
        )
