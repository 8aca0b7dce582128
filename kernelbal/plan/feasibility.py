"""Whether documents would work on this machine: what would not is refused, what may not is a remark."""

from __future__ import annotations

from collections.abc import Collection

from kernelbal.errors import PlanRefused
from kernelbal.model.answers import Remark
from kernelbal.model.node import Node
from kernelbal.model.site import Site
from kernelbal.plan.kind import ObservedState
from kernelbal.plan.kinds.services import IPVS
from kernelbal.plan.reachability import ReachabilityProblem, reachability_problems, unroutable_servers


def remarks_on(
    site: Site,
    node: Node,
    observed: ObservedState,
    *,
    force: bool,
    known: Collection[ReachabilityProblem] = (),
) -> list[Remark]:
    """Return what may not work.

    Args:
        site: the site document.
        node: the node document.
        observed: the kernel.
        force: make a remark of what would not work, too.
        known: problems of the documents that are in force: they are remarks.

    Raises:
        PlanRefused: a virtual service would not get answers back to its clients.
    """
    remarks = []
    if site.virtual_services and not observed.of(IPVS).available:
        message = "this kernel has no IPVS, or did not load its module"
        remarks.append(Remark(message=message, hint="modprobe ip_vs"))
    problems = reachability_problems(site, node, observed)
    refused = [] if force else [each for each in problems if each not in known]
    if refused:
        lines = [f"virtual service `{each.service}`: {each.message}" for each in refused]
        hints = dict.fromkeys(each.hint for each in refused)
        message = "this would not work, and nothing was changed\n  " + "\n  ".join(lines)
        raise PlanRefused(message, "; ".join(hints) + " (--force makes this a warning)")
    for each in (*unroutable_servers(site, observed), *problems):
        message = f"virtual service `{each.service}`: {each.message}"
        remarks.append(Remark(message=message, hint=each.hint))
    return remarks
