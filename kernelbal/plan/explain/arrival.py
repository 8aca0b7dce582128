"""Whether the packet comes to this director's IPVS: only what is addressed to the host itself does."""

from __future__ import annotations

from kernelbal.model.address import Address, format_address
from kernelbal.model.network import Route
from kernelbal.plan.explain.question import Question, Source, View
from kernelbal.plan.explain.result import Step, Topic, Verdict
from kernelbal.plan.explain.translate import route_of
from kernelbal.plan.reachability import RouteTable


def arrival(question: Question, view: View, routes: RouteTable) -> Step:
    """Return whether the virtual address is local, and who has it where it is not.

    IPVS looks at packets in the input hook alone (`ip_vs_core.c`), which only local addresses reach.
    """
    shown = format_address(question.virtual)
    held = view.local(question.virtual)
    if held is not None:
        verb = "is" if view.live else "will be"
        reason = f"{shown} {verb} an address of this director, on {held.device}"
        return Step(Topic.ADDRESS, Verdict.LOCAL, reason, view.source)
    wanted = next((key for key in view.wanted_addresses if key.address == question.virtual), None)
    if wanted is not None:
        reason = (
            f"this director does not hold {shown} now; the site file puts it on {wanted.device}, which"
            " `kernelbal apply` does"
        )
        return Step(Topic.ADDRESS, Verdict.ELSEWHERE, reason, Source.SITE_FILE)
    way = route_of(view, routes, question.client, question.virtual)
    holder = _holder(question.virtual, way)
    reason = f"this director does not hold {shown}: {holder}"
    return Step(Topic.ADDRESS, Verdict.ELSEWHERE, reason, view.source)


def _holder(address: Address, route: Route | None) -> str:
    if route is None:
        return "it has no route to it either, so it would answer `network unreachable`"
    if route.gateway is not None:
        return f"it routes it on through {format_address(route.gateway)} on {route.device}"
    protocol = "ARP" if len(address) == 4 else "neighbour discovery"
    return f"whoever answers {protocol} for it on the segment of {route.device} gets the packets"
