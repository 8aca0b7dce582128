"""Hello messages of HSRP: who shares an address (RFC 2281 5.1, and Cisco's version 2).

```
 version 1, UDP 1985: version, opcode, state, hello s, hold s, priority, group, reserved, 8 octets auth, IPv4
 version 2, UDP 1985 or 2029: TLV 1 of 40 octets: version, opcode, state, IP version, group (16),
            identifier (48), priority (32), hello ms (32), hold ms (32), address in 16 octets
```
"""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

from kernelbal.model.address import Address

PORTS: Final = (1985, 2029)
"""Of UDP over IPv4 and IPv6."""

_V1: Final = struct.Struct("!BBBBBBBx8x4s")
_V2: Final = struct.Struct("!BBBBBBH6xIII16s")
_HELLO: Final = 0
_GROUP_STATE: Final = 1
_V2_BYTES: Final = 40


class Hello(NamedTuple):
    """What a router says of itself.

    Attributes:
        version: 1 or 2.
        group: 0-255, or 0-4095 in version 2.
        hello_ms: time between its messages.
    """

    version: int
    group: int
    priority: int
    hello_ms: int
    address: Address


def parse_hello(payload: bytes) -> Hello | None:
    """Return the hello message in a UDP payload; None: it is something else."""
    if len(payload) >= _V2.size and payload[0] == _GROUP_STATE and payload[1] == _V2_BYTES:
        _, _, version, opcode, _, ip, group, priority, hello_ms, _, address = _V2.unpack_from(payload)
        if (version, opcode) != (2, _HELLO) or ip not in (4, 6):
            return None
        return Hello(2, group, priority, hello_ms, Address(address[:4] if ip == 4 else address))
    if len(payload) >= _V1.size and payload[0] == 0:
        _, opcode, _, hello_s, _, priority, group, address = _V1.unpack_from(payload)
        return Hello(1, group, priority, hello_s * 1000, Address(address)) if opcode == _HELLO else None
    return None
