"""What becomes ours with a plan, and what is still ours after it was applied.

The record is written twice: before the first action it claims everything that the plan will add, so that a
crash in the middle loses nothing; after the last action it is settled to what is really there.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from kernelbal.model.ipvs import ServiceKey, Timeouts
from kernelbal.model.network import AddressKey
from kernelbal.model.state import DesiredState, ObservedState, Ownership
from kernelbal.plan.actions import (
    AddAddress,
    EnsureLink,
    Outcome,
    RemoveAddress,
    RemoveLink,
    RemoveService,
    Result,
    SetTimeouts,
    WriteSysctl,
)
from kernelbal.plan.result import DEFAULT_OPTIONS, Plan


def claim(ownership: Ownership, plan: Plan, desired: DesiredState, observed: ObservedState) -> Ownership:
    """Return the record to write before the plan is performed.

    Addresses that someone else configured stay theirs, even when the site file names them. What is neither
    wanted nor there any more is forgotten: who makes it anew is its owner.
    """
    known = _still_there(ownership, desired, observed)
    return replace(
        known,
        services=known.services | desired.services.keys(),
        addresses=known.addresses | _addresses_of(plan, desired, observed),
        links=known.links | _links_of(plan, observed),
        sysctls=_first_values(plan, observed) | known.sysctls,
        timeouts=known.timeouts or _first_timeouts(plan),
        drains=plan.drains,
        drain_s=_drain_times(known, desired),
    )


def _drain_times(known: Ownership, desired: DesiredState) -> dict[ServiceKey, float]:
    """What is removed later drains as the site file said when it still had it."""
    usual = DEFAULT_OPTIONS.default_drain_s
    gone = {key: drain_s for key, drain_s in known.drain_s.items() if key not in desired.services}
    return gone | {key: each.drain_s for key, each in desired.policies.items() if each.drain_s != usual}


def _addresses_of(plan: Plan, desired: DesiredState, observed: ObservedState) -> set[AddressKey]:
    marked = {have.key for have in observed.addresses if have.ours and have.key in desired.addresses}
    return marked | {action.key for action in plan.actions if isinstance(action, AddAddress)}


def _links_of(plan: Plan, observed: ObservedState) -> set[str]:
    present = {link.name for link in observed.links}
    links = [action.link for action in plan.actions if isinstance(action, EnsureLink)]
    return {link.name for link in links if link.kind and link.name not in present}


def _first_values(plan: Plan, observed: ObservedState) -> dict[str, str]:
    """A sysctl that the kernel lacks has no value to come back to."""
    writes = [action for action in plan.actions if isinstance(action, WriteSysctl)]
    return {write.path: write.old for write in writes if observed.sysctls.get(write.path) is not None}


def _first_timeouts(plan: Plan) -> Timeouts | None:
    """The timeouts before the plan; the kernel's defaults when IPVS was not there to be asked."""
    changes = [action for action in plan.actions if isinstance(action, SetTimeouts)]
    return (changes[0].old or Timeouts()) if changes else None


def _still_there(ownership: Ownership, desired: DesiredState, observed: ObservedState) -> Ownership:
    """Return the record without what is no longer wanted and has gone, or has its first value again."""
    kept = {sysctl.path for sysctl in desired.sysctls}
    restored = desired.timeouts is None and ownership.timeouts == observed.timeouts
    return replace(
        ownership,
        services=ownership.services & observed.services.keys(),
        addresses=ownership.addresses & {address.key for address in observed.addresses},
        links=ownership.links & {link.name for link in observed.links},
        sysctls={
            path: first
            for path, first in ownership.sysctls.items()
            if path in kept or observed.sysctls.get(path) not in (None, first)
        },
        timeouts=None if restored else ownership.timeouts,
        drain_s={key: drain_s for key, drain_s in ownership.drain_s.items() if key in observed.services},
    )


def settle(ownership: Ownership, outcomes: Iterable[Outcome], desired: DesiredState) -> Ownership:
    """Return the record after the plan was performed: without what is gone."""
    gone = {o.action for o in outcomes if o.result in (Result.DONE, Result.ALREADY) and _removes(o)}
    services = frozenset(a.key for a in gone if isinstance(a, RemoveService))
    addresses = frozenset(a.key for a in gone if isinstance(a, RemoveAddress))
    links = frozenset(a.name for a in gone if isinstance(a, RemoveLink))
    kept = {sysctl.path for sysctl in desired.sysctls}
    restored = {a.path for a in gone if isinstance(a, WriteSysctl)} - kept
    first_timeouts = desired.timeouts is None and any(isinstance(a, SetTimeouts) for a in gone)
    return replace(
        ownership,
        services=ownership.services - services,
        addresses=ownership.addresses - addresses,
        links=ownership.links - links,
        sysctls={path: old for path, old in ownership.sysctls.items() if path not in restored},
        timeouts=None if first_timeouts else ownership.timeouts,
        drain_s={key: drain_s for key, drain_s in ownership.drain_s.items() if key not in services},
    )


def _removes(outcome: Outcome) -> bool:
    return isinstance(outcome.action, RemoveService | RemoveAddress | RemoveLink | WriteSysctl | SetTimeouts)
