"""A plan, and how an apply ended, as text."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence

from kernelbal.cli.output import coloured, put, say, warn
from kernelbal.model.answers import (
    ActionOutcome,
    ApplyDocument,
    PlanDocument,
    PlannedAction,
    PlannedDrain,
    Remark,
)
from kernelbal.model.units import counted
from kernelbal.plan.kinds import DIRECTOR

SHOWN_KEYS = 5
"""How many objects a note names."""
SHOWN_ACTIONS = 200
"""Lines of a plan, or of failures, that are printed unless all are asked for."""
CONVERGED = "no changes: kernel matches site.yaml"


def print_remarks(remarks: Iterable[Remark]) -> None:
    """Print what may not work."""
    for remark in remarks:
        warn(remark.message, remark.hint or None)


def print_plan(
    plan: PlanDocument, *, see_all: str = "`kernelbal plan --all` shows them", nothing: str = CONVERGED
) -> None:
    """Print the actions with their impact, the drains under way and what is not ours.

    Args:
        plan: what is printed.
        see_all: how to see actions that are not named in it.
        nothing: what to print for a plan without actions.
    """
    for action in plan.actions:
        effect = f"  [{action.impact}]" if action.impact else ""
        put(f"{coloured(action.sign)} {action.text}{effect}")
        if action.detail:
            put("\n".join(f"    {row}" for row in action.detail.splitlines()))
    hidden = plan.changes - len(plan.actions)
    if hidden:
        put(f"  ... and {hidden} more ({see_all})")
    for drain in plan.draining:
        put(f"  draining {drain_text(drain)}")
    _print_notes(plan)
    put(summary(plan, nothing))


def _print_notes(plan: PlanDocument) -> None:
    for path in plan.missing_sysctls:
        say(f"  note: this kernel has no sysctl {path.replace('/', '.')}; left out")
    if plan.adopted:
        adopted = counted(
            len(plan.adopted),
            "IPVS service was there already and becomes",
            "IPVS services were there already and become",
        )
        say(f"  note: {adopted} kernelbal's: {_first(plan.adopted)}")
    if plan.borrowed_addresses:
        borrowed = _first(plan.borrowed_addresses)
        say(f"  note: configured by someone else, used and left alone: {borrowed}")
    if plan.captured_addresses:
        lost = f"everything that comes to {_first(plan.captured_addresses)}, ssh to this director, too"
        say(f"  warning: edge.one_to_one takes {lost}")
        say("  hint: if that is the director's own address, take another `outside`, or forward single ports")
    for kind in DIRECTOR:
        if kind.prints_foreign:
            for key in plan.foreign.get(kind.name, ()):
                say(f"  foreign {kind.title} {key}: not kernelbal's, left alone")


def _first(keys: Sequence[str]) -> str:
    more = len(keys) - SHOWN_KEYS
    return ", ".join(keys[:SHOWN_KEYS]) + (f" and {more} more" if more > 0 else "")


def drain_text(drain: PlannedDrain) -> str:
    """Return what a drain waits for: real server, virtual service, connections, and for how long."""
    service = f"`{drain.name}`" if drain.name else drain.service
    connections = counted(drain.connections, "connection")
    return f"{drain.real_server} of {service}: {connections}, {drain.left_s:.0f} s left"


def summary(plan: PlanDocument, nothing: str = CONVERGED) -> str:
    """Return the counts of a plan in one line; `nothing` is for a plan without actions."""
    if not plan.changes:
        return nothing + (f"; {len(plan.draining)} draining" if plan.draining else "")
    return f"{plan.adds} to add, {plan.edits} to change, {plan.removes} to remove"


def print_unfinished(report: ApplyDocument, left: Sequence[PlannedAction], still: str, command: str) -> None:
    """Print what a round that did not converge left undone: what failed, else what is not as it was set.

    Args:
        report: of the round.
        left: changes that did not take.
        still: what is not as it should be.
        command: what to run when the cause is gone.
    """
    print_failures(report)
    say(f"not converged: {still}, {counted(report.remaining, 'change')} left")
    if not report.failed:
        for action in left[:SHOWN_ACTIONS]:
            say(f"{coloured(action.sign, stream=sys.stderr)} {action.text}")
    say(f"  hint: remove the cause and run `kernelbal {command}` again; what was done stays")


def print_failures(report: ApplyDocument) -> None:
    """Print the actions that failed or were skipped, and why; a hint once."""
    failed = [each for each in report.outcomes if each.failed][:SHOWN_ACTIONS]
    hints: set[str] = set()
    for outcome in failed:
        say(f"{coloured(_label(outcome), stream=sys.stderr)} {outcome.text}: {outcome.message}")
        if outcome.hint and outcome.hint not in hints:
            say(f"  hint: {outcome.hint}")
            hints.add(outcome.hint)
    if more := report.failed + report.skipped - len(failed):
        say(f"  ... and {more} more")


def _label(outcome: ActionOutcome) -> str:
    return "skipped" if outcome.result == "skipped" else "FAIL"
