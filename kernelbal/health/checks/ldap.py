"""LDAP checks (RFC 4511): simple bind, perhaps StartTLS before it.

BER is read as LDAP restricts it (RFC 4511 5.1): definite lengths, one-byte tags.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from kernelbal.health.checks.dialogue import GOOD, WAIT, DialogueStep, ProbeResult, shown
from kernelbal.health.checks.lines import failed

MAX_MESSAGE_BYTES: Final = 16384
"""Longest message that is read; results are far shorter."""
UNBIND: Final = bytes.fromhex("30050201034200")
"""UnbindRequest with message id 3 (RFC 4511 4.3)."""
_MAX_INTEGER_BYTES: Final = 4
_MAX_ELEMENTS: Final = 16
"""Most elements in another one; a message or result has at most seven (RFC 4511 4.1.1, 4.2.2, 4.12)."""
_STARTTLS_OID: Final = b"1.3.6.1.4.1.1466.20037"
_SEQUENCE: Final = 0x30
_INTEGER: Final = 0x02
_ENUMERATED: Final = 0x0A
_BIND_RESPONSE: Final = 0x61
_EXTENDED_RESPONSE: Final = 0x78
_BIND_ID: Final = 1
_STARTTLS_ID: Final = 2

_RESULTS: Final = {
    0: "success", 1: "operationsError", 2: "protocolError", 3: "timeLimitExceeded", 4: "sizeLimitExceeded",
    5: "compareFalse", 6: "compareTrue", 7: "authMethodNotSupported", 8: "strongerAuthRequired",
    10: "referral", 11: "adminLimitExceeded", 12: "unavailableCriticalExtension",
    13: "confidentialityRequired", 14: "saslBindInProgress", 16: "noSuchAttribute",
    17: "undefinedAttributeType", 18: "inappropriateMatching", 19: "constraintViolation",
    20: "attributeOrValueExists", 21: "invalidAttributeSyntax", 32: "noSuchObject", 33: "aliasProblem",
    34: "invalidDNSyntax", 36: "aliasDereferencingProblem", 48: "inappropriateAuthentication",
    49: "invalidCredentials", 50: "insufficientAccessRights", 51: "busy", 52: "unavailable",
    53: "unwillingToPerform", 54: "loopDetect", 64: "namingViolation", 65: "objectClassViolation",
    66: "notAllowedOnNonLeaf", 67: "notAllowedOnRDN", 68: "entryAlreadyExists",
    69: "objectClassModsProhibited", 71: "affectsMultipleDSAs", 80: "other",
}  # fmt: skip


class BerElement(NamedTuple):
    """One BER element.

    Attributes:
        end: where it ends in what it was read from.
    """

    tag: int
    value: bytes
    end: int


class LdapResult(NamedTuple):
    """A response (RFC 4511 4.1.9).

    Attributes:
        message_id: 0 for unsolicited messages of the server.
        operation: BER tag.
        text: diagnostic message.
    """

    message_id: int
    operation: int
    code: int
    text: bytes


def ber(tag: int, value: bytes) -> bytes:
    """Return a BER element."""
    if len(value) < 0x80:
        return bytes([tag, len(value)]) + value
    length = len(value).to_bytes((len(value).bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + value


def read_element(data: bytes | bytearray, start: int = 0) -> BerElement | None:
    """Return the element at `start`, or None when it is not whole yet.

    Raises:
        ValueError: the length is indefinite, or more than is looked at.
    """
    if len(data) < start + 2:
        return None
    length, at = data[start + 1], start + 2
    if length & 0x80:
        size = length & 0x7F
        if not 1 <= size <= 4:
            raise ValueError("invalid length of an LDAP message")
        if len(data) < at + size:
            return None
        length, at = int.from_bytes(data[at : at + size], "big"), at + size
    if length > MAX_MESSAGE_BYTES:
        raise ValueError(f"message of {length} bytes")
    if len(data) < at + length:
        return None
    return BerElement(data[start], bytes(data[at : at + length]), at + length)


def _elements(data: bytes) -> Iterator[BerElement]:
    at = count = 0
    while at < len(data):
        element = read_element(data, at)
        if element is None:
            raise ValueError("truncated message")
        count += 1
        if count > _MAX_ELEMENTS:
            raise ValueError(f"over {_MAX_ELEMENTS} elements in a message")
        yield element
        at = element.end


def read_result(message: bytes) -> LdapResult:
    """Return the result in the value of an LDAPMessage.

    Raises:
        ValueError: it is invalid.
    """
    parts = list(_elements(message))
    if len(parts) < 2 or parts[0].tag != _INTEGER:
        raise ValueError("no message id")
    fields = list(_elements(parts[1].value))
    if len(fields) < 3 or fields[0].tag != _ENUMERATED:
        raise ValueError("no result")
    return LdapResult(_integer(parts[0]), parts[1].tag, _integer(fields[0]), fields[2].value)


def _integer(element: BerElement) -> int:
    """Return a number from 0 to 2147483647, as message ids and result codes are (RFC 4511 4.1.1, 4.1.9)."""
    size = len(element.value)
    if not 1 <= size <= _MAX_INTEGER_BYTES:
        raise ValueError(f"number of {size} bytes")
    if element.value[0] & 0x80:
        raise ValueError("negative number")
    return int.from_bytes(element.value, "big")


def bind_request(message_id: int, dn: str, password: str) -> bytes:
    """Return a simple bind of version 3 (RFC 4511 4.2)."""
    bind = ber(_INTEGER, b"\x03") + ber(0x04, dn.encode()) + ber(0x80, password.encode())
    return ber(_SEQUENCE, ber(_INTEGER, bytes([message_id])) + ber(0x60, bind))


def starttls_request(message_id: int) -> bytes:
    """Return the extended request of StartTLS (RFC 4511 4.14.1)."""
    return ber(_SEQUENCE, ber(_INTEGER, bytes([message_id])) + ber(0x77, ber(0x80, _STARTTLS_OID)))


class LdapDialogue:
    """Perhaps StartTLS, then bind, unbind."""

    def __init__(self, dn: str, password: str, starttls: bool) -> None:
        self.awaited = "answer to StartTLS" if starttls else "answer to bind"
        self._bind = bind_request(_BIND_ID, dn, password)
        self._anonymous = not dn
        self._secrets = (password.encode(),)
        self._starttls = starttls
        self._buffer = bytearray()

    def begin(self) -> DialogueStep:
        """Send the first request."""
        return DialogueStep(starttls_request(_STARTTLS_ID) if self._starttls else self._bind)

    def receive(self, data: bytes) -> DialogueStep:
        """Evaluate an answer once it is whole."""
        if not data:
            self._starttls = False
            self.awaited = "answer to bind"
            return DialogueStep(self._bind)
        self._buffer += data
        if self._buffer[0] != _SEQUENCE:
            return failed(f"received byte 0x{self._buffer[0]:02x}, expected an LDAP message")
        try:
            message = read_element(self._buffer)
            if message is None:
                return WAIT
            result = read_result(message.value)
        except ValueError as error:
            return failed(f"{error}, expected {self.awaited}")
        del self._buffer[: message.end]
        return self._answered(result)

    def end(self) -> ProbeResult:
        """Return the failure."""
        return ProbeResult(False, f"connection closed, expected {self.awaited}")

    def _answered(self, result: LdapResult) -> DialogueStep:
        expected = (_STARTTLS_ID, _EXTENDED_RESPONSE) if self._starttls else (_BIND_ID, _BIND_RESPONSE)
        name = _RESULTS.get(result.code, f"code {result.code}")
        text = f" {shown(result.text, secrets=self._secrets)}" if result.text else ""
        if result.message_id == 0:
            return failed(f"server disconnects: {name}{text}")
        if (result.message_id, result.operation) != expected:
            return failed(
                f"received message {result.message_id} 0x{result.operation:02x}, expected {self.awaited}"
            )
        if result.code:
            who = " (are anonymous binds allowed?)" if self._anonymous and not self._starttls else ""
            return failed(f"{self.awaited} {name}{text}, expected success{who}")
        if not self._starttls:
            return DialogueStep(UNBIND, result=GOOD)
        if self._buffer:
            return failed("data after the answer to StartTLS before TLS started")
        return DialogueStep(start_tls=True)
