"""The authenticated trailer of an advertisement (draft-cassen-vrrp-auth-hmac, keepalived 2.4 `auth_hmac`).

```
 type 1 | key id | 0 (16) | UTC seconds (32) | 1/65536 s (16) | counter (16) | HMAC-SHA256, first 16 octets
```

The HMAC is over a pseudo-header (family 4 or 6, version, VRID, 0, source in 16 octets), the message with its
checksum as 0, and the trailer with its HMAC as 0. Seconds, fraction and counter are one sequence number that
grows (RFC 1982 arithmetic over 64 bits). Clocks of the routers must agree within the window.
"""

from __future__ import annotations

import hashlib
import hmac
import struct
from typing import Final, NamedTuple

from kernelbal.model.address import Address
from kernelbal.vrrp.packet import CHECKSUM

TRAILER_BYTES: Final = 28
SHA256: Final = 1
MIN_KEY_BYTES: Final = 32
MAX_KEY_BYTES: Final = 64

_TRAILER: Final = struct.Struct("!BBHIHH16s")
_DIGEST_BYTES: Final = 16
_PSEUDO: Final = struct.Struct("!BBBx16s")
_SEQUENCES: Final = 1 << 64
_SECONDS: Final = 1 << 32


class Trailer(NamedTuple):
    """What follows the message.

    Attributes:
        kind: `SHA256`, or not known.
        reserved: 0.
        sequence: seconds of UTC when it was signed, modulo 2**32, above 32 bits that tell apart what was
            signed within one.
    """

    kind: int
    key_id: int
    reserved: int
    sequence: int
    digest: bytes


def parse_trailer(data: bytes) -> Trailer:
    """Return the trailer in 28 octets."""
    kind, key_id, reserved, seconds, fraction, counter, digest = _TRAILER.unpack(data)
    return Trailer(kind, key_id, reserved, seconds << 32 | fraction << 16 | counter, digest)


def sign(message: bytes, key_id: int, key: bytes, source: Address, sequence: int) -> bytes:
    """Return the trailer of a message.

    Args:
        message: of which the checksum is not looked at.
        key_id: 0-255.
        key: 32 to 64 octets.
        source: of the IP packet.
        sequence: larger than that of any packet before, seconds of UTC in its first 32 bits.
    """
    parts = sequence >> 32, sequence >> 16 & 0xFFFF, sequence & 0xFFFF
    head = _TRAILER.pack(SHA256, key_id, 0, *parts, b"")[:-_DIGEST_BYTES]
    return head + _digest(message + head, key, source)


def is_signed_by(payload: bytes, key: bytes, source: Address) -> bool:
    """Return whether a payload ends in a trailer that who has the key made for this source."""
    digest = _digest(payload[:-_DIGEST_BYTES], key, source)
    return hmac.compare_digest(payload[-_DIGEST_BYTES:], digest)


def in_window(sequence: int, now_s: int, window_s: int) -> bool:
    """Return whether a sequence number was made at most so many seconds ago, or ahead."""
    return abs(_signed((now_s - (sequence >> 32)) % _SECONDS, _SECONDS)) <= window_s


def is_later(sequence: int, than: int) -> bool:
    """Return whether a sequence number comes after another one (RFC 1982)."""
    return _signed((sequence - than) % _SEQUENCES, _SEQUENCES) > 0


def _signed(value: int, modulus: int) -> int:
    return value - modulus if value >= modulus // 2 else value


def _digest(data: bytes, key: bytes, source: Address) -> bytes:
    """Of message and trailer up to the HMAC; both have the checksum where it is."""
    zeroed = data[: CHECKSUM.start] + b"\0\0" + data[CHECKSUM.stop :] + bytes(_DIGEST_BYTES)
    family = 4 if len(source) == 4 else 6
    pseudo = _PSEUDO.pack(family, data[0] >> 4, data[1], source)
    return hmac.digest(key, pseudo + zeroed, hashlib.sha256)[:_DIGEST_BYTES]
