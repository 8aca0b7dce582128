"""Plans and what came of them as documents: of the control API and of `--json`; the CLI prints from them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from kernelbal.model.answers import (
    ActionOutcome,
    ApplyDocument,
    PlanDocument,
    PlannedAction,
    PlannedDrain,
)
from kernelbal.plan.action import DONE, Action, Names, Outcome, Result
from kernelbal.plan.kind import Note, ObservedState, PendingDrain
from kernelbal.plan.kinds import DIRECTOR, contents, describe, impact, sign_of
from kernelbal.plan.planning import Plan


def plan_document(plan: Plan, names: Names, observed: ObservedState, most: int | None = None) -> PlanDocument:
    """Return a plan as a document.

    Args:
        plan: what is to be done.
        names: of the virtual services.
        observed: the kernel, by whose counters the impact is judged.
        most: actions that are named; None names all.
    """
    signs = Counter(map(sign_of, plan.actions))
    foreign = plan.noted(Note.FOREIGN)
    return PlanDocument(
        changes=len(plan.actions),
        adds=signs["+"],
        edits=signs["~"],
        removes=signs["-"],
        actions=[planned_action(action, names, observed) for action in plan.actions[:most]],
        draining=[planned_drain(pending, names) for pending in plan.pending],
        foreign={kind.name: _texts(foreign.get(kind.name, ())) for kind in DIRECTOR if kind.notes_foreign},
        borrowed_addresses=_texts(plan.keys(Note.BORROWED)),
        captured_addresses=_texts(plan.keys(Note.CAPTURED)),
        adopted=_texts(plan.keys(Note.ADOPTED)),
        missing_sysctls=_texts(plan.keys(Note.MISSING)),
    )


def left_actions(remaining: Plan, names: Names, most: int | None = None) -> list[PlannedAction]:
    """Return at most `most` of the changes that did not take, as documents; None names all."""
    return [planned_action(action, names, ObservedState()) for action in remaining.actions[:most]]


def planned_action(action: Action, names: Names, observed: ObservedState) -> PlannedAction:
    """Return one change as a document."""
    line = describe(action, names)
    return PlannedAction(
        kind=type(action).__name__,
        sign=line.sign,
        text=line.text,
        impact=impact(action, observed) or None,
        detail=contents(action) or None,
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
    failed = [each for each in outcomes if each.result not in DONE]
    skipped = sum(each.result is Result.SKIPPED for each in failed)
    return ApplyDocument(
        converged=converged,
        changes=len(outcomes) - skipped,
        failed=len(failed) - skipped,
        skipped=skipped,
        outcomes=[outcome_document(each, names) for each in (outcomes if most is None else failed[:most])],
        remaining=len(remaining.actions),
        draining=len(remaining.drains),
    )
