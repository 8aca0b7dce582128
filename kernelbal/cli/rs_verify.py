"""`kernelbal rs verify`: whether real servers can do their part, seen from the director."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import typer

from kernelbal.cli.documents import NODE_OPTION, SITE_FILE, STATE_OPTION
from kernelbal.cli.exit_codes import ExitCode

if TYPE_CHECKING:
    from kernelbal.health.verify_report import ServiceReport
    from kernelbal.model.node import Node
    from kernelbal.model.site import Site

EPILOG = """Examples:

kernelbal rs verify web

kernelbal rs verify --json | jq '.services[].real_servers[] | select(.result != "ok")'

kernelbal rs verify web --site site.yaml --node node.yaml"""

SITE_OPTION = typer.Option(SITE_FILE, "--site", help="The site document.", readable=False)
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Signals that end the command."""
KNOWN = 10
"""Most names in a hint."""


def verify(
    service: str = typer.Argument("", metavar="SERVICE", help="Only this virtual service; all by default."),
    site: Path = SITE_OPTION,
    node: Path = NODE_OPTION,
    state_dir: Path = STATE_OPTION,
    as_json: bool = typer.Option(False, "--json", help="Print one JSON document."),
) -> int:
    """Verify real servers from this director, with one result for each.

    Probes each by its own address and, for dsr and tunnel, through the virtual address as clients' packets
    go; asks the segment who else answers for the virtual address (ARP, neighbour discovery); measures whether
    clients' packets fit the path. Needs root; works with or without the daemon, and removes what it added.
    Exits with 1 when anything fails.
    """
    from kernelbal.cli.documents import read_node, read_site
    from kernelbal.cli.output import put_json, say
    from kernelbal.cli.verification_view import print_service_reports, service_reports_document
    from kernelbal.model.verification import ResultStatus, worst

    documents = read_site(site), read_node(node)
    try:
        reports = _verified(*documents, service, state_dir)
    except KeyboardInterrupt:
        say("interrupted; what was added for the verification is removed")
        return ExitCode.INTERRUPTED
    if as_json:
        put_json(service_reports_document(reports))
    else:
        print_service_reports(reports)
    failed = worst(report.status for report in reports) is ResultStatus.FAIL
    return ExitCode.FAILED if failed else ExitCode.OK


def chosen(site: Site, service: str) -> frozenset[str]:
    """Return the names of the virtual services to verify.

    Raises:
        OrderRefused: there is no such service, or none at all.
    """
    from kernelbal.errors import OrderRefused

    names = [each.name for each in site.virtual_services]
    if not names:
        raise OrderRefused("the site has no virtual services", "add one to `virtual_services` in site.yaml")
    if service and service not in names:
        known = ", ".join(names[:KNOWN]) + (", ..." if len(names) > KNOWN else "")
        raise OrderRefused(f"there is no virtual service `{service}`", f"there are: {known}")
    return frozenset((service,) if service else names)


def _verified(site: Site, node: Node, service: str, state_dir: Path) -> tuple[ServiceReport, ...]:
    from kernelbal.cli.progress import StatusLine
    from kernelbal.health.verify_probes import verify_site
    from kernelbal.kernel.links import read_link_details
    from kernelbal.kernel.linux import LinuxKernel
    from kernelbal.kernel.rtnetlink import RtNetlink
    from kernelbal.plan.kind import NOTHING
    from kernelbal.plan.kinds import DIRECTOR
    from kernelbal.plan.kinds.services import SERVICES
    from kernelbal.plan.planning import scopes
    from kernelbal.runtime.verify.paths import ProbePaths, verify_store
    from kernelbal.runtime.verify.survey import Survey
    from kernelbal.runtime.verify.survey import verify as survey
    from kernelbal.store.boot import boot_clock_s

    names = chosen(site, service)
    narrowed = verify_site(site, names)
    services = tuple(each for each in narrowed.virtual_services if each.name in names)
    store = verify_store(state_dir)
    with LinuxKernel() as kernel, RtNetlink.open() as rtnetlink:
        observed = kernel.observe({**scopes(DIRECTOR), SERVICES: NOTHING})
        details = {each.link.name: each for each in read_link_details(rtnetlink)}
        scope = Survey(narrowed, node, services, observed, details)
        with store.lock(), endings_as_interrupts(), StatusLine() as line:
            return survey(scope, ProbePaths(kernel, store, boot_clock_s), line.show)


@contextmanager
def endings_as_interrupts() -> Iterator[None]:
    """Let signals that end the command unwind the block once; what then is cleaned up is not interrupted."""

    def interrupt(_number: int, _frame: object) -> NoReturn:
        for number in ENDING:
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in ENDING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
