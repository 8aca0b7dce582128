"""A plan as text and as JSON."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from kernelbal.cli.output import coloured, put, say
from kernelbal.model.ipvs import CounterTable
from kernelbal.plan.actions import Action, Outcome, ReplaceTable, Result
from kernelbal.plan.describe import Names, describe
from kernelbal.plan.impact import impact
from kernelbal.plan.result import PendingDrain, Plan

SHOWN_ACTIONS = 200
"""Lines that a plan prints before it asks for --all."""


def print_plan(plan: Plan, names: Names, counters: CounterTable, *, everything: bool = False) -> None:
    """Print the actions with their impact, the drains under way and what is not ours."""
    shown = plan.actions if everything else plan.actions[:SHOWN_ACTIONS]
    for action in shown:
        _print_action(action, names, counters)
    hidden = len(plan.actions) - len(shown)
    if hidden:
        put(f"  ... and {hidden} more (--all shows them)")
    for pending in plan.pending:
        put(f"  draining {pending_text(pending, names)}")
    _print_notes(plan)
    put(summary(plan))


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
        say(f"  note: {len(plan.adopted)} IPVS service(s) were there already and become kernelbal's")
    foreign = plan.foreign
    for key in foreign.services:
        say(f"  foreign service {key}: not kernelbal's, left alone")
    if foreign.tables:
        say(f"  foreign nftables tables: {', '.join(foreign.tables)}; left alone")


def pending_text(pending: PendingDrain, names: Names) -> str:
    """Return what a drain waits for, such as `10.0.0.12:80 of `web`: 12 connections, 40 s left`."""
    service = names.get(pending.key.service) or str(pending.key.service)
    count, left_s = pending.connections, pending.left_s
    return f"{pending.key.destination} of {service}: {count} connections, {left_s:.0f} s left"


def summary(plan: Plan) -> str:
    """Return the counts of a plan in one line."""
    if plan.empty:
        waiting = f"; {len(plan.pending)} draining" if plan.pending else ""
        return f"no changes: the kernel is as the site file wants{waiting}"
    signs = [describe(action, {}).sign for action in plan.actions]
    return f"{signs.count('+')} to add, {signs.count('~')} to change, {signs.count('-')} to remove"


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


def print_failures(outcomes: Iterable[Outcome], names: Names) -> None:
    """Print every action that failed, and why."""
    for outcome in outcomes:
        if outcome.result not in (Result.FAILED, Result.SKIPPED):
            continue
        text = describe(outcome.action, names).text
        say(f"{coloured('FAIL')} {text}: {outcome.result.value}: {outcome.message}")
        if outcome.hint:
            say(f"  hint: {outcome.hint}")
