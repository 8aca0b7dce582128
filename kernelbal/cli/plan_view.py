"""A plan as text and as JSON."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from kernelbal.cli.output import coloured, put, say
from kernelbal.model.ipvs import CounterTable
from kernelbal.model.units import counted
from kernelbal.plan.actions import Action, Outcome, ReplaceTable, Result
from kernelbal.plan.describe import Names, describe, sign_of
from kernelbal.plan.impact import impact
from kernelbal.plan.result import PendingDrain, Plan

if TYPE_CHECKING:
    from kernelbal.reconcile.round import Report

SHOWN_KEYS = 5
"""How many objects a note names."""
SHOWN_ACTIONS = 200
"""Lines of a plan, or of failures, that are printed unless all are asked for."""
NO_CHANGES = "no changes: kernel matches site.yaml"


def print_plan(
    plan: Plan,
    names: Names,
    counters: CounterTable,
    *,
    everything: bool = False,
    see_all: str = "`kernelbal plan --all` shows them",
    nothing: str = NO_CHANGES,
) -> None:
    """Print the actions with their impact, the drains under way and what is not ours.

    Args:
        plan: what is printed.
        names: of the virtual services.
        counters: that the impact is judged by.
        everything: print more than `SHOWN_ACTIONS` actions.
        see_all: how to see those that were left out.
        nothing: what to say of a plan without actions.
    """
    shown = plan.actions if everything else plan.actions[:SHOWN_ACTIONS]
    for action in shown:
        _print_action(action, names, counters)
    hidden = len(plan.actions) - len(shown)
    if hidden:
        put(f"  ... and {hidden} more ({see_all})")
    for pending in plan.pending:
        put(f"  draining {pending_text(pending, names)}")
    _print_notes(plan)
    put(summary(plan, nothing))


def _print_action(action: Action, names: Names, counters: CounterTable) -> None:
    line = describe(action, names)
    effect = impact(action, counters)
    put(f"{coloured(line.sign)} {line.text}" + (f"  [{effect}]" if effect else ""))
    if isinstance(action, ReplaceTable) and not action.table.empty:
        from kernelbal.plan.nft_text import render

        put("\n".join(f"    {row}" for row in render(action.table).splitlines()))


def _print_notes(plan: Plan) -> None:
    for path in plan.missing_sysctls:
        say(f"  note: this kernel has no sysctl {path.replace('/', '.')}; left out")
    if plan.adopted:
        adopted = counted(
            len(plan.adopted),
            "IPVS service was there already and becomes",
            "IPVS services were there already and become",
        )
        say(f"  note: {adopted} kernelbal's: {_first(plan.adopted)}")
    if plan.borrowed:
        say(f"  note: configured by someone else, used and left alone: {_first(plan.borrowed)}")
    if plan.captured:
        lost = f"everything that comes to {_first(plan.captured)}, ssh to this director, too"
        say(f"  warning: edge.one_to_one takes {lost}")
        say("  hint: if that is the director's own address, take another `outside`, or forward single ports")
    foreign = plan.foreign
    for key in foreign.services:
        say(f"  foreign service {key}: not kernelbal's, left alone")
    if foreign.tables:
        say(f"  foreign nftables tables: {', '.join(foreign.tables)}; left alone")


def _first(keys: Sequence[object]) -> str:
    more = len(keys) - SHOWN_KEYS
    return ", ".join(map(str, keys[:SHOWN_KEYS])) + (f" and {more} more" if more > 0 else "")


def pending_text(pending: PendingDrain, names: Names) -> str:
    """Return what a drain waits for: real server, virtual service, connections, and for how long."""
    key = pending.key
    service = f"`{names[key.service]}`" if key.service in names else str(key.service)
    connections = counted(pending.connections, "connection")
    return f"{key.destination} of {service}: {connections}, {pending.left_s:.0f} s left"


def summary(plan: Plan, nothing: str = NO_CHANGES) -> str:
    """Return the counts of a plan in one line; `nothing` is what to say when there are none."""
    if plan.empty:
        return nothing + (f"; {len(plan.pending)} draining" if plan.pending else "")
    signs = Counter(map(sign_of, plan.actions))
    return f"{signs['+']} to add, {signs['~']} to change, {signs['-']} to remove"


def plan_document(plan: Plan, names: Names, counters: CounterTable) -> dict[str, Any]:
    """Return a plan as plain data."""
    return {
        "changes": len(plan.actions),
        "actions": [_action_document(action, names, counters) for action in plan.actions],
        "draining": [
            {
                "service": str(p.key.service),
                "real_server": str(p.key.destination),
                "connections": p.connections,
                "left_s": round(p.left_s, 1),
            }
            for p in plan.pending
        ],
        "foreign": {
            "services": [str(key) for key in plan.foreign.services],
            "addresses": [str(key) for key in plan.foreign.addresses],
            "nftables_tables": list(plan.foreign.tables),
        },
        "borrowed_addresses": [str(key) for key in plan.borrowed],
        "captured_addresses": [str(key) for key in plan.captured],
        "adopted": [str(key) for key in plan.adopted],
        "missing_sysctls": list(plan.missing_sysctls),
    }


def _action_document(action: Action, names: Names, counters: CounterTable) -> dict[str, Any]:
    line = describe(action, names)
    return {
        "kind": type(action).__name__,
        "sign": line.sign,
        "text": line.text,
        "impact": impact(action, counters) or None,
    }


def outcome_document(outcome: Outcome, names: Names) -> dict[str, Any]:
    """Return how one action ended as plain data."""
    return {
        "kind": type(outcome.action).__name__,
        "text": describe(outcome.action, names).text,
        "result": outcome.result.value,
        "errno": outcome.errno,
        "message": outcome.message or None,
        "hint": outcome.hint or None,
    }


def print_unfinished(report: Report, names: Names, still: str, command: str) -> None:
    """Print what a round that did not converge left undone: what failed, else what is not as it was set.

    Args:
        report: of the round.
        names: of the virtual services.
        still: what is not as it should be.
        command: what to run when the cause is gone.
    """
    print_failures(report.failed, names)
    left = report.remaining.actions
    say(f"not converged: {still}, {counted(len(left), 'change')} left")
    if not report.failed:
        for action in left[:SHOWN_ACTIONS]:
            line = describe(action, names)
            say(f"{coloured(line.sign, stream=sys.stderr)} {line.text}")
    say(f"  hint: remove the cause and run `kernelbal {command}` again; what was done stays")


def print_failures(failed: Sequence[Outcome], names: Names) -> None:
    """Print the actions that failed or were skipped, and why; a hint once."""
    hints: set[str] = set()
    for outcome in failed[:SHOWN_ACTIONS]:
        text = describe(outcome.action, names).text
        label = "skipped" if outcome.result is Result.SKIPPED else "FAIL"
        say(f"{coloured(label, stream=sys.stderr)} {text}: {outcome.message}")
        if outcome.hint and outcome.hint not in hints:
            say(f"  hint: {outcome.hint}")
            hints.add(outcome.hint)
    if len(failed) > SHOWN_ACTIONS:
        say(f"  ... and {len(failed) - SHOWN_ACTIONS} more")
