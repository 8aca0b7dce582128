"""Plans and what came of them as documents: of the control API and of `--json`; the CLI prints from them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from kernelbal.model.answers import (
    ActionOutcome,
    ApplyDocument,
    ForeignObjects,
    PlanDocument,
    PlannedAction,
    PlannedDrain,
)
from kernelbal.model.ipvs import CounterTable
from kernelbal.plan.actions import Action, Outcome, ReplaceTable, Result
from kernelbal.plan.describe import Names, describe, sign_of
from kernelbal.plan.impact import impact
from kernelbal.plan.nft_text import render
from kernelbal.plan.result import PendingDrain, Plan


def plan_document(plan: Plan, names: Names, counters: CounterTable, most: int | None = None) -> PlanDocument:
    """Return a plan as a document.

    Args:
        plan: what is to be done.
        names: of the virtual services.
        counters: that the impact is judged by.
        most: actions that are named; None names all.
    """
    signs = Counter(map(sign_of, plan.actions))
    foreign = plan.foreign
    return PlanDocument(
        changes=len(plan.actions),
        adds=signs["+"],
        edits=signs["~"],
        removes=signs["-"],
        actions=[planned_action(action, names, counters) for action in plan.actions[:most]],
        draining=[planned_drain(pending, names) for pending in plan.pending],
        foreign=ForeignObjects(
            services=_texts(foreign.services),
            addresses=_texts(foreign.addresses),
            nftables_tables=list(foreign.tables),
        ),
        borrowed_addresses=_texts(plan.borrowed),
        captured_addresses=_texts(plan.captured),
        adopted=_texts(plan.adopted),
        missing_sysctls=list(plan.missing_sysctls),
    )


def left_actions(remaining: Plan, names: Names, most: int | None = None) -> list[PlannedAction]:
    """Return at most `most` of the changes that did not take, as documents; None names all."""
    return [planned_action(action, names, {}) for action in remaining.actions[:most]]


def planned_action(action: Action, names: Names, counters: CounterTable) -> PlannedAction:
    """Return one change as a document."""
    line = describe(action, names)
    table = action.table if isinstance(action, ReplaceTable) and not action.table.empty else None
    return PlannedAction(
        kind=type(action).__name__,
        sign=line.sign,
        text=line.text,
        impact=impact(action, counters) or None,
        detail=None if table is None else render(table),
    )


def planned_drain(pending: PendingDrain, names: Names) -> PlannedDrain:
    """Return a drain as a document."""
    key = pending.key
    return PlannedDrain(
        service=str(key.service),
        name=names.get(key.service),
        real_server=str(key.destination),
        connections=pending.connections,
        left_s=round(pending.left_s, 1),
    )


def outcome_document(outcome: Outcome, names: Names) -> ActionOutcome:
    """Return how one action ended as a document."""
    return ActionOutcome(
        kind=type(outcome.action).__name__,
        text=describe(outcome.action, names).text,
        result=outcome.result.value,
        errno=outcome.errno,
        message=outcome.message or None,
        hint=outcome.hint or None,
    )


def _texts(keys: Iterable[object]) -> list[str]:
    return [str(key) for key in keys]


def apply_document(
    outcomes: Sequence[Outcome], remaining: Plan, names: Names, *, converged: bool, most: int | None = None
) -> ApplyDocument:
    """Return how an apply ended as a document.

    Args:
        outcomes: one per action.
        remaining: what would still have to be done.
        names: of the virtual services.
        converged: whether a second look at the kernel found nothing left to do.
        most: outcomes that are named, failures only; None names all.
    """
    failed = [each for each in outcomes if each.result in (Result.FAILED, Result.SKIPPED)]
    return ApplyDocument(
        converged=converged,
        changes=len(outcomes),
        failed=len(failed),
        outcomes=[outcome_document(each, names) for each in (outcomes if most is None else failed[:most])],
        remaining=len(remaining.actions),
        draining=len(remaining.drains),
    )
