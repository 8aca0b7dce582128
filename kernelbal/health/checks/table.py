"""What each probe needs: a connection alone, a dialogue over one, datagrams, an echo request, a program."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Final, NamedTuple

from kernelbal.health.checks.dialogue import GOOD, Dialogue, Step, Verdict
from kernelbal.model.check import (
    Asked,
    IcmpCheck,
    NoCheck,
    ScriptCheck,
    TcpCheck,
    TlsCheck,
    TlsSettings,
)
from kernelbal.model.health import Probe, Target

ENTROPY_BYTES: Final = 32
"""Random bytes that a new dialogue takes; no dialogue has randomness of its own."""


class Transport(Enum):
    """How a probe travels."""

    NONE = "none"
    """Nothing is asked: always good."""
    CONNECT = "connect"
    """A TCP connection, closed as soon as it stands; there is no dialogue."""
    STREAM = "stream"
    """A dialogue over a TCP connection."""
    DATAGRAM = "datagram"
    """A dialogue over a connected UDP socket."""
    ICMP = "icmp"
    """An echo request (`icmp.py`); there is no dialogue."""
    SCRIPT = "script"
    """A program (`script.py`); there is no dialogue."""


NewDialogue = Callable[[bytes], Dialogue]
"""Makes the dialogue of one run from `ENTROPY_BYTES` random bytes."""


class ProbeMeans(NamedTuple):
    """What whoever drives a probe must provide.

    Attributes:
        transport: how it travels.
        new_dialogue: for STREAM and DATAGRAM, else None.
        tls: settings, wherever TLS may be spoken; None: never.
        tls_first: whether TLS comes before the first byte, else when a step asks for it.
        server_name: for SNI, or empty. With `tls.verify` the certificate must bear it; when empty its chain
            alone is verified.
        silence_is_good: whether a good probe may end by its timeout.
    """

    transport: Transport
    new_dialogue: NewDialogue | None = None
    tls: TlsSettings | None = None
    tls_first: bool = False
    server_name: str = ""
    silence_is_good: bool = False


class Handshake:
    """The dialogue of a check that wants nothing but the TLS handshake."""

    awaited = "TLS handshake"

    def begin(self) -> Step:
        """Return the verdict: the handshake is behind us."""
        return Step(verdict=GOOD)

    def receive(self, _data: bytes) -> Step:
        """Return the verdict again."""
        return Step(verdict=GOOD)

    def end(self) -> Verdict:
        """Return the verdict again."""
        return GOOD


def _tls(check: TlsCheck, _target: Target) -> ProbeMeans:
    return ProbeMeans(
        Transport.STREAM,
        lambda _entropy: Handshake(),
        check,
        tls_first=True,
        server_name=check.server_name or "",
    )


_MEANS: Final[dict[type[Asked], Callable[..., ProbeMeans]]] = {
    NoCheck: lambda _check, _target: ProbeMeans(Transport.NONE),
    TcpCheck: lambda _check, _target: ProbeMeans(Transport.CONNECT),
    IcmpCheck: lambda _check, _target: ProbeMeans(Transport.ICMP),
    ScriptCheck: lambda _check, _target: ProbeMeans(Transport.SCRIPT),
    TlsCheck: _tls,
}


def plan_of(probe: Probe) -> ProbeMeans:
    """Return what `probe` needs; made once, its dialogues are made anew for each run."""
    return _MEANS[type(probe.protocol)](probe.protocol, probe.target)
