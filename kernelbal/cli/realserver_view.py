"""What `kernelbal realserver` prints."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from kernelbal.cli.output import coloured, put, put_json, say, warn
from kernelbal.model.units import counted
from kernelbal.plan.actions import ReplaceTable
from kernelbal.realserver.steps import Step, WriteFile, describe_step

if TYPE_CHECKING:
    from kernelbal.realserver.preparation import Preparation
    from kernelbal.realserver.run import Prepared, Report

AS_PREPARED = "no changes: this host is prepared"
NOTHING_PREPARED = "no changes: nothing is prepared on this host"


def print_plan(prepared: Prepared) -> None:
    """Print every step, with the contents of tables and files, and how many there are."""
    for step in prepared.steps:
        line = describe_step(step)
        put(f"{coloured(line.sign)} {line.text}")
        for row in _contents(step).splitlines():
            put(f"    {row}".rstrip())
    for each in prepared.preparations:
        if each.method.value == "redirect" and not each.ports:
            say(
                "  note: every port of the virtual address leads to this host; --port names those that should"
            )
    put(_summary(prepared))


def _contents(step: Step) -> str:
    from kernelbal.plan.nft_text import render

    match step:
        case ReplaceTable(_, table) if not table.empty:
            return render(table)
        case WriteFile(_, _, text):
            return text
        case _:
            return ""


def _summary(prepared: Prepared) -> str:
    if not prepared.steps:
        return AS_PREPARED if prepared.preparations else NOTHING_PREPARED
    signs = Counter(describe_step(step).sign for step in prepared.steps)
    return f"{signs['+']} to add, {signs['~']} to change, {signs['-']} to remove"


def put_plan(prepared: Prepared) -> None:
    """Print a plan as one JSON document."""
    put_json(
        {**_prepared_document(prepared), "changes": len(prepared.steps), "steps": _steps(prepared.steps)}
    )


def _prepared_document(prepared: Prepared) -> dict[str, Any]:
    return {
        "preparations": [_preparation(each) for each in prepared.preparations],
        "persist": prepared.persist or None,
    }


def _preparation(each: Preparation) -> dict[str, Any]:
    from kernelbal.model.address import format_address

    tunnel = {"type": each.tunnel.kind.name.lower(), "port": each.tunnel.port} if each.tunnel else None
    return {
        "address": format_address(each.virtual),
        "method": each.method.value,
        "forwarding": each.forwarding,
        "tunnel": tunnel,
        "real": format_address(each.real),
        "own": format_address(each.own) if each.own is not None else None,
        "interfaces": list(each.interfaces),
        "ports": [list(port) for port in each.ports],
        "mtu_bytes": each.mtu_bytes,
        "at_boot": each.at_boot,
    }


def _steps(steps: Sequence[Step]) -> list[dict[str, Any]]:
    return [_step_document(step) for step in steps]


def _step_document(step: Step) -> dict[str, Any]:
    line = describe_step(step)
    return {
        "kind": type(step).__name__,
        "sign": line.sign,
        "text": line.text,
        "contents": _contents(step) or None,
    }


def put_outcomes(report: Report, prepared: Prepared) -> None:
    """Print how a run ended as one JSON document."""
    put_json(
        {
            **_prepared_document(prepared),
            "done": report.done,
            "taken_back": None if report.done else report.taken_back,
            "outcomes": [
                {
                    **_step_document(outcome.step),
                    "ok": outcome.ok,
                    "message": outcome.message or None,
                    "hint": outcome.hint or None,
                }
                for outcome in report.outcomes
            ],
            "warnings": [
                {"message": each.why, "hint": each.telling.hint, "at_boot": each.telling.at_boot}
                for each in report.untold
            ],
        }
    )


def print_conclusion(report: Report, prepared: Prepared, command: str) -> None:
    """Print how a run ended, and what comes next."""
    if not report.done:
        _print_failure(report)
        return
    if report.outcomes and not prepared.preparations:
        put("undone: this host is as it was before")
    elif report.outcomes:
        put(f"applied {counted(len(report.outcomes), 'change')}; this host is prepared")
    for each in report.untold:
        warn(each.why, each.telling.hint)
    if not report.comes_back:
        say("this host is prepared only until its next boot")
    elif report.outcomes and command == "apply":
        say("  next: kernelbal realserver verify")


def _print_failure(report: Report) -> None:
    last = report.outcomes[-1]
    say(f"{coloured('FAIL', stream=sys.stderr)} {describe_step(last.step).text}: {last.message}")
    if last.hint:
        say(f"  hint: {last.hint}")
    if report.taken_back:
        say("nothing was changed: what had been done before the failure was taken back")
    else:
        say("what had been done before the failure could not all be taken back")
        say(
            "  hint: remove the cause, then `kernelbal realserver undo` or apply again: the record has it all"
        )
