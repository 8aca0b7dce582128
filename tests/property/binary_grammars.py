"""Grammars of binary messages: BER and DER, DNS, RADIUS, RDP, ICMP, and frames on Ethernet."""

from __future__ import annotations

import hashlib
import hmac
import struct
from typing import Final

from kernelbal.model.headers import internet_checksum
from tests.property.fuzz import Choices

SECRET: Final = b"s"
"""Shared with the RADIUS servers."""


# --- BER and DER ---


def element(choices: Choices, tag: int, value: bytes) -> bytes:
    """An element of BER, whose tag, length or form of the length may be odd."""
    length = choices.number(len(value), 32)
    head = _length(length)
    if choices.odd():
        octets = length.to_bytes((length.bit_length() + 7) // 8, "big")
        octets = choices.pick((b"", b"\0" + octets, bytes(3) + octets, octets * 30, bytes(126)))
        head = bytes([0x80 | len(octets) & 0x7F]) + octets
    return bytes([choices.number(tag, 8)]) + head + value


def _length(length: int) -> bytes:
    if length < 0x80:
        return bytes([length])
    octets = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes([0x80 | len(octets)]) + octets


def nested(choices: Choices, tag: int, value: bytes) -> bytes:
    """An element, if odd inside up to 400 others, the outermost of which may lie, too."""
    inner = element(choices, tag, value)
    if not choices.odd():
        return inner
    heads, size = [], len(inner)
    for _ in range(choices.up_to(400)):
        heads.append(b"\x30" + _length(size))
        size += len(heads[-1])
    return element(choices, 0x30, b"".join(reversed(heads)) + inner)


def integer(choices: Choices, value: int, tag: int = 0x02) -> bytes:
    """An INTEGER or ENUMERATED, which may be huge."""
    return nested(choices, tag, choices.octets(value.to_bytes(1, "big"), 9000))


def ldap(choices: Choices, message_id: int = 1, operation: int = 0x61) -> bytes:
    """A result of LDAP."""
    fields = integer(choices, 0, 0x0A) + nested(choices, 0x04, choices.octets(b""))
    text = nested(choices, 0x04, choices.octets(b"fine", 20000))
    referral = choices.repeated(element(choices, 0xA3, element(choices, 0x04, b"ldap://x")), 0, 1, 9000)
    result = element(choices, operation, fields + text + referral)
    controls = choices.repeated(element(choices, 0xA0, b""), 0, 1, 9000)
    return choices.damaged(element(choices, 0x30, integer(choices, message_id) + result + controls))


def ldap_bind(choices: Choices) -> tuple[bytes, ...]:
    """The answer to a bind."""
    return choices.portions(ldap(choices))


def ldap_starttls(choices: Choices) -> tuple[bytes, ...]:
    """The answer to StartTLS."""
    return choices.portions(ldap(choices, 2, 0x78))


_TIMES: Final = (b"500101000000Z", b"200601000000Z", b"270120000000Z", b"300601000000Z", b"491231235959Z")
_ODD_TIMES: Final = (
    b"", b"Z", b"000000000000Z", b"991332256161Z", b"300601000000+0100", b"00000101000000Z",
    b"99991231235960Z", b"99991231235959Z", b"00010101000000Z", b"20300601000000.5Z",
    b"2030060100Z", b"\xff" * 13, b"1" * 5000,
)  # fmt: skip


def certificate(choices: Choices) -> tuple[bytes, ...]:
    """A certificate of X.509 with a key on P-256 and a signature that nobody verifies (RFC 5280 4.1)."""
    version = element(choices, 0xA0, integer(choices, choices.number(2, 8)))
    algorithm = element(choices, 0x30, _oid(choices, "2a8648ce3d040302"))
    name = _name(choices)
    validity = element(choices, 0x30, _time(choices) + _time(choices))
    curve = element(choices, 0x30, _oid(choices, "2a8648ce3d0201") + _oid(choices, "2a8648ce3d030107"))
    key = element(choices, 0x30, curve + element(choices, 0x03, b"\0\4" + choices.octets(b"k" * 64)))
    extension = element(choices, 0x30, _oid(choices, "551d13") + element(choices, 0x04, b"\x30\x00"))
    extensions = element(choices, 0xA3, element(choices, 0x30, choices.repeated(extension, 1, 1, 2000)))
    parts = (version, integer(choices, 1), algorithm, name, validity, name, key, extensions)
    kept = tuple(part for part in parts if not choices.odd() or choices.below(2))
    signature = element(choices, 0x03, choices.octets(b"\0") + b"s" * 64)
    whole = element(choices, 0x30, element(choices, 0x30, b"".join(kept)) + algorithm + signature)
    return (choices.damaged(whole),)


def _oid(choices: Choices, octets: str) -> bytes:
    return element(choices, 0x06, choices.octets(bytes.fromhex(octets)))


def _name(choices: Choices) -> bytes:
    text = element(
        choices, choices.pick((0x0C, 0x13, 0x1E, 0x1C)) if choices.odd() else 0x0C, choices.octets(b"www")
    )
    pair = element(choices, 0x31, element(choices, 0x30, _oid(choices, "550403") + text))
    return nested(choices, 0x30, choices.repeated(pair, 1, 2, 1000))


def _time(choices: Choices) -> bytes:
    if choices.odd():
        return element(choices, choices.pick((0x17, 0x18)), choices.pick(_ODD_TIMES))
    return element(choices, 0x17, choices.pick(_TIMES))


# --- DNS ---


QUESTION: Final = b"\3www\7example\0\0\1\0\1"
_RDATA_OF_NAMES: Final = {
    2: (b"", 1), 5: (b"", 1), 6: (b"", 2), 12: (b"", 1), 15: (bytes(2), 1), 33: (bytes(6), 1),
    35: (bytes(4) + b"\1u\3sip\0", 1), 46: (bytes(18), 1), 47: (b"", 1), 64: (bytes(2), 1),
}  # fmt: skip
"""By record type: what comes before the names, and how many there are."""
_TYPES: Final = (
    1, 2, 5, 6, 12, 13, 15, 16, 17, 18, 28, 29, 33, 35, 41, 43, 44, 46, 47, 48, 50, 51, 52, 59, 61, 64, 65,
    255, 257, 65280,
)  # fmt: skip


class _DnsMessage:
    """A message under construction."""

    def __init__(self, choices: Choices) -> None:
        self._choices = choices
        self._name_at = 12
        self.data = bytearray(12)

    def name(self) -> bytes:
        """A name to be added at the end: a pointer, or if odd a name to which all that follow point."""
        choices, at = self._choices, len(self.data)
        if not choices.odd():
            return _pointer(self._name_at)
        before, self._name_at = self._name_at, at
        count = choices.pick((1, 3, 130, 1000))
        match choices.below(4):
            case 0:
                return b"\1a" * count + b"\0"
            case 1:  # each points to the one before
                self._name_at = at + 2 * count - 2
                return b"".join(_pointer(max(at + 2 * each - 2, before)) for each in range(count))
            case 2:
                return bytes([choices.below(256)]) + choices.octets(b"label") + b"\0"
            case _:
                return b"\3aaa" + _pointer(choices.pick((before, at, at + 1, choices.below(0x4000))))

    def record(self) -> None:
        """Add a record."""
        choices = self._choices
        kind = choices.pick(_TYPES) if choices.odd() else 1
        self.data += self.name()
        self.data += struct.pack(">HHI", kind, choices.number(1, 16), choices.number(60, 32))
        length_at = len(self.data)
        self.data += bytes(2)
        if kind in _RDATA_OF_NAMES:
            before, names = _RDATA_OF_NAMES[kind]
            self.data += before
            for _ in range(names):
                self.data += self.name()
            self.data += choices.octets(bytes(20) if kind == 6 else b"")
        else:
            self.data += choices.octets(b"\xc0\0\x02\x50")
        length = choices.number(min(len(self.data) - length_at - 2, 0xFFFF), 16)
        self.data[length_at : length_at + 2] = length.to_bytes(2, "big")


def _pointer(offset: int) -> bytes:
    return (0xC000 | offset & 0x3FFF).to_bytes(2, "big")


def dns_message(choices: Choices) -> bytes:
    """A reply to `QUESTION` with one answer and more records."""
    message = _DnsMessage(choices)
    questions = choices.times(1, 1, 600)
    message.data += QUESTION * questions
    answers = choices.pick((0, 2, 64, 65)) if choices.odd() else choices.pick((*(1,) * 8, 2, 60))
    for _ in range(answers):
        message.record()
    flags = choices.number(0x8180, 16)
    counts = (
        choices.number(questions, 16),
        choices.number(answers, 16),
        choices.number(0, 16),
        choices.number(0, 6),
    )
    message.data[:12] = struct.pack(">6H", choices.number(0, 16), flags, *counts)
    return choices.damaged(bytes(message.data))[:0xFFFF]


def dns_datagram(choices: Choices) -> tuple[bytes, ...]:
    """A reply by UDP."""
    return (dns_message(choices),)


def dns_stream(choices: Choices) -> tuple[bytes, ...]:
    """A reply by TCP, after its length."""
    message = dns_message(choices)
    return choices.portions(choices.number(len(message), 16).to_bytes(2, "big") + message)


# --- RADIUS, RDP ---


def radius(choices: Choices) -> tuple[bytes, ...]:
    """A reply that is signed, unless odd, with the shared secret."""
    attributes = b"".join(
        bytes([choices.number(18, 8), choices.number(4, 8)]) + b"hi" for _ in range(choices.times(0, 2, 1300))
    )
    blank = choices.repeated(b"\x50" + bytes([choices.number(18, 8)]) + bytes(16), 1, 1, 200)
    length = choices.number(20 + len(blank) + len(attributes), 16)
    head = bytes([choices.number(2, 8), choices.number(0, 8)]) + length.to_bytes(2, "big")
    code = hmac.new(SECRET, head + bytes(16) + blank + attributes, "md5").digest()
    signed = (
        b"\x50\x12" + choices.octets(code, 16) + blank[18:] if blank[:2] == b"\x50\x12" else blank
    ) + attributes
    signed = choices.damaged(signed)
    digest = hashlib.md5(head + bytes(16) + signed + SECRET, usedforsecurity=False).digest()
    return (head + choices.octets(digest, 16) + signed,)


def rdp(choices: Choices) -> tuple[bytes, ...]:
    """A connection confirm, perhaps with a negotiation."""
    kind, code = choices.number(2, 8), choices.number(1, 32)
    negotiation = struct.pack("<BBHI", kind, 0, choices.number(8, 16), code) if choices.below(2) else b""
    tpdu = bytes([choices.number(6 + len(negotiation), 8), choices.number(0xD0, 8)]) + bytes(5) + negotiation
    length = choices.number(4 + len(tpdu), 16)
    return choices.portions(
        choices.damaged(bytes([choices.number(3, 8), 0]) + length.to_bytes(2, "big") + tpdu)
    )


# --- ICMP, frames ---


def _ip(choices: Choices, family: int, protocol: int, payload: bytes) -> bytes:
    """An IP packet; `family` is the length of its addresses."""
    protocol = choices.number(protocol, 8)
    if family == 16:
        words = struct.pack(
            "!IHBB",
            choices.number(6 << 28, 32),
            choices.number(len(payload), 16),
            protocol,
            choices.number(255, 8),
        )
        return words + b"\xfd" * 32 + payload
    options = bytes(4 * choices.times(0, 0, 11))
    head = choices.number(4, 4) << 4 | (choices.below(5) if choices.odd() else 5 + len(options) // 4)
    length = choices.number(20 + len(options) + len(payload), 16)
    fragment = choices.number(0, 16)
    return (
        struct.pack("!BBHHHBBH", head, 0, length, 0, fragment, 64, protocol, 0)
        + b"\x0a" * 8
        + options
        + payload
    )


def _icmp(family: int, kind: int, code: int, body: bytes) -> bytes:
    """A message of ICMP; that of IPv4 has a right checksum."""
    checksum = internet_checksum(bytes((kind, code, 0, 0)) + body) if family == 4 else 0
    return bytes((kind, code)) + checksum.to_bytes(2, "big") + body


def _icmp_error(choices: Choices, family: int, quoted: bytes) -> bytes:
    kind = choices.number(3 if family == 4 else 1, 8)
    return _icmp(family, kind, choices.number(1, 8), bytes(4) + choices.damaged(quoted))


def _echo(choices: Choices, family: int) -> bytes:
    """A reply, or an error that quotes the request."""
    ends = b"\0\1\0\2" + choices.octets(b"token", 2000)
    if choices.below(2):
        return _icmp(family, choices.number(0 if family == 4 else 129, 8), choices.number(0, 8), ends)
    request = _icmp(family, choices.number(8 if family == 4 else 128, 8), 0, ends)
    return _icmp_error(choices, family, _ip(choices, family, 1 if family == 4 else 58, request))


def echo_ipv4(choices: Choices) -> tuple[bytes, ...]:
    """What a raw socket of IPv4 delivers, with the header of IP."""
    return (_ip(choices, 4, 1, _echo(choices, 4)),)


def echo_ipv6(choices: Choices) -> tuple[bytes, ...]:
    """What a raw socket of IPv6 delivers."""
    return (choices.damaged(_echo(choices, 16)),)


def advertisement(choices: Choices) -> bytes:
    """A neighbour advertisement with options."""
    fixed = bytes((choices.number(136, 8), choices.number(0, 8), 0, 0)) + bytes(4) + b"\xfd" * 16
    options = b"".join(
        _neighbour_option(choices, choices.pick((14, 25))) for _ in range(choices.times(0, 1, 180))
    )
    return choices.damaged(fixed + options + _neighbour_option(choices, 2))


def _neighbour_option(choices: Choices, kind: int) -> bytes:
    return bytes((choices.number(kind, 8), choices.number(1, 8))) + b"\2\0\0\0\0\1"


def neighbour_advertisement(choices: Choices) -> tuple[bytes, ...]:
    """The hop limit in one octet, then the message."""
    return bytes([choices.number(255, 8)]), advertisement(choices)


def arp(choices: Choices) -> bytes:
    """A packet of ARP."""
    kinds = (choices.number(1, 16), choices.number(0x0800, 16), choices.number(6, 8), choices.number(4, 8))
    return (
        struct.pack("!HHBBH", *kinds, choices.number(2, 16))
        + b"\2\0\0\0\0\1"
        + b"\x0a" * 4
        + b"\2\0\0\0\0\2"
        + b"\x0a" * 4
    )


def arp_frame(choices: Choices) -> tuple[bytes, ...]:
    """A frame with ARP in it."""
    return (choices.damaged(bytes(12) + choices.number(0x0806, 16).to_bytes(2, "big") + arp(choices)),)


def frame(choices: Choices) -> tuple[bytes, ...]:
    """A frame with any answer that a probe waits for."""
    family = choices.pick((4, 16))
    ether = 0x0800 if family == 4 else 0x86DD
    match choices.below(4):
        case 0:
            ether, packet = 0x0806, arp(choices)
        case 1:
            packet = _ip(choices, family, 6, tcp(choices))
        case 2:
            quoted = _ip(choices, family, 6, b"\0\1\0\2" + bytes(4))
            packet = _ip(choices, family, 1 if family == 4 else 58, _icmp_error(choices, family, quoted))
        case _:
            ether, packet = 0x86DD, _ip(choices, 16, 58, advertisement(choices))
    whole = bytes(12) + choices.number(ether, 16).to_bytes(2, "big") + packet
    return (whole[: 12 + choices.below(30)] if choices.odd() else choices.damaged(whole),)


def tcp(choices: Choices) -> bytes:
    """A segment with options."""
    units = [
        choices.pick((b"\1", b"\4\2", b"\3\3\7", b"\2" + bytes([choices.number(4, 8)]) + b"\5\xb4"))
        for _ in range(choices.times(1, 4, 30))
    ]
    options = choices.octets(b"".join(units))
    options += bytes(-len(options) % 4)
    offset = choices.number(min(5 + len(options) // 4, 15), 4) << 4
    return struct.pack("!HHIIBBHHH", 80, 1024, 0, 0, offset, choices.number(0x12, 8), 65535, 0, 0) + options
