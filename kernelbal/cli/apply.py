"""`kernelbal apply`: make the kernel match the site file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from kernelbal.cli.api_client import DAEMON_OPTION
from kernelbal.cli.documents import NODE_OPTION, SITE_ARGUMENT, STATE_OPTION
from kernelbal.cli.exit_codes import ExitCode
from kernelbal.model.units import counted, format_duration, parse_duration

if TYPE_CHECKING:
    from kernelbal.cli.api_client import ApiClient
    from kernelbal.cli.session import Session
    from kernelbal.model.answers import ApplyAnswer, ApplyRequest
    from kernelbal.plan.action import Names
    from kernelbal.plan.kind import Options
    from kernelbal.reconcile.round import PreparedRound, RoundReport

EPILOG = """Examples:

kernelbal apply

kernelbal apply site.yaml --node node.yaml --confirm 60s   (rolled back unless `kernelbal confirm` is run)

kernelbal apply --no-wait   (do not wait for draining real servers; the next apply continues)"""


SHORTEST_S = 1.0
"""The least time to confirm, in seconds."""


def apply(
    site: Path = SITE_ARGUMENT,
    node: Path = NODE_OPTION,
    state_dir: Path = STATE_OPTION,
    socket: Path | None = DAEMON_OPTION,
    confirm: str = typer.Option("", "--confirm", help="Roll back after this time unless confirmed: `60s`."),
    cut: bool = typer.Option(False, "--cut", help="Cut connections of what is removed instead of draining."),
    wait: bool = typer.Option(True, "--wait/--no-wait", help="Wait until removed real servers have drained."),
    force: bool = typer.Option(False, "--force", help="Apply even what would not work, with a warning."),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON document."),
) -> int:
    """Make the kernel match the site file, and verify it.

    Prints the changes, performs them in order, and reads the kernel again. A second apply does nothing.
    Removed real servers keep their connections until they have drained; --confirm does not wait for them.

    While the daemon runs, it brings its own documents into force; those of another path are refused.
    """
    from kernelbal.cli.api_client import daemon_of
    from kernelbal.cli.plan_view import SHOWN_ACTIONS
    from kernelbal.errors import NoDaemon
    from kernelbal.model.answers import ApplyRequest

    request = ApplyRequest(
        site=str(site.absolute()),
        node=str(node.absolute()),
        confirm_s=_confirm_seconds(confirm),
        cut=cut,
        force=force,
        most=None if as_json else SHOWN_ACTIONS,
    )
    wait = wait and not confirm
    daemon = daemon_of(socket, node)
    try:
        answer = _by_daemon(daemon, request, wait=wait, quiet=as_json)
    except NoDaemon:
        answer = _apply_here(request, state_dir, wait=wait, quiet=as_json)
    return _conclude(answer, as_json=as_json)


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


def _by_daemon(daemon: ApiClient, request: ApplyRequest, *, wait: bool, quiet: bool) -> ApplyAnswer:
    from msgspec.structs import replace

    from kernelbal.cli.draining import watch_drains
    from kernelbal.cli.output import say
    from kernelbal.cli.plan_view import print_plan, print_remarks

    answer = daemon.apply(request)
    print_remarks(answer.warnings)
    if not quiet:
        print_plan(answer.plan)
    if answer.confirm_left_s is not None and request.confirm_s is not None:
        say(f"rolled back in {format_duration(request.confirm_s)} unless `kernelbal confirm` is run")
    if not (wait and answer.report.converged and answer.report.draining):
        return answer
    watch_drains(daemon)
    return replace(answer, report=replace(answer.report, draining=0))


def _apply_here(request: ApplyRequest, state_dir: Path, *, wait: bool, quiet: bool) -> ApplyAnswer:
    """Apply without a daemon: every real server is as the site file has it."""
    from kernelbal.cli.confirm import arm, unconfirmed
    from kernelbal.cli.plan_view import SHOWN_ACTIONS, print_remarks
    from kernelbal.cli.session import open_session, read_documents
    from kernelbal.model.answers import ApplyAnswer
    from kernelbal.plan.document import apply_document, left_actions, plan_document
    from kernelbal.plan.feasibility import remarks_on
    from kernelbal.plan.kind import Options

    documents = read_documents(Path(request.site), Path(request.node))
    names, options = documents.names, Options(cut=request.cut)
    with open_session(state_dir) as session, session.store.lock():
        refusal = unconfirmed(session.store)
        if refusal is not None:
            raise refusal
        prepared = session.reconciler.prepare(documents.desired, options)
        remarks = remarks_on(documents.site, documents.node, prepared.observed, force=request.force)
        del documents  # the largest part of the memory, which what is read of the kernel can use
        print_remarks(remarks)
        if request.confirm_s is not None and not prepared.plan.empty:
            arm(session, prepared, request.confirm_s, state_dir)
        report = _perform(session, prepared, options, names, quiet=quiet)
        if wait and report.converged and prepared.plan.drains:
            report = _finish(session, prepared, options, names, report)
    return ApplyAnswer(
        plan=plan_document(prepared.plan, names, prepared.observed, 0),
        warnings=remarks,
        report=apply_document(
            report.outcomes, report.remaining, names, converged=report.converged, most=request.most
        ),
        left=left_actions(report.remaining, names, SHOWN_ACTIONS),
        confirm_left_s=request.confirm_s,
    )


def _perform(
    session: Session, prepared: PreparedRound, options: Options, names: Names, *, quiet: bool
) -> RoundReport:
    from kernelbal.cli.plan_view import SHOWN_ACTIONS, print_plan
    from kernelbal.cli.progress import progress_bar
    from kernelbal.plan.document import plan_document

    if not quiet:
        print_plan(plan_document(prepared.plan, names, prepared.observed, SHOWN_ACTIONS))
    with progress_bar("applying", len(prepared.plan.actions)) as update:
        return session.reconciler.perform(prepared, options, update)


def _finish(
    session: Session, prepared: PreparedRound, options: Options, names: Names, first: RoundReport
) -> RoundReport:
    """Wait for drains; the outcomes of the first round stay in the report."""
    from dataclasses import replace

    from kernelbal.cli.draining import wait_for_drains

    last = wait_for_drains(session.reconciler, prepared.desired, options, names)
    return replace(last, plan=first.plan, outcomes=first.outcomes + last.outcomes)


def _conclude(answer: ApplyAnswer, *, as_json: bool) -> int:
    from msgspec import to_builtins

    from kernelbal.cli.output import put, put_json, say
    from kernelbal.cli.plan_view import print_unfinished

    report = answer.report
    if as_json:
        put_json(to_builtins(report))
    elif not report.converged:
        still = "the kernel does not match site.yaml after this apply"
        print_unfinished(report, answer.left, still, "apply")
    else:
        if report.changes:
            put(f"applied {counted(report.changes, 'change')}; kernel matches site.yaml")
        if report.draining:
            left = counted(report.draining, "real server")
            say(f"{left} still draining; a later `kernelbal apply` continues")
    return ExitCode.OK if report.converged else ExitCode.FAILED
