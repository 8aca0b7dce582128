"""The VRRP advertisement (RFC 9568 5.2, RFC 5798 5.1, RFC 3768 5.1), read and written.

```
 version 2: 0x21  VRID  priority  count | auth type  interval s |  checksum | IPv4 addresses | 8 octets auth
 version 3: 0x31  VRID  priority  count | 0 (4 bits)  interval cs (12) | checksum | addresses of one family
```

The checksum of version 3 over IPv4 has two styles: RFC 9568 sums the message alone, RFC 5798 was read as
with a pseudo-header (keepalived, FRR before 8.5, Wireshark). Over IPv6 it always has the pseudo-header
(RFC 8200 8.1), which includes what follows the addresses, such as the trailer of an HMAC.

Left out: the authentication header of RFC 2338 (IPsec AH), which `ip` takes off and nothing verifies.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from enum import Enum, StrEnum
from typing import Final, NamedTuple

from kernelbal.model.address import AF_INET, AF_INET6, Address, parse_address
from kernelbal.model.headers import internet_checksum, transport_checksum
from kernelbal.vrrp.ip import IPPROTO_VRRP, IpPacket

GROUPS: Final = {AF_INET: parse_address("224.0.0.18"), AF_INET6: parse_address("ff02::12")}
"""Where routers send advertisements to (RFC 9568 5.1.1.2, 5.1.2.2)."""
TTL: Final = 255
"""With which a packet is sent, and which one that passed a router no longer has (RFC 9568 5.1.1.3)."""
ADVERTISEMENT: Final = 1
OWNER_PRIORITY: Final = 255
LEAVING_PRIORITY: Final = 0
HEADER_BYTES: Final = 8
AUTH_BYTES: Final = 8
"""Authentication data of version 2, there also without authentication (RFC 3768 5.3.10)."""
MAX_INTERVAL_CS: Final = 0xFFF
CHECKSUM: Final = slice(6, 8)

_HEADER: Final = struct.Struct("!BBBBHH")
_LINK_LOCAL: Final = bytes.fromhex("fe80")


class AuthType(Enum):
    """Authentication of version 2 (RFC 2338 5.3.6)."""

    NONE = 0
    SIMPLE = 1
    AH = 2


class ChecksumStyle(StrEnum):
    """What a checksum of version 3 is over IPv4."""

    RFC9568 = "rfc9568"
    """Over the message alone."""
    RFC5798 = "rfc5798"
    """With a pseudo-header of source, destination, protocol and length."""


class Advertisement(NamedTuple):
    """What a router says of itself.

    Attributes:
        version: 2 or 3.
        vrid: virtual router identifier, 0-255; 0 is not valid.
        priority: 255 owns the addresses, 0 leaves.
        interval_cs: time between its advertisements, in hundredths of a second.
        addresses: of the virtual router; of one family.
        auth_type: of version 2, such as `AuthType.SIMPLE.value`.
        auth_data: of version 2, 8 octets.
    """

    version: int
    vrid: int
    priority: int
    interval_cs: int
    addresses: tuple[Address, ...]
    auth_type: int = 0
    auth_data: bytes = b""


def header_of(payload: bytes) -> tuple[int, int, int, int, int, int]:
    """Return version and type in one octet, VRID, priority, count, and the two 16-bit words that follow."""
    version_type, vrid, priority, count, word, checksum = _HEADER.unpack_from(payload)
    return version_type, vrid, priority, count, word, checksum


def message_bytes(version: int, count: int, family: int) -> int:
    """Return how long a message is: header, addresses, and the authentication data of version 2."""
    return HEADER_BYTES + count * (4 if family == AF_INET else 16) + (AUTH_BYTES if version == 2 else 0)


def parse_advertisement(payload: bytes, family: int) -> Advertisement:
    """Return what a message says that is known to be whole; what follows it is not looked at."""
    version_type, vrid, priority, count, word, _ = header_of(payload)
    version, size = version_type >> 4, 4 if family == AF_INET else 16
    end = HEADER_BYTES + count * size
    addresses = tuple(Address(payload[at : at + size]) for at in range(HEADER_BYTES, end, size))
    if version == 2:
        auth = payload[end : end + AUTH_BYTES]
        return Advertisement(2, vrid, priority, (word & 0xFF) * 100, addresses, word >> 8, auth)
    return Advertisement(version, vrid, priority, word & MAX_INTERVAL_CS, addresses)


def build_advertisement(
    advert: Advertisement, source: Address, destination: Address, style: ChecksumStyle = ChecksumStyle.RFC9568
) -> bytes:
    """Return the payload of the IP packet.

    Args:
        advert: what it says; the interval of version 2 in whole seconds.
        source: of the packet, for the pseudo-header.
        destination: of the packet.
        style: of version 3 over IPv4.
    """
    v2 = advert.version == 2
    word = advert.auth_type << 8 | advert.interval_cs // 100 if v2 else advert.interval_cs
    head = (advert.version << 4 | ADVERTISEMENT, advert.vrid, advert.priority, len(advert.addresses), word, 0)
    auth = advert.auth_data.ljust(AUTH_BYTES, b"\0")[:AUTH_BYTES] if v2 else b""
    message = bytearray(_HEADER.pack(*head) + b"".join(advert.addresses) + auth)
    with_pseudo = not v2 and (len(source) == 16 or style is ChecksumStyle.RFC5798)
    checksum = (
        transport_checksum(source, destination, IPPROTO_VRRP, bytes(message))
        if with_pseudo
        else internet_checksum(bytes(message))
    )
    message[CHECKSUM] = checksum.to_bytes(2, "big")
    return bytes(message)


def checksum_styles(packet: IpPacket, length: int) -> Sequence[ChecksumStyle]:
    """Return by which styles the checksum of a packet is right; none: it is wrong.

    Args:
        packet: with a whole message.
        length: of the message, in octets; what follows counts over IPv6 alone.
    """
    v6 = packet.family == AF_INET6
    message = packet.payload if v6 else packet.payload[:length]
    found = []
    if not v6 and not internet_checksum(message):
        found.append(ChecksumStyle.RFC9568)
    v2 = packet.payload[0] >> 4 == 2
    if not v2 and not transport_checksum(packet.source, packet.destination, IPPROTO_VRRP, message):
        found.append(ChecksumStyle.RFC9568 if v6 else ChecksumStyle.RFC5798)
    return found


def is_link_local(address: Address) -> bool:
    """Return whether an IPv6 address is of fe80::/10, which senders have (RFC 9568 5.1.2.1)."""
    return len(address) == 16 and address[0] == _LINK_LOCAL[0] and address[1] & 0xC0 == _LINK_LOCAL[1]
