"""Why a probe through the virtual address fails, from how it fails and what the real server's own address says.

With direct server return and tunnels a real server must accept packets for the virtual address itself. A
check of its own address cannot see that it does not; a probe through the virtual address can, and the
difference between the two names the likely cause.
"""

from __future__ import annotations

from enum import Enum

from kernelbal.model.health import Health, ProbeState
from kernelbal.model.site import ForwardingName


class Symptom(Enum):
    """How a probe failed, as far as the path is concerned."""

    SILENCE = "silence"
    """Nothing came back."""
    REFUSAL = "refusal"
    """Something on the way, or the real server, said no."""
    ANSWER = "answer"
    """It answered, but not as it should."""


_WORDS = (
    (
        Symptom.SILENCE,
        ("timed out", "timeout", "no answer", "no reply", "no response", "no connection within"),
    ),
    (Symptom.REFUSAL, ("refused", "reset", "unreachable", "no route", "not available")),
)
"""What the checker's reasons contain for each symptom; anything else is an answer."""


def explain_path(through: ProbeState, direct: ProbeState | None, forwarding: ForwardingName) -> str:
    """Return why a real server is not usable through the virtual address, in one line.

    Args:
        through: state of the probe through the virtual address.
        direct: state of the same probe by the real server's own address; None when there is none.
        forwarding: how its virtual service forwards.

    Returns:
        The reason of `through`, with the likely cause; empty when `through` has none.
    """
    if not through.reason:
        return ""
    if direct is None or direct.health is Health.UNKNOWN:
        return f"{through.reason} (through the virtual address)"
    if direct.health is Health.DOWN or direct.reason:
        return direct.reason or through.reason
    return f"{through.reason}; {_cause(symptom(through.reason), forwarding)}"


def symptom(reason: str) -> Symptom:
    """Return how a probe failed that ended for this reason."""
    lower = reason.lower()
    for found, words in _WORDS:
        if any(word in lower for word in words):
            return found
    return Symptom.ANSWER


def _cause(found: Symptom, forwarding: ForwardingName) -> str:
    return f"{found.value} {forwarding.value}"
