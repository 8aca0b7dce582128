"""Why a probe through the virtual address fails: from how it fails, and from the real server's own address.

With direct server return and tunnels a real server must itself accept packets for the virtual address. A
check of its own address cannot see that it does not; a probe through the virtual address can, and the
difference between the two names the likely cause. What each mistake looks like was measured on Linux 7.2; see
`docs/explanation/path-checks.md`.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

from kernelbal.model.choices import ForwardingName
from kernelbal.model.health import Health, ProbeState


class Symptom(Enum):
    """How a probe failed, as far as the path is concerned."""

    SILENCE = "no answer"
    REFUSAL = "the server or a device on the path refused"
    RETURNED = "a router, or the real server itself, had no route for it"
    NO_ROUTE = "this machine has no route"
    ANSWER = "it answered wrongly, or accepted the connection and sent nothing"


_PHRASES: Final = (
    (Symptom.ANSWER, ("another datagram received",)),
    (Symptom.SILENCE, ("waiting for reply", "waiting for dns reply", "waiting for radius reply")),
    (Symptom.ANSWER, ("waiting for",)),
    (Symptom.NO_ROUTE, ("network unreachable", "network is unreachable")),
    (Symptom.RETURNED, ("no route to host", "host unreachable")),
    (Symptom.REFUSAL, ("refused", "unreachable")),
    (Symptom.SILENCE, ("timeout", "timed out", "no answer", "no reply")),
)
"""What the checker's reasons contain; the first that is found counts, others are answers."""

_CAUSES: Final = {
    ForwardingName.DSR: {
        Symptom.SILENCE: "the virtual address is probably missing on its `lo`, or a packet filter drops it",
        Symptom.RETURNED: (
            "the virtual address is probably missing on its `lo`: it forwards packets instead of taking them"
        ),
        Symptom.REFUSAL: "probably nothing listens on the virtual address there",
    },
    ForwardingName.TUNNEL: {
        Symptom.SILENCE: (
            "its tunnel device is probably down, or drops packets (strict rp_filter), "
            "or the virtual address is missing on its `lo`"
        ),
        Symptom.RETURNED: (
            "the virtual address is probably missing on its `lo`: "
            "what comes out of its tunnel is forwarded instead of taken"
        ),
        Symptom.REFUSAL: (
            "probably nothing listens on the virtual address there, or its tunnel device is down or missing"
        ),
    },
}
"""Likely causes where the real server's own address is good."""
_NO_ROUTE_CAUSE: Final = (
    "probes need a route to the virtual address on this director, such as a default route"
)
_ANSWER_CAUSE: Final = "it answers differently on the virtual address than on its own"


def explain_path(
    through: ProbeState, direct: ProbeState | None, forwarding: ForwardingName, failing_s: float = 0.0
) -> str:
    """Return why a real server fails through the virtual address, in one line.

    Args:
        through: state of the probe through the virtual address.
        direct: state of the same probe by the real server's own address; None when there is none.
        forwarding: how the virtual service forwards.
        failing_s: how long the probe through the virtual address had failed when it went down. What its own
            address returned within that time decides whether the path alone is to blame.

    Returns:
        The reason of `through` with the likely cause; that of `direct` when the real server itself is bad;
        empty when `through` has none.
    """
    if not through.reason:
        return ""
    if direct is not None and (direct.health is Health.DOWN or direct.reason):
        return f"{direct.reason or through.reason} (by its own address, too)"
    found = symptom(through.reason)
    if found is Symptom.NO_ROUTE:
        return f"{through.reason}: {_NO_ROUTE_CAUSE}"
    if direct is None or direct.health is Health.UNKNOWN:
        return f"{through.reason} (through the virtual address)"
    cause = _CAUSES.get(forwarding, {}).get(found, _ANSWER_CAUSE)
    if through.health is Health.DOWN and (direct.last_at or 0.0) < through.since_at - failing_s:
        return f"{through.reason}; if it is still good by its own address: {cause}"
    return f"{through.reason}, but good by its own address: {cause}"


def symptom(reason: str) -> Symptom:
    """Return how a probe failed that ended for this reason."""
    lower = reason.lower()
    return next(
        (found for found, phrases in _PHRASES if any(phrase in lower for phrase in phrases)), Symptom.ANSWER
    )
