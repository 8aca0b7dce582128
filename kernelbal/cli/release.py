"""`kernelbal release`: take everything of ours out of the kernel again."""

from __future__ import annotations

from pathlib import Path

import typer

from kernelbal.cli.documents import STATE_OPTION
from kernelbal.cli.exit_codes import ExitCode

EPILOG = """Examples:

kernelbal release --dry-run

kernelbal release --cut   (cut connections instead of draining them)"""


def release(
    state_dir: Path = STATE_OPTION,
    cut: bool = typer.Option(False, "--cut", help="Cut connections instead of draining them."),
    dry_run: bool = typer.Option(False, "--dry-run", help="Print what would be removed."),
) -> int:
    """Remove everything that kernelbal put into this kernel, and only that; sysctls get their values back."""
    import time

    from kernelbal.cli.output import put
    from kernelbal.cli.plan_view import pending_text, print_failures, print_plan
    from kernelbal.cli.progress import status_line
    from kernelbal.cli.session import open_session
    from kernelbal.model.state import DesiredState
    from kernelbal.plan.result import Options
    from kernelbal.reconcile.settle_drains import finish_drains

    options = Options(cut=cut)
    nothing = DesiredState()
    with open_session(state_dir) as session, session.store.lock():
        prepared = session.reconciler.prepare(nothing, options)
        print_plan(prepared.plan, {}, prepared.observed.counters)
        if dry_run:
            return ExitCode.OK
        session.store.discard_snapshot()
        with status_line() as show:
            report = finish_drains(
                session.reconciler,
                nothing,
                time.sleep,
                lambda pending: show("draining " + "; ".join(pending_text(one, {}) for one in pending)),
                options,
            )
        print_failures(report.failed, {})
        if not report.converged:
            return ExitCode.FAILED
        session.store.clear()
    put("released: nothing of kernelbal's is left in this kernel")
    return ExitCode.OK
