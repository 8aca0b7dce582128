"""`kernelbal status`: what the daemon knows; without one, what is in the kernel now."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from kernelbal.cli.api_client import SOCKET_OPTION
from kernelbal.cli.documents import NODE_OPTION, SITE_ARGUMENT, SITE_FILE, STATE_OPTION
from kernelbal.cli.exit_codes import ExitCode

if TYPE_CHECKING:
    from kernelbal.cli.session import DocumentPair, Session
    from kernelbal.errors import PlanRefused
    from kernelbal.model.status import DirectorStatus

EPILOG = """Examples:

kernelbal status

kernelbal status --service web --watch

kernelbal status --json | jq '.virtual_services[].real_servers[] | select(.state != "serving")'

kernelbal status --kernel --json | jq '.kernel.services[] | select(.owner == "foreign")'"""


def status(
    site: Path = SITE_ARGUMENT,
    node: Path = NODE_OPTION,
    state_dir: Path = STATE_OPTION,
    socket: Path = SOCKET_OPTION,
    service: str = typer.Option("", "--service", help="Only this virtual service."),
    kernel: bool = typer.Option(False, "--kernel", help="Show the kernel, even when a daemon runs."),
    watch: bool = typer.Option(False, "--watch", help="Refresh until Ctrl-C."),
    interval: float = typer.Option(
        2.0, "--interval", min=0.2, max=3600, help="Seconds between two refreshes, with --watch."
    ),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON document."),
) -> int:
    """Show services, real servers and their connections.

    The daemon answers with states and their reasons, weights, rates, and the age of each figure. Without a
    daemon, and with --kernel, the IPVS table is shown as it is: each service with its owner (kernelbal or
    foreign) and states by weight; the site file adds names and how many changes are pending. `active` and
    `inactive` are connections now; `total` counts since the service was added, and the kernel updates it
    every two seconds. --json has one shape: what does not apply is null.
    """
    from kernelbal.cli.api_client import ApiClient
    from kernelbal.cli.output import say
    from kernelbal.errors import NoDaemon

    def look() -> DirectorStatus:
        return _kernel_status(site, node, state_dir)

    source = look
    if not kernel:
        client = ApiClient(socket)
        try:
            _show(only(client.status(), service), as_json=as_json)
        except NoDaemon as error:
            if service or watch:
                raise
            if not as_json:
                say(f"{error.message}; this is the kernel alone")
        else:
            source = client.status
    if source is look:
        _warn_of_unconfirmed(state_dir)
        _show(only(look(), service), as_json=as_json)
    if watch:
        _watch(source, service, interval, as_json=as_json)
    return ExitCode.OK


def _warn_of_unconfirmed(state_dir: Path) -> None:
    from kernelbal.cli.confirm import unconfirmed
    from kernelbal.cli.output import warn
    from kernelbal.errors import StateError
    from kernelbal.store.state import StateDirectory

    try:
        found: PlanRefused | StateError | None = unconfirmed(StateDirectory(state_dir))
    except StateError as error:
        found = error
    if found is not None:
        warn(found.message, found.hint)


def only(status: DirectorStatus, service: str) -> DirectorStatus:
    """Return a status with one virtual service alone; with all of them when none is named.

    Raises:
        OrderRefused: there is no such virtual service.
    """
    from msgspec import structs

    from kernelbal.errors import OrderRefused

    if not service:
        return status
    found = [each for each in status.virtual_services if each.name == service]
    if not found:
        known = ", ".join(each.name for each in status.virtual_services[:10])
        raise OrderRefused(f"there is no virtual service `{service}`", f"there are: {known}")
    kernel = status.kernel
    if kernel is not None:
        kernel = structs.replace(kernel, services=[each for each in kernel.services if each.name == service])
    return structs.replace(status, virtual_services=found, kernel=kernel)


def _watch(source: Callable[[], DirectorStatus], service: str, every_s: float, *, as_json: bool) -> None:
    import sys
    import time

    from kernelbal.cli.output import put

    while True:
        time.sleep(every_s)
        status = only(source(), service)
        if sys.stdout.isatty():
            sys.stdout.write("\x1b[H\x1b[2J")
        elif not as_json:
            put("")
        _show(status, as_json=as_json)
        sys.stdout.flush()


def _show(status: DirectorStatus, *, as_json: bool) -> None:
    from kernelbal.cli.director_view import print_status
    from kernelbal.cli.output import put
    from kernelbal.store.codec import encode_document

    if as_json:
        put(encode_document(status).decode())
    else:
        print_status(status)


def _kernel_status(site: Path, node: Path, state_dir: Path) -> DirectorStatus:
    from kernelbal.cli.session import open_session, read_documents

    documents = None if site == SITE_FILE and not site.exists() else read_documents(site, node)
    with open_session(state_dir) as session:
        return _observed_status(session, documents)


def _observed_status(session: Session, documents: DocumentPair | None) -> DirectorStatus:
    from importlib.metadata import version

    from kernelbal.plan.hidden_clients import SAMPLE, hidden_clients
    from kernelbal.plan.kind import DEFAULT_OPTIONS
    from kernelbal.plan.kinds.addresses import ADDRESSES
    from kernelbal.plan.kinds.services import COUNTERS, SERVICES
    from kernelbal.plan.planning import NOTHING_DESIRED
    from kernelbal.runtime.director.kernel_view import KernelInputs, kernel_view
    from kernelbal.store.boot import total_memory_bytes

    desired = documents.desired if documents else None
    observed, ownership = session.reconciler.observe(desired or NOTHING_DESIRED)
    pending = None
    if desired is not None:
        pending = len(session.reconciler.replan(desired, observed, ownership, DEFAULT_OPTIONS).plan.actions)
    if services := observed.of(SERVICES):
        observed = observed.having(COUNTERS, session.kernel.read_counters(services))
    own = {address.key.address for address in observed.of(ADDRESSES)}
    busy = any(c.active + c.inactive for each in observed.of(COUNTERS).values() for c in each.values())
    clients = session.kernel.count_clients(SAMPLE) if busy else {}
    return kernel_view(
        KernelInputs(
            version=version("kernelbal"),
            observed=observed,
            ownership=ownership,
            now=session.reconciler.now(),
            site=documents.site if documents else None,
            node=documents.node.name if documents else "",
            pending_changes=pending,
            hidden_clients=hidden_clients({name: n for name, n in clients.items() if name not in own}),
            memory_bytes=total_memory_bytes(),
        )
    )
