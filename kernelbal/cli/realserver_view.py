"""What `kernelbal realserver` prints."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from kernelbal.cli.output import coloured, put, put_json, say, warn
from kernelbal.model.units import counted
from kernelbal.plan.action import Action, Result
from kernelbal.plan.kinds import contents, describe, sign_of

if TYPE_CHECKING:
    from kernelbal.realserver.preparation import Preparation
    from kernelbal.realserver.run import PreparedRun, RunReport

AS_PREPARED = "no changes: this host is prepared"
NOTHING_PREPARED = "no changes: nothing is prepared on this host"


def print_plan(prepared: PreparedRun) -> None:
    """Print every step, with the contents of tables and files, and how many there are."""
    for action in prepared.plan.actions:
        line = describe(action, {})
        put(f"{coloured(line.sign)} {line.text}")
        for row in contents(action).splitlines():
            put(f"    {row}".rstrip())
    for each in prepared.preparations:
        if each.method.value == "redirect" and not each.ports:
            say(
                "  note: every port of the virtual address leads to this host; --port names those that should"
            )
    put(_summary(prepared))


def _summary(prepared: PreparedRun) -> str:
    if not prepared.plan.actions:
        return AS_PREPARED if prepared.preparations else NOTHING_PREPARED
    signs = Counter(map(sign_of, prepared.plan.actions))
    return f"{signs['+']} to add, {signs['~']} to change, {signs['-']} to remove"


def put_plan(prepared: PreparedRun) -> None:
    """Print a plan as one JSON document."""
    put_json(
        {
            **_prepared_document(prepared),
            "changes": len(prepared.plan.actions),
            "steps": _steps(prepared.plan.actions),
        }
    )


def _prepared_document(prepared: PreparedRun) -> dict[str, Any]:
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


def _steps(actions: Sequence[Action]) -> list[dict[str, Any]]:
    return [_step_document(action) for action in actions]


def _step_document(action: Action) -> dict[str, Any]:
    line = describe(action, {})
    return {
        "kind": type(action).__name__,
        "sign": line.sign,
        "text": line.text,
        "contents": contents(action) or None,
    }


def put_outcomes(report: RunReport, prepared: PreparedRun) -> None:
    """Print how a run ended as one JSON document."""
    put_json(
        {
            **_prepared_document(prepared),
            "done": report.done,
            "taken_back": None if report.done else report.taken_back,
            "outcomes": [
                {
                    **_step_document(outcome.action),
                    "ok": outcome.result is not Result.FAILED,
                    "message": outcome.message or None,
                    "hint": outcome.hint or None,
                }
                for outcome in report.outcomes
            ],
            "warnings": [
                {"message": each.why, "hint": each.notification.hint, "at_boot": each.notification.at_boot}
                for each in report.unnotified
            ],
        }
    )


def print_conclusion(report: RunReport, prepared: PreparedRun, command: str) -> None:
    """Print how a run ended, and what comes next."""
    if not report.done:
        _print_failure(report)
        return
    if report.outcomes and not prepared.preparations:
        put("undone: this host is as it was before")
    elif report.outcomes:
        put(f"applied {counted(len(report.outcomes), 'change')}; this host is prepared")
    for each in report.unnotified:
        warn(each.why, each.notification.hint)
    if not report.comes_back:
        say("this host is prepared only until its next boot")
    elif report.outcomes and command == "apply":
        say("  next: kernelbal realserver verify")


def _print_failure(report: RunReport) -> None:
    last = report.outcomes[-1]
    say(f"{coloured('FAIL', stream=sys.stderr)} {describe(last.action, {}).text}: {last.message}")
    if last.hint:
        say(f"  hint: {last.hint}")
    if report.taken_back:
        say("nothing was changed: what had been done before the failure was taken back")
    else:
        say("what had been done before the failure could not all be taken back")
        say(
            "  hint: remove the cause, then `kernelbal realserver undo` or apply again: the record has it all"
        )
