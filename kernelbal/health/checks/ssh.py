"""SSH (RFC 4253 4.2): the identification string, perhaps after other lines. No key exchange follows.

Ours is sent before leaving: OpenSSH logs an error for clients that leave without one.
"""

from __future__ import annotations

import re
from typing import Final

from kernelbal.health.checks.dialogue import GOOD, WAIT, DialogueStep, shown
from kernelbal.health.checks.lines import LineDialogue, failed

OURS: Final = b"SSH-2.0-kernelbal\r\n"
_IDENTIFICATION: Final = re.compile(rb"SSH-(2\.0|1\.99)-.")


class SshDialogue(LineDialogue):
    """Wait for the identification of a server that speaks protocol 2.0."""

    def __init__(self) -> None:
        super().__init__("SSH identification")

    def line(self, line: bytes) -> DialogueStep:
        """Evaluate the identification; pass over lines before it."""
        if not line.startswith(b"SSH-"):
            return WAIT
        if not _IDENTIFICATION.match(line):
            return failed(f"identification {shown(line)}, expected SSH-2.0-")
        return DialogueStep(OURS, result=GOOD)
