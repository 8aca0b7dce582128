"""Which real servers take new connections (`IP_VS_DEST_F_OVERLOAD` in `ip_vs_conn.c`, and weight 0)."""

from __future__ import annotations

from kernelbal.model.ipvs import DestinationAttributes, DestinationCounters
from kernelbal.plan.explain.result import Availability


def availability(
    attributes: DestinationAttributes, counters: DestinationCounters
) -> tuple[Availability, str]:
    """Return whether a real server takes new connections, and why not.

    At the upper threshold it is out, and it stays out until its connections have fallen below the lower one
    (3/4 of the upper one by default). In between, only the kernel knows which way it came.
    """
    if attributes.weight == 0:
        return Availability.QUIESCED, "weight 0: no new connections"
    upper = attributes.upper_threshold
    connections = counters.active + counters.inactive
    if not upper:
        return Availability.AVAILABLE, ""
    if connections >= upper:
        return Availability.OVERLOADED, f"{connections} connections, at or over its upper threshold {upper}"
    lower = attributes.lower_threshold
    back_in = connections < lower if lower else connections * 4 < upper * 3
    if back_in:
        return Availability.AVAILABLE, ""
    shown = lower or f"3/4 of {upper}"
    return (
        Availability.PERHAPS,
        f"{connections} connections, not below {shown}: out if it has reached {upper} since it last was",
    )
