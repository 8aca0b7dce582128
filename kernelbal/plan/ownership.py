"""What becomes ours with a plan, and what is still ours after it was applied.

The record is written twice: before the first action it claims everything that the plan will add, so that a
crash in the middle loses nothing; after the last action it is settled to what is really there.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from kernelbal.model.state import DesiredState, ObservedState, Ownership
from kernelbal.plan.actions import (
    EnsureLink,
    Outcome,
    RemoveAddress,
    RemoveLink,
    RemoveService,
    Result,
    SetTimeouts,
    WriteSysctl,
)
from kernelbal.plan.result import Plan


def claim(ownership: Ownership, plan: Plan, desired: DesiredState, observed: ObservedState) -> Ownership:
    """Return the record to write before the plan is performed.

    Addresses that someone else configured stay theirs, even when the site file names them.
    """
    theirs = {a.key for a in observed.addresses if not a.ours and a.key not in ownership.addresses}
    present = {link.name for link in observed.links}
    sysctls = dict(ownership.sysctls)
    timeouts = ownership.timeouts
    links = set(ownership.links)
    for action in plan.actions:
        if isinstance(action, WriteSysctl):
            sysctls.setdefault(action.path, action.old)
        elif isinstance(action, SetTimeouts) and timeouts is None:
            timeouts = action.old
        elif isinstance(action, EnsureLink) and action.link.kind and action.link.name not in present:
            links.add(action.link.name)
    return replace(
        ownership,
        services=ownership.services | desired.services.keys(),
        addresses=ownership.addresses | (desired.addresses.keys() - theirs),
        links=frozenset(links),
        sysctls=sysctls,
        timeouts=timeouts,
        drains=plan.drains,
    )


def settle(ownership: Ownership, outcomes: Iterable[Outcome], desired: DesiredState) -> Ownership:
    """Return the record after the plan was performed: without what is gone."""
    gone = {o.action for o in outcomes if o.result in (Result.DONE, Result.ALREADY) and _removes(o)}
    services = frozenset(a.key for a in gone if isinstance(a, RemoveService))
    addresses = frozenset(a.key for a in gone if isinstance(a, RemoveAddress))
    links = frozenset(a.name for a in gone if isinstance(a, RemoveLink))
    kept = {sysctl.path for sysctl in desired.sysctls}
    restored = {a.path for a in gone if isinstance(a, WriteSysctl)} - kept
    return replace(
        ownership,
        services=ownership.services - services,
        addresses=ownership.addresses - addresses,
        links=ownership.links - links,
        sysctls={path: old for path, old in ownership.sysctls.items() if path not in restored},
    )


def _removes(outcome: Outcome) -> bool:
    return isinstance(outcome.action, RemoveService | RemoveAddress | RemoveLink | WriteSysctl)
