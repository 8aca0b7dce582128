"""FTP (RFC 959): the greeting, and QUIT."""

from __future__ import annotations

from kernelbal.health.checks.dialogue import GOOD, DialogueStep
from kernelbal.health.checks.lines import ReplyDialogue


class FtpDialogue(ReplyDialogue):
    """Greeting, QUIT."""

    def reply(self, code: bytes, lines: list[bytes]) -> DialogueStep:
        """Evaluate the greeting and quit."""
        return self.unless(code, b"220", lines) or DialogueStep(b"QUIT\r\n", result=GOOD)
