"""`kernelbal plan`: what apply would do, and to whom."""

from __future__ import annotations

from pathlib import Path

import typer

from kernelbal.cli.documents import NODE_OPTION, SITE_ARGUMENT, STATE_OPTION
from kernelbal.cli.exit_codes import ExitCode

EPILOG = """Examples:

kernelbal plan

kernelbal plan site.yaml --node node.yaml --detailed-exitcode

kernelbal plan --json | jq .actions"""


def plan(
    site: Path = SITE_ARGUMENT,
    node: Path = NODE_OPTION,
    state_dir: Path = STATE_OPTION,
    cut: bool = typer.Option(False, "--cut", help="Plan to cut connections of what leaves, not to drain."),
    force: bool = typer.Option(False, "--force", help="Plan even what would not work; warn instead."),
    everything: bool = typer.Option(False, "--all", help="Print every action of a large plan."),
    detailed_exitcode: bool = typer.Option(
        False, "--detailed-exitcode", help="Exit with 2 when there are changes."
    ),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON document."),
) -> int:
    """Show what apply would change, and whom that affects.

    Compares the live kernel with the site file and changes nothing. While the daemon runs, what it knows of
    real servers counts too: health, orders, slow start.
    """
    from kernelbal.cli.output import put_json
    from kernelbal.cli.plan_view import plan_document, print_plan
    from kernelbal.cli.session import beside_daemon, judge, open_session, read_documents
    from kernelbal.plan.result import Options

    documents = beside_daemon(read_documents(site, node), state_dir)
    with open_session(state_dir) as session:
        prepared = session.reconciler.prepare(documents.desired, Options(cut=cut))
        judge(documents, prepared.observed, force=force)
        if not documents.desired.nft.empty and prepared.observed.nft != documents.desired.nft:
            session.kernel.check_table(documents.desired.nft)
    counters = prepared.observed.counters
    if as_json:
        put_json(plan_document(prepared.plan, documents.names, counters))
    else:
        print_plan(
            prepared.plan, documents.names, counters, everything=everything, see_all="--all shows them"
        )
    changed = detailed_exitcode and not prepared.plan.empty
    return ExitCode.CHANGES if changed else ExitCode.OK
