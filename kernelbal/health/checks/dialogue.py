"""Dialogues: the protocol of a check as a state machine, from received bytes to the next step.

A dialogue has no socket and no clock. Its driver connects, sends `DialogueStep.send`, starts TLS when asked,
feeds received bytes to `receive`, and calls `end` at the end of the stream. The first result ends it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple, Protocol

from kernelbal.model.health import AgentReading
from kernelbal.model.text import one_line

MAX_REPLY_BYTES = 256 * 1024
"""Most of a reply that a dialogue looks at; a longer one is judged by what came so far, or fails."""
_HIDDEN: Final = b"(hidden)"
_LEAST_SECRET_BYTES: Final = 4


class ProbeResult(NamedTuple):
    """The result of one run of a probe.

    Attributes:
        good: whether the real server passed.
        reason: why not: what was received and what was expected; empty when good.
        warning: good, but not for long.
        reading: what an agent reported.
    """

    good: bool
    reason: str = ""
    warning: str = ""
    reading: AgentReading | None = None


GOOD = ProbeResult(True)


class DialogueStep(NamedTuple):
    """What the driver does next; an empty step waits for more.

    Attributes:
        send: bytes to send first.
        start_tls: begin a TLS handshake once they are sent; `receive(b"")` reports its completion.
        result: the end, once `send` is sent as far as the socket takes it at once.
    """

    send: bytes = b""
    start_tls: bool = False
    result: ProbeResult | None = None


WAIT = DialogueStep()


class Dialogue(Protocol):
    """One conversation over a stream, or one exchange of datagrams (each `receive` is a datagram)."""

    @property
    def awaited(self) -> str:
        """What it waits for, for the reason of a timeout: `greeting`, `answer to EHLO`."""
        ...

    def begin(self) -> DialogueStep:
        """Return the first step, once connected (and encrypted, where TLS comes first).

        Of datagrams, what it sends is one even when it is empty.
        """
        ...

    def receive(self, data: bytes) -> DialogueStep:
        """Take received bytes, in any portions; empty once a TLS handshake that it asked for is done.

        It never raises, and keeps at most `MAX_REPLY_BYTES` and one portion.
        """
        ...

    def end(self) -> ProbeResult:
        """Return the result at the end of the stream."""
        ...


def shown(data: bytes, limit: int = 60, secrets: Sequence[bytes] = ()) -> str:
    """Return received bytes in quotes, shortened and printable.

    Args:
        data: from the start of what is shown.
        limit: characters.
        secrets: that were sent; a server may send them back.
    """
    data = data[: 4 * limit + 1]
    for secret in secrets:
        data = _without(data, secret)
    return f'"{one_line(data.decode("utf-8", "surrogateescape").strip(), limit)}"'


def _without(data: bytes, secret: bytes) -> bytes:
    """Hide a secret, at the end also a part of it; one of few bytes is in every text, and none."""
    if len(secret) < _LEAST_SECRET_BYTES:
        return data
    data = data.replace(secret, _HIDDEN)
    for size in range(min(len(secret) - 1, len(data)), _LEAST_SECRET_BYTES - 1, -1):
        if data.endswith(secret[:size]):
            return data[:-size] + _HIDDEN
    return data
