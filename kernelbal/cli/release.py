"""`kernelbal release`: take everything of ours out of the kernel again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from kernelbal.cli.documents import STATE_OPTION
from kernelbal.cli.exit_codes import ExitCode

if TYPE_CHECKING:
    from kernelbal.reconcile.round import RoundReport

EPILOG = """Examples:

kernelbal release --dry-run

kernelbal release --cut   (cut connections instead of draining them)"""

NOTHING_OURS = "no changes: nothing in this kernel is kernelbal's"
ONLY_DRAINING = "no changes yet: real servers are draining"


def release(
    state_dir: Path = STATE_OPTION,
    cut: bool = typer.Option(False, "--cut", help="Cut connections instead of draining them."),
    dry_run: bool = typer.Option(False, "--dry-run", help="Print what would be removed."),
) -> int:
    """Remove what kernelbal put into this kernel, and only that.

    Sysctls and timeouts get their former values back. Foreign objects are not touched.
    """
    from kernelbal.cli.draining import wait_for_drains
    from kernelbal.cli.output import put, say, warn
    from kernelbal.cli.plan_view import SHOWN_ACTIONS, print_plan
    from kernelbal.cli.session import open_session
    from kernelbal.plan.document import plan_document
    from kernelbal.plan.kind import DesiredState, Options
    from kernelbal.plan.kinds.services import SERVICES
    from kernelbal.plan.kinds.sysctls import SYSCTLS

    options = Options(cut=cut)
    nothing = DesiredState()
    with open_session(state_dir) as session, session.store.lock():
        prepared = session.reconciler.prepare(nothing, options)
        shown = None if dry_run else SHOWN_ACTIONS
        print_plan(
            plan_document(prepared.plan, {}, prepared.observed, shown),
            see_all="`kernelbal release --dry-run` shows them",
            nothing=ONLY_DRAINING if prepared.plan.drains else NOTHING_OURS,
        )
        owned, first_values = prepared.ownership.of(SERVICES), prepared.ownership.of(SYSCTLS)
        if prepared.ownership.lost or not (owned.keys or first_values or prepared.plan.empty):
            warn(
                "the ownership record is lost: services and sysctls of kernelbal cannot be distinguished from"
                " those of others, and stay",
                "first `kernelbal apply`, which adopts the services of the site file, then release",
            )
        if prepared.plan.drains:
            say("  note: the rest is removed when the draining connections have ended")
        if dry_run:
            return ExitCode.OK
        session.store.discard_snapshot()
        report = wait_for_drains(session.reconciler, nothing, options, {})
        if not report.converged:
            return _unfinished(report)
        session.store.clear()
    put("released: nothing of kernelbal's is left in this kernel")
    return ExitCode.OK


def _unfinished(report: RoundReport) -> int:
    from kernelbal.cli.plan_view import SHOWN_ACTIONS, print_unfinished
    from kernelbal.plan.document import apply_document, left_actions

    ended = apply_document(report.outcomes, report.remaining, {}, converged=False)
    left = left_actions(report.remaining, {}, SHOWN_ACTIONS)
    print_unfinished(ended, left, "this is still in the kernel", "release")
    return ExitCode.FAILED
