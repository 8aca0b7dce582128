"""`kernelbal plan`: what apply would do, and to whom."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from kernelbal.cli.api_client import DAEMON_OPTION
from kernelbal.cli.documents import NODE_OPTION, SITE_ARGUMENT, STATE_OPTION, read_text
from kernelbal.cli.exit_codes import ExitCode

if TYPE_CHECKING:
    from kernelbal.model.answers import PlanAnswer, PlanRequest

EPILOG = """Examples:

kernelbal plan

kernelbal plan site.yaml --node node.yaml --detailed-exitcode

kernelbal plan --json | jq .actions"""


def plan(
    site: Path = SITE_ARGUMENT,
    node: Path = NODE_OPTION,
    state_dir: Path = STATE_OPTION,
    socket: Path | None = DAEMON_OPTION,
    cut: bool = typer.Option(
        False, "--cut", help="Plan to cut connections of what is removed, not to drain."
    ),
    force: bool = typer.Option(False, "--force", help="Plan even what would not work, with a warning."),
    everything: bool = typer.Option(False, "--all", help="Print every action of a large plan."),
    detailed_exitcode: bool = typer.Option(
        False, "--detailed-exitcode", help="Exit with 2 when there are changes."
    ),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON document."),
) -> int:
    """Show what apply would change, and whom that affects.

    Compares the live kernel with the site file and changes nothing. While the daemon runs, the plan is
    that of its next round, with health, orders and slow start.
    """
    from msgspec import to_builtins

    from kernelbal.cli.api_client import daemon_of
    from kernelbal.cli.output import put_json
    from kernelbal.cli.plan_view import SHOWN_ACTIONS, print_plan, print_remarks
    from kernelbal.errors import NoDaemon
    from kernelbal.model.answers import PlanRequest

    request = PlanRequest(
        site=read_text(site, "site"),
        node=read_text(node, "node"),
        site_name=str(site),
        node_name=str(node),
        cut=cut,
        force=force,
        most=None if everything or as_json else SHOWN_ACTIONS,
    )
    try:
        answer = daemon_of(socket, node).plan(request)
    except NoDaemon:
        answer = _plan_here(request, site, node, state_dir)
    print_remarks(answer.warnings)
    if as_json:
        put_json(to_builtins(answer.plan))
    else:
        print_plan(answer.plan, see_all="--all shows them")
    return ExitCode.CHANGES if detailed_exitcode and answer.plan.changes else ExitCode.OK


def _plan_here(request: PlanRequest, site: Path, node: Path, state_dir: Path) -> PlanAnswer:
    """Plan without a daemon: every real server is as the site file has it."""
    from kernelbal.cli.session import open_session, read_documents
    from kernelbal.model.answers import PlanAnswer
    from kernelbal.plan.document import plan_document
    from kernelbal.plan.feasibility import remarks_on
    from kernelbal.plan.kind import Options

    documents = read_documents(site, node)
    with open_session(state_dir) as session:
        prepared = session.reconciler.prepare(documents.desired, Options(cut=request.cut))
        observed = prepared.observed
        remarks = remarks_on(documents.site, documents.node, observed, force=request.force)
        session.reconciler.check_tables(prepared)
    plan = plan_document(prepared.plan, documents.names, observed, request.most)
    return PlanAnswer(plan=plan, warnings=remarks)
