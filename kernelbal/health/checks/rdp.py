"""RDP checks: X.224 connection request and confirm in TPKT (MS-RDPBCGR 2.2.1.1 and 2.2.1.2, RFC 1006).

The request offers TLS and CredSSP, as today's clients do. Nothing after the confirm is spoken.
"""

from __future__ import annotations

import struct
from typing import Final

from kernelbal.health.checks.dialogue import GOOD, WAIT, DialogueStep, ProbeResult, shown
from kernelbal.health.checks.lines import failed

REQUEST: Final = bytes.fromhex("030000130ee000000000000100080003000000")
"""Connection request with an RDP Negotiation Request for TLS and CredSSP."""

_TPKT: Final = struct.Struct(">BBH")
_MIN_BYTES: Final = 11
_MAX_BYTES: Final = 1024
_CONFIRM: Final = 0xD0
_FAILURE: Final = 3
_SSL_NOT_ALLOWED: Final = 2
_FAILURES: Final = {
    1: "SSL_REQUIRED_BY_SERVER",
    _SSL_NOT_ALLOWED: "SSL_NOT_ALLOWED_BY_SERVER",
    3: "SSL_CERT_NOT_ON_SERVER",
    4: "INCONSISTENT_FLAGS",
    5: "HYBRID_REQUIRED_BY_SERVER",
    6: "SSL_WITH_USER_AUTH_REQUIRED_BY_SERVER",
}


class RdpDialogue:
    """Request and confirm."""

    awaited = "X.224 connection confirm"

    def __init__(self) -> None:
        self._buffer = bytearray()

    def begin(self) -> DialogueStep:
        """Send the request."""
        return DialogueStep(REQUEST)

    def receive(self, data: bytes) -> DialogueStep:
        """Evaluate the confirm once it is whole."""
        self._buffer += data
        if self._buffer[0] != 3:
            return failed(f"received byte 0x{self._buffer[0]:02x}, expected TPKT version 3")
        if len(self._buffer) < _TPKT.size:
            return WAIT
        length: int = _TPKT.unpack_from(self._buffer)[2]
        if not _MIN_BYTES <= length <= _MAX_BYTES:
            return failed(f"TPKT of {length} bytes, expected {_MIN_BYTES}-{_MAX_BYTES}")
        if len(self._buffer) < length:
            return WAIT
        return DialogueStep(result=_evaluate(bytes(self._buffer[:length])))

    def end(self) -> ProbeResult:
        """Return the failure."""
        came = f" after {shown(bytes(self._buffer))}" if self._buffer else ""
        return ProbeResult(False, f"connection closed{came}, expected {self.awaited}")


def _evaluate(packet: bytes) -> ProbeResult:
    if packet[5] & 0xF0 != _CONFIRM:
        return ProbeResult(False, f"X.224 TPDU 0x{packet[5]:02x}, expected 0xd0 (connection confirm)")
    negotiation = packet[_MIN_BYTES:]
    if len(negotiation) < 8 or negotiation[0] != _FAILURE:
        return GOOD
    code = int.from_bytes(negotiation[4:8], "little")
    if code == _SSL_NOT_ALLOWED:
        return GOOD  # it speaks standard RDP security alone, and clients then fall back to that
    return ProbeResult(False, f"negotiation failed: {_FAILURES.get(code, f'code {code}')}")
