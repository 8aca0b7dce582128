"""`kernelbal release`: take everything of ours out of the kernel again."""

from __future__ import annotations

from pathlib import Path

import typer

from kernelbal.cli.documents import STATE_OPTION
from kernelbal.cli.exit_codes import ExitCode

EPILOG = """Examples:

kernelbal release --dry-run

kernelbal release --cut   (cut connections instead of draining them)"""

NOTHING_OURS = "no changes: nothing in this kernel is kernelbal's"
ONLY_DRAINING = "no changes yet: what is kernelbal's is on its way out"


def release(
    state_dir: Path = STATE_OPTION,
    cut: bool = typer.Option(False, "--cut", help="Cut connections instead of draining them."),
    dry_run: bool = typer.Option(False, "--dry-run", help="Print what would be removed."),
) -> int:
    """Remove what kernelbal put into this kernel, and only that.

    Sysctls and timeouts get their former values back. Objects of others are not touched.
    """
    from kernelbal.cli.draining import wait_for_drains
    from kernelbal.cli.output import put, say, warn
    from kernelbal.cli.plan_view import print_plan, print_unfinished
    from kernelbal.cli.session import open_session
    from kernelbal.model.state import DesiredState
    from kernelbal.plan.result import Options

    options = Options(cut=cut)
    nothing = DesiredState()
    with open_session(state_dir) as session, session.store.lock():
        prepared = session.reconciler.prepare(nothing, options)
        print_plan(
            prepared.plan,
            {},
            prepared.observed.counters,
            everything=dry_run,
            see_all="`kernelbal release --dry-run` shows them",
            nothing=ONLY_DRAINING if prepared.plan.drains else NOTHING_OURS,
        )
        if not (prepared.ownership.services or prepared.ownership.sysctls or prepared.plan.empty):
            warn(
                "the record of what is ours is lost: services and sysctls of kernelbal cannot be told from"
                " those of others, and stay",
                "apply the site file first: that takes its services over again, and then release",
            )
        if prepared.plan.drains:
            say("  note: the rest goes when the draining connections have ended")
        if dry_run:
            return ExitCode.OK
        session.store.discard_snapshot()
        report = wait_for_drains(session.reconciler, nothing, options, {})
        if not report.converged:
            print_unfinished(report, {}, "this is still in the kernel", "release")
            return ExitCode.FAILED
        session.store.clear()
    put("released: nothing of kernelbal's is left in this kernel")
    return ExitCode.OK
