"""Mail servers: SMTP (RFC 5321, RFC 3207), IMAP (RFC 3501), POP3 (RFC 1939, RFC 2595).

A good server greets; with STARTTLS it must also agree to it and complete the handshake. Nobody logs in.
"""

from __future__ import annotations

from typing import Final

from kernelbal.health.checks.dialogue import GOOD, WAIT, DialogueStep, shown
from kernelbal.health.checks.lines import LineDialogue, ReplyDialogue, failed

_GREETING: Final = "greeting"
_EHLO: Final = "answer to EHLO"
_DOVECOT_WAITS: Final = b"* OK Waiting for authentication process"
"""Dovecot sends this before its greeting, or its BYE, when its authentication service does not answer."""


class SmtpDialogue(ReplyDialogue):
    """Greeting, EHLO, perhaps STARTTLS, QUIT."""

    def __init__(self, hello: str, starttls: bool) -> None:
        super().__init__()
        self._hello = f"EHLO {hello}\r\n".encode()
        self._starttls = starttls

    def reply(self, code: bytes, lines: list[bytes]) -> DialogueStep:
        """Go on after a reply, if it is the one expected."""
        if refusal := self.unless(code, b"250" if self.awaited == _EHLO else b"220", lines):
            return refusal
        if self.awaited == _GREETING:
            self.awaited = _EHLO
            return DialogueStep(self._hello)
        if self.awaited != _EHLO:
            return DialogueStep(start_tls=True)
        if not self._starttls:
            return self.encrypted()
        if not any(line[4:].strip().upper() == b"STARTTLS" for line in lines):
            return failed("EHLO does not offer STARTTLS")
        self.awaited = "answer to STARTTLS"
        return DialogueStep(b"STARTTLS\r\n")

    def encrypted(self) -> DialogueStep:
        """Say goodbye."""
        return DialogueStep(b"QUIT\r\n", result=GOOD)


class ImapDialogue(LineDialogue):
    """Greeting, perhaps STARTTLS, LOGOUT."""

    def __init__(self, starttls: bool) -> None:
        super().__init__()
        self._starttls = starttls

    def line(self, line: bytes) -> DialogueStep:
        """Evaluate the greeting or the answer to STARTTLS; skip untagged responses."""
        words = line.upper().split(maxsplit=2)
        if self.awaited == _GREETING:
            if line.startswith(_DOVECOT_WAITS):
                return WAIT
            if words[:1] != [b"*"] or words[1:2] not in ([b"OK"], [b"PREAUTH"]):
                return failed(f"greeting {shown(line)}, expected * OK")
            if not self._starttls:
                return self.encrypted()
            self.awaited = "answer to STARTTLS"
            return DialogueStep(b"k1 STARTTLS\r\n")
        if words[:1] == [b"*"]:
            return WAIT
        if words[:2] != [b"K1", b"OK"]:
            return failed(f"answer to STARTTLS {shown(line)}, expected OK")
        return DialogueStep(start_tls=True)

    def encrypted(self) -> DialogueStep:
        """Say goodbye."""
        return DialogueStep(b"k2 LOGOUT\r\n", result=GOOD)


class Pop3Dialogue(LineDialogue):
    """Greeting, perhaps STLS, QUIT."""

    def __init__(self, starttls: bool) -> None:
        super().__init__()
        self._starttls = starttls

    def line(self, line: bytes) -> DialogueStep:
        """Evaluate the greeting or the answer to STLS."""
        if line[:3].upper() != b"+OK" or line[3:4].strip():
            return failed(f"{self.awaited} {shown(line)}, expected +OK")
        if self.awaited != _GREETING:
            return DialogueStep(start_tls=True)
        if not self._starttls:
            return self.encrypted()
        self.awaited = "answer to STLS"
        return DialogueStep(b"STLS\r\n")

    def encrypted(self) -> DialogueStep:
        """Say goodbye."""
        return DialogueStep(b"QUIT\r\n", result=GOOD)
