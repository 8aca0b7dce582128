"""`kernelbal apply`: make the kernel be what the site file says."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from kernelbal.cli.documents import NODE_OPTION, SITE_ARGUMENT, STATE_OPTION
from kernelbal.cli.exit_codes import ExitCode
from kernelbal.model.units import counted, parse_duration

if TYPE_CHECKING:
    from kernelbal.cli.session import Documents, Session
    from kernelbal.plan.result import Options
    from kernelbal.reconcile.round import Prepared, Report

EPILOG = """Examples:

kernelbal apply

kernelbal apply site.yaml --node node.yaml --confirm 60s   (rolled back unless `kernelbal confirm` comes)

kernelbal apply --no-wait   (do not wait for leaving real servers; the next apply goes on)"""


SHORTEST_S = 1.0
"""The least time to confirm, in seconds."""


def apply(
    site: Path = SITE_ARGUMENT,
    node: Path = NODE_OPTION,
    state_dir: Path = STATE_OPTION,
    confirm: str = typer.Option("", "--confirm", help="Roll back after this time unless confirmed: `60s`."),
    cut: bool = typer.Option(False, "--cut", help="Cut connections of what leaves instead of draining."),
    wait: bool = typer.Option(True, "--wait/--no-wait", help="Wait until leaving real servers are gone."),
    force: bool = typer.Option(False, "--force", help="Apply even what would not work; warn instead."),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON document."),
) -> int:
    """Make the kernel be what the site file says, and prove it.

    What has to change is printed, changed in order, and read again. A second apply does nothing. Leaving real
    servers keep their connections until their drain is over; with --confirm they are not waited for, and the
    next apply removes them.
    """
    from kernelbal.cli.session import judge, open_session, read_documents
    from kernelbal.plan.result import Options

    confirm_s = _confirm_seconds(confirm)
    documents = read_documents(site, node)
    options = Options(cut=cut)
    with open_session(state_dir) as session, session.store.lock():
        _refuse_unconfirmed(session)
        prepared = session.reconciler.prepare(documents.desired, options)
        judge(documents, prepared.observed, force=force)
        if confirm_s is not None and not prepared.plan.empty:
            from kernelbal.cli.confirm import arm

            arm(session, prepared, confirm_s, state_dir)
        report = _perform(session, prepared, options, documents, quiet=as_json)
        if wait and not confirm and report.converged and prepared.plan.drains:
            report = _finish(session, documents, options, report)
    return _conclude(report, documents, as_json=as_json)


def _confirm_seconds(text: str) -> float | None:

    if not text:
        return None
    try:
        seconds = parse_duration(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--confirm") from error
    if seconds < SHORTEST_S:
        raise typer.BadParameter(f"`{text}` is too short to confirm anything", param_hint="--confirm")
    return seconds


def _refuse_unconfirmed(session: Session) -> None:
    from kernelbal.errors import PlanRefused
    from kernelbal.store.boot import boot_clock_s

    snapshot = session.store.load_snapshot()
    if snapshot is not None:
        left_s = max(0.0, snapshot.deadline_at - boot_clock_s())
        raise PlanRefused(
            f"the last apply still awaits confirmation, {left_s:.0f} s left",
            "keep it with `kernelbal confirm`, or undo it with `kernelbal rollback`",
        )


def _perform(
    session: Session, prepared: Prepared, options: Options, documents: Documents, *, quiet: bool
) -> Report:
    from kernelbal.cli.plan_view import print_plan
    from kernelbal.cli.progress import progress_bar

    if not quiet:
        print_plan(prepared.plan, documents.names, prepared.observed.counters)
    with progress_bar("applying", len(prepared.plan.actions)) as update:
        return session.reconciler.perform(prepared, options, update)


def _finish(session: Session, documents: Documents, options: Options, first: Report) -> Report:
    """Wait for drains; the outcomes of the first round stay in the report."""
    from dataclasses import replace

    from kernelbal.cli.draining import wait_for_drains

    last = wait_for_drains(session.reconciler, documents.desired, options, documents.names)
    return replace(last, plan=first.plan, outcomes=first.outcomes + last.outcomes)


def _conclude(report: Report, documents: Documents, *, as_json: bool) -> int:
    from kernelbal.cli.output import put_json
    from kernelbal.cli.plan_view import outcome_document

    if as_json:
        put_json(
            {
                "converged": report.converged,
                "outcomes": [outcome_document(outcome, documents.names) for outcome in report.outcomes],
                "remaining": len(report.remaining.actions),
                "draining": len(report.remaining.drains),
            }
        )
    else:
        _print_conclusion(report, documents)
    return ExitCode.OK if report.converged else ExitCode.FAILED


def _print_conclusion(report: Report, documents: Documents) -> None:
    from kernelbal.cli.output import put, say
    from kernelbal.cli.plan_view import print_unfinished

    if not report.converged:
        still = "after this apply the kernel still differs from the site file"
        print_unfinished(report, documents.names, still, "apply")
        return
    if report.outcomes:
        put(f"applied {counted(len(report.outcomes), 'change')}; kernel matches site.yaml")
    draining = len(report.remaining.drains)
    if draining:
        say(f"{counted(draining, 'real server')} still draining; a later `kernelbal apply` goes on with it")
