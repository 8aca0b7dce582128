"""Whether the packet comes to this director's IPVS: only what is addressed to the host itself does."""

from __future__ import annotations

from kernelbal.model.address import Address, format_address
from kernelbal.model.network import Route
from kernelbal.plan.explain.query import ExplainQuery, FactSource, KernelView
from kernelbal.plan.explain.result import StepTopic, StepVerdict, TraceStep
from kernelbal.plan.explain.translate import route_of
from kernelbal.plan.reachability import RouteTable


def arrival(query: ExplainQuery, view: KernelView, routes: RouteTable) -> TraceStep:
    """Return whether the virtual address is local, and who has it where it is not.

    IPVS looks at packets in the input hook alone (`ip_vs_core.c`), which only local addresses reach.
    """
    shown = format_address(query.virtual)
    held = view.local(query.virtual)
    if held is not None:
        verb = "is" if view.live else "will be"
        reason = f"{shown} {verb} an address of this director, on {held.device}"
        return TraceStep(StepTopic.ADDRESS, StepVerdict.LOCAL, reason, view.source)
    wanted = next((key for key in view.wanted_addresses if key.address == query.virtual), None)
    if wanted is not None:
        reason = (
            f"this director does not hold {shown} now; the site file puts it on {wanted.device}, which"
            " `kernelbal apply` does"
        )
        return TraceStep(StepTopic.ADDRESS, StepVerdict.ELSEWHERE, reason, FactSource.SITE_FILE)
    way = route_of(view, routes, query.client, query.virtual)
    holder = _holder(query.virtual, way)
    reason = f"this director does not hold {shown}: {holder}"
    return TraceStep(StepTopic.ADDRESS, StepVerdict.ELSEWHERE, reason, view.source)


def _holder(address: Address, route: Route | None) -> str:
    if route is None:
        return "it has no route to it either, so it would answer `network unreachable`"
    if route.gateway is not None:
        return f"it forwards the packet through {format_address(route.gateway)} on {route.device}"
    protocol = "ARP" if len(address) == 4 else "neighbour discovery"
    return f"the host that answers {protocol} for it on the segment of {route.device} gets the packets"
