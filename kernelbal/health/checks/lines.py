"""Dialogues in lines, and in numbered replies of several lines (RFC 959 4.2, RFC 5321 4.2.1)."""

from __future__ import annotations

import re
from typing import Final

from kernelbal.health.checks.dialogue import MAX_REPLY_BYTES, WAIT, DialogueStep, ProbeResult, shown

MAX_LINE_BYTES: Final = 8192
"""Longest line; more than any protocol here allows."""
MAX_LINES: Final = 4096
"""Most lines of one dialogue: empty ones without end would keep the checker busy."""
MAX_REPLY_LINES: Final = 1000
"""Most lines of one reply."""


def failed(reason: str) -> DialogueStep:
    """Return the step that ends a dialogue with a failure."""
    return DialogueStep(result=ProbeResult(False, reason))


def is_tls(data: bytes | bytearray) -> bool:
    """Whether `data`, of at least two bytes, begins like a TLS record (RFC 8446 5.1)."""
    return data[1:2] == b"\x03" and 20 <= data[0] <= 23


class LineDialogue:
    """Base class of dialogues in which every message is a line.

    Attributes:
        awaited: what the next line answers.
    """

    def __init__(self, awaited: str = "greeting") -> None:
        self.awaited = awaited
        self._buffer = bytearray()
        self._scanned = 0
        self._taken_bytes = 0
        self._taken_lines = 0

    def begin(self) -> DialogueStep:
        """Wait: in these protocols the server speaks first."""
        return WAIT

    def line(self, line: bytes) -> DialogueStep:
        """Take one line, without its end."""
        raise NotImplementedError

    def encrypted(self) -> DialogueStep:
        """Continue after the TLS handshake that a step requested."""
        raise NotImplementedError

    def receive(self, data: bytes) -> DialogueStep:
        """Take received bytes, and handle every complete line."""
        if not data:
            return self.encrypted()
        self._buffer += data
        send = b""
        while (step := self._next()) is not None:
            send += step.send
            if step.start_tls and self._buffer:
                return failed(f"data after the {self.awaited} before TLS started")
            if step.result is not None or step.start_tls:
                return step._replace(send=send)
        return DialogueStep(send) if send else WAIT

    def end(self) -> ProbeResult:
        """Return the failure: the stream ended too early."""
        came = f" after {shown(bytes(self._buffer))}" if self._buffer else ""
        return ProbeResult(False, f"connection closed{came}, expected {self.awaited}")

    def _next(self) -> DialogueStep | None:
        """Return what follows from the next line; None when it is not complete."""
        if not self._taken_bytes and len(self._buffer) > 1 and is_tls(self._buffer):
            return failed(f"received TLS, expected {self.awaited} in clear")
        end = self._buffer.find(b"\n", self._scanned, MAX_LINE_BYTES + 1)
        if end < 0:
            self._scanned = len(self._buffer)
            if self._scanned <= MAX_LINE_BYTES:
                return None
            return failed(f"line of over {MAX_LINE_BYTES} bytes, expected {self.awaited}")
        line = bytes(self._buffer[:end]).removesuffix(b"\r")
        del self._buffer[: end + 1]
        self._scanned = 0
        self._taken_bytes += end + 1
        self._taken_lines += 1
        if self._taken_bytes > MAX_REPLY_BYTES:
            return failed(f"received over {MAX_REPLY_BYTES} bytes, expected {self.awaited}")
        if self._taken_lines > MAX_LINES:
            return failed(f"received over {MAX_LINES} lines, expected {self.awaited}")
        return self.line(line)


_REPLY: Final = re.compile(rb"([1-5][0-9]{2})([ -]|$)")


class ReplyDialogue(LineDialogue):
    """Base class of dialogues in numbered replies of one or more lines: SMTP and FTP."""

    def __init__(self) -> None:
        super().__init__()
        self._lines: list[bytes] = []

    def reply(self, code: bytes, lines: list[bytes]) -> DialogueStep:
        """Take one whole reply: its number and its lines."""
        raise NotImplementedError

    def line(self, line: bytes) -> DialogueStep:
        """Collect lines to replies."""
        parts = _REPLY.match(line)
        if not self._lines and parts is None:
            return failed(f"{self.awaited} {shown(line)}, expected three digits")
        self._lines.append(line)
        if len(self._lines) > MAX_REPLY_LINES:
            return failed(f"{self.awaited} of over {MAX_REPLY_LINES} lines")
        code = self._lines[0][:3]
        if parts is None or parts[1] != code or parts[2] == b"-":
            return WAIT
        lines, self._lines = self._lines, []
        return self.reply(code, lines)

    def unless(self, code: bytes, expected: bytes, lines: list[bytes]) -> DialogueStep | None:
        """Return the failure when a reply's number is not the one expected."""
        if code == expected:
            return None
        return failed(f"{self.awaited} {shown(lines[0])}, expected {expected.decode()}")
