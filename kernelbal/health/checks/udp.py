"""UDP checks: one datagram out, perhaps one back."""

from __future__ import annotations

import re
from typing import Final

from kernelbal.health.checks.dialogue import GOOD, DialogueStep, ProbeResult, shown
from kernelbal.health.checks.pattern import ReplyPattern

_ESCAPE: Final = re.compile(rb"\\(x[0-9A-Fa-f]{2}|[0abfnrtv\\])")
_BYTES: Final = {b"0": b"\0", b"a": b"\a", b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t",
                 b"v": b"\v", b"\\": b"\\"}  # fmt: skip


def unescaped(text: str) -> bytes:
    r"""Return the bytes that `text` stands for: `\x00`, `\n`, `\\` and the like; other backslashes stay."""
    return _ESCAPE.sub(lambda found: _BYTES.get(found[1]) or bytes([int(found[1][1:], 16)]), text.encode())


class UdpDialogue:
    """One datagram, and the first that comes back."""

    awaited = "reply"

    def __init__(self, send: bytes, expect: ReplyPattern | None) -> None:
        self._send = send
        self._expect = expect

    def begin(self) -> DialogueStep:
        """Send the datagram, which may be empty."""
        return DialogueStep(self._send)

    def receive(self, data: bytes) -> DialogueStep:
        """Evaluate the reply."""
        if self._expect is None or self._expect.found_in(data):
            return DialogueStep(result=GOOD)
        reason = f'reply {shown(data)} does not match "{self._expect.text}"'
        return DialogueStep(result=ProbeResult(False, reason))

    def end(self) -> ProbeResult:
        """Return the failure."""
        return ProbeResult(False, "no reply")
