"""Grammars of what speaks in lines: HTTP replies, mail, FTP, SSH, agents, output of scripts."""

from __future__ import annotations

from typing import Final

from tests.property.fuzz import Choices

_CODES: Final = (b"220", b"250", b"354", b"421", b"500", b"2 0", b"22", b"2200", b"999")
_WORDS: Final = (
    b"up",
    b"ready",
    b"75%",
    b"0%",
    b"maxconn:30",
    b"drain",
    b"DOWN",
    b"maint",
    b"fail",
    b"stopped",
)
_ODD_WORDS: Final = (
    b"999999999%",
    b"9999999999%",
    b"-1%",
    b"1e9%",
    b"maxconn:",
    b"maxconn:-1",
    b"%",
    b"\xd9\xa3%",
    b"#",
)
_LOADS: Final = (b"0", b"42", b"100", b"101", b"102", b"7.5")
_ODD_LOADS: Final = (
    b"-1",
    b"1e3",
    b"nan",
    b"inf",
    b"100.0001",
    b"999",
    b"1000",
    b"1.",
    b".",
    b"7." + b"9" * 400,
)


def line(choices: Choices, text: bytes) -> bytes:
    """A line, with the end that it has."""
    end = choices.pick((b"\n", b"\r", b"", b"\r\r\n", b"\0\n")) if choices.odd() else b"\r\n"
    return choices.octets(text, 9000) + end


def numbered(choices: Choices, code: bytes, *texts: bytes) -> bytes:
    """A reply of SMTP or FTP in one or more lines."""
    if choices.odd():
        code = choices.pick(_CODES)
    first = b"".join(choices.repeated(line(choices, code + b"-" + text), 1, 1, 1100) for text in texts[:-1])
    return first + line(
        choices, code + (choices.pick((b"-", b"", b"x")) if choices.odd() else b" ") + texts[-1]
    )


def smtp(choices: Choices) -> tuple[bytes, ...]:
    """A server that agrees to STARTTLS."""
    greeting = numbered(choices, b"220", b"mx.example", b"ESMTP")
    offers = numbered(choices, b"250", b"mx.example", b"SIZE 1000", b"STARTTLS", b"HELP")
    return choices.portions(choices.damaged(greeting + offers) + line(choices, b"220 go"))


def ftp(choices: Choices) -> tuple[bytes, ...]:
    """A greeting."""
    return choices.portions(choices.damaged(numbered(choices, b"220", b"ftp.example", b" hello", b"ready")))


def imap(choices: Choices) -> tuple[bytes, ...]:
    """A server that agrees to STARTTLS, perhaps after other lines."""
    greeting = line(choices, b"* " + choices.pick((b"OK", b"PREAUTH")) + b" hello")
    waits = choices.repeated(line(choices, b"* OK Waiting for authentication process"), 0, 0, 5000)
    untagged = choices.repeated(line(choices, b"* CAPABILITY IMAP4rev1"), 1, 3, 5000)
    return choices.portions(choices.damaged(waits + greeting + untagged) + line(choices, b"k1 OK go"))


def pop3(choices: Choices) -> tuple[bytes, ...]:
    """A server that agrees to STLS."""
    return choices.portions(choices.damaged(line(choices, b"+OK hello") + line(choices, b"+OK go")))


def ssh(choices: Choices) -> tuple[bytes, ...]:
    """An identification after other lines."""
    before = choices.repeated(line(choices, b"hello"), 0, 2, 5000)
    version = choices.pick((b"1.5", b"2", b"2.0", b"-", b"9" * 300)) if choices.odd() else b"2.0"
    return choices.portions(choices.damaged(before + line(choices, b"SSH-" + version + b"-OpenSSH_9.9")))


def http(choices: Choices, body: bytes = b"I am alive!") -> tuple[bytes, ...]:
    """A reply whose body has a length, chunks, or the end of the stream after it."""
    interim = choices.repeated(line(choices, b"HTTP/1.1 100 Continue") + line(choices, b""), 0, 1, 200)
    status = (
        choices.pick((b"99", b"101", b"204", b"304", b"404", b"1000", b"-1", b""))
        if choices.odd()
        else b"200"
    )
    version = choices.octets(b"HTTP/1.1", 70000)
    start = line(choices, version + b" " + status + b" OK")
    fields = choices.repeated(line(choices, b"Server: " + choices.octets(b"x", 30000)), 1, 3, 20)
    body = choices.octets(body, 300_000)
    framing, framed = choices.pick((_chunked, _counted, _until_the_end))(choices, body)
    return choices.portions(choices.damaged(interim + start + fields + framing) + framed)


def _until_the_end(choices: Choices, body: bytes) -> tuple[bytes, bytes]:
    return line(choices, b""), choices.damaged(body)


def _counted(choices: Choices, body: bytes) -> tuple[bytes, bytes]:
    count = b"%d" % choices.number(len(body), 70)
    field = choices.repeated(line(choices, b"Content-Length: " + choices.octets(count)), 1, 1, 3)
    return field + line(choices, b""), choices.damaged(body)


def _chunked(choices: Choices, body: bytes) -> tuple[bytes, bytes]:
    coding = line(choices, b"Transfer-Encoding: " + choices.octets(b"chunked", 60000)) + line(choices, b"")
    size = choices.octets(b"%x" % choices.number(len(body), 70), 1100)
    chunk = line(choices, size + choices.octets(b"", 1100)) + body + line(choices, b"")
    if choices.odd():
        chunk += b"1\r\nx\r\n" * choices.up_to(5000)
    return coding, choices.damaged(chunk) + line(choices, b"0") + line(choices, b"")


def text_agent(choices: Choices) -> tuple[bytes, ...]:
    """Words of HAProxy's agent."""
    words = [choices.pick(_ODD_WORDS if choices.odd() else _WORDS) for _ in range(choices.times(1, 4, 300))]
    text = choices.pick((b" ", b",", b"\t", b", ")).join(words)
    reason = b" # " + choices.octets(b"load") if choices.odd() else b""
    return choices.portions(choices.damaged(line(choices, text + reason)))


def http_agent(choices: Choices) -> tuple[bytes, ...]:
    """A number in a reply of HTTP."""
    load = choices.pick(_ODD_LOADS if choices.odd() else _LOADS)
    return http(choices, choices.octets(load) + b"\n")


def script_output(choices: Choices) -> tuple[bytes, ...]:
    """An exit status of two octets, then standard error."""
    status = choices.number(0, 16).to_bytes(2, "big")
    text = choices.repeated(line(choices, b"cannot reach it"), 1, 3, 200)
    return (status, choices.damaged(text)[-4096:])
