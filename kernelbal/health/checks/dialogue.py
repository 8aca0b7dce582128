"""What every stream check is: a conversation that is told what came in and says what to do next.

A dialogue has no socket and no clock. Whoever drives it connects, sends `Step.send`, starts TLS when asked,
feeds what arrives to `receive`, and tells the end of the stream by `end`. It is over at the first verdict.
"""

from __future__ import annotations

import re
from typing import AnyStr, NamedTuple, Protocol

from kernelbal.model.health import Reading

MAX_REPLY_BYTES = 256 * 1024
"""Most of a reply that a dialogue looks at; a longer one is judged by what came so far, or fails."""


class Verdict(NamedTuple):
    """What a probe found.

    Attributes:
        good: whether the real server is as it should be.
        reason: why not, in a few words that name what was expected and what came; empty when good.
        warning: good, but not for long.
        reading: what an agent said.
    """

    good: bool
    reason: str = ""
    warning: str = ""
    reading: Reading | None = None


GOOD = Verdict(True)


class Step(NamedTuple):
    """What to do next; nothing of all is to wait for more.

    Attributes:
        send: bytes to send first.
        start_tls: begin a TLS handshake once they are sent; `receive(b"")` tells that it is done.
        verdict: the end, once `send` is sent as far as the socket takes it at once.
    """

    send: bytes = b""
    start_tls: bool = False
    verdict: Verdict | None = None


WAIT = Step()


class Dialogue(Protocol):
    """One conversation over a stream, or one exchange of datagrams (each `receive` is a datagram)."""

    @property
    def awaited(self) -> str:
        """What it waits for, for the words of a timeout, such as `greeting` or `answer to EHLO`."""
        ...

    def begin(self) -> Step:
        """Return the first step, once connected (and encrypted, where TLS comes first).

        Of datagrams, what it sends is one even when it is empty.
        """
        ...

    def receive(self, data: bytes) -> Step:
        """Take what arrived, in any portions; nothing, when a TLS handshake that it asked for is done.

        It never raises, and keeps at most `MAX_REPLY_BYTES` and one portion.
        """
        ...

    def end(self) -> Verdict:
        """Return the verdict when the other side closes the stream."""
        ...


def shown(data: bytes, limit: int = 60) -> str:
    """Return what came in, in quotes, short and printable."""
    text = data[: limit + 1].decode("utf-8", "replace")
    cut = text if len(text) <= limit else text[:limit] + "..."
    return '"' + "".join(c if c.isprintable() else "." for c in cut.strip()) + '"'


def compiled(pattern: AnyStr) -> re.Pattern[AnyStr]:
    """Return a regular expression in which `.` matches line ends too.

    Raises:
        ValueError: it is none.
    """
    try:
        return re.compile(pattern, re.DOTALL)
    except re.error as error:
        raise ValueError(f"no regular expression: {error}") from error
