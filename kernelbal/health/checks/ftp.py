"""FTP (RFC 959): the greeting, and QUIT."""

from __future__ import annotations

from kernelbal.health.checks.dialogue import GOOD, Step
from kernelbal.health.checks.lines import ReplyDialogue


class FtpDialogue(ReplyDialogue):
    """Greeting, QUIT."""

    def reply(self, code: bytes, lines: list[bytes]) -> Step:
        """Judge the greeting and take leave."""
        return self.unless(code, b"220", lines) or Step(b"QUIT\r\n", verdict=GOOD)
