"""`kernelbal status`: what the daemon knows; without one, what is in the kernel now."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from kernelbal.cli.api_client import SOCKET_OPTION
from kernelbal.cli.documents import NODE_OPTION, SITE_ARGUMENT, SITE_FILE, STATE_OPTION
from kernelbal.cli.exit_codes import ExitCode
from kernelbal.model.units import counted

if TYPE_CHECKING:
    from kernelbal.cli.api_client import ApiClient
    from kernelbal.cli.session import Documents, Session
    from kernelbal.model.ipvs import DestinationAttributes, DrainKey, ServiceKey
    from kernelbal.model.status import DirectorStatus
    from kernelbal.plan.kind import ObservedState
    from kernelbal.reconcile.round import PreparedRound

EPILOG = """Examples:

kernelbal status

kernelbal status --service web --watch

kernelbal status --json | jq '.virtual_services[].real_servers[] | select(.state != "serving")'

kernelbal status --kernel --json | jq '.services[] | select(.owner == "foreign")'"""


def status(
    site: Path = SITE_ARGUMENT,
    node: Path = NODE_OPTION,
    state_dir: Path = STATE_OPTION,
    socket: Path = SOCKET_OPTION,
    service: str = typer.Option("", "--service", help="Only this virtual service (from the daemon)."),
    kernel: bool = typer.Option(False, "--kernel", help="Show the kernel, even when a daemon runs."),
    watch: bool = typer.Option(False, "--watch", help="Refresh until Ctrl-C."),
    interval: float = typer.Option(
        2.0, "--interval", min=0.2, max=3600, help="Seconds between two refreshes, with --watch."
    ),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON document."),
) -> int:
    """Show services, real servers and their connections.

    With a daemon: states with their reasons, weights, rates, and the age of each figure. Without one, and
    with --kernel: the kernel's tables, with names and the number of pending changes from the site file; on
    a machine without one the kernel alone, with the owner of each service: kernelbal or foreign. `active`
    and `inactive` are current; `total` counts from the start, and the kernel updates it every two seconds.
    """
    from kernelbal.cli.output import put_json
    from kernelbal.cli.session import open_session, read_documents

    if not kernel and _by_daemon(socket, service, interval if watch else None, as_json=as_json):
        return ExitCode.OK
    documents = None if site == SITE_FILE and not site.exists() else read_documents(site, node)
    with open_session(state_dir) as session:
        document = _document(session, documents)
    if as_json:
        put_json(document)
    else:
        _print(document)
    return ExitCode.OK


def _by_daemon(socket: Path, service: str, every_s: float | None, *, as_json: bool) -> bool:
    """Show the daemon's status; False when none runs.

    Raises:
        NoDaemon: none runs, but what was asked for needs one.
    """
    from kernelbal.cli.api_client import ApiClient
    from kernelbal.cli.output import say
    from kernelbal.errors import NoDaemon

    client = ApiClient(socket)
    try:
        _show(only(client.status(), service), as_json=as_json)
    except NoDaemon as error:
        if service or every_s is not None:
            raise
        if not as_json:
            say(f"{error.message}; this is the kernel alone")
        return False
    if every_s is not None:
        _watch(client, service, every_s, as_json=as_json)
    return True


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
    return structs.replace(status, virtual_services=found)


def _watch(client: ApiClient, service: str, every_s: float, *, as_json: bool) -> None:
    import sys
    import time

    from kernelbal.cli.output import put

    while True:
        time.sleep(every_s)
        status = only(client.status(), service)
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


def _document(session: Session, documents: Documents | None) -> dict[str, Any]:

    from kernelbal.kernel.modules import table_too_small
    from kernelbal.plan.hidden_clients import SAMPLE, hidden_clients
    from kernelbal.plan.kind import DesiredState
    from kernelbal.plan.kinds.addresses import ADDRESSES
    from kernelbal.plan.kinds.services import COUNTERS, IPVS, SERVICES
    from kernelbal.store.boot import total_memory_bytes

    desired = documents.desired if documents else DesiredState()
    prepared = session.reconciler.prepare(desired)
    observed = prepared.observed
    services, owned = observed.of(SERVICES), prepared.ownership.of(SERVICES)
    if services:
        observed = observed.having(COUNTERS, session.kernel.read_counters(services))
    connections = sum(c.active + c.inactive for each in observed.of(COUNTERS).values() for c in each.values())
    own = {address.key.address for address in observed.of(ADDRESSES)}
    clients = session.kernel.count_clients(SAMPLE) if connections else {}
    hidden = hidden_clients({client: count for client, count in clients.items() if client not in own})
    verdict = table_too_small(observed.of(IPVS).connection_buckets, connections, total_memory_bytes())
    return {
        "ipvs_available": observed.of(IPVS).available,
        "services": [_service(key, prepared, observed, documents) for key in sorted(services)],
        "addresses": [
            {"address": str(a.key), "owner": _owner(a.ours or a.key in prepared.ownership.of(ADDRESSES))}
            for a in observed.of(ADDRESSES)
            if a.key.device != "lo"
        ],
        "connection_table": {
            "buckets": observed.of(IPVS).connection_buckets,
            "connections": connections,
            "warning": verdict or None,
            "hidden_clients": hidden or None,
        },
        "changes_pending": len(prepared.plan.actions) if documents else None,
        "draining": len(owned.drains),
    }


def _owner(ours: bool) -> str:
    return "kernelbal" if ours else "foreign"


def _service(
    key: ServiceKey, prepared: PreparedRound, observed: ObservedState, documents: Documents | None
) -> dict[str, Any]:
    from kernelbal.model.address import AF_INET
    from kernelbal.model.ipvs import DrainKey
    from kernelbal.plan.kinds.service_actions import service_text
    from kernelbal.plan.kinds.services import SERVICES

    server = observed.of(SERVICES)[key]
    host_bits = 32 if key.family == AF_INET else 128
    return {
        "service": str(key),
        "name": documents.names.get(key) if documents else None,
        "owner": _owner(key in prepared.ownership.of(SERVICES).keys),
        "scheduler": service_text(server.attributes, host_bits),
        "real_servers": [
            _real_server(DrainKey(key, name), server.destinations[name], prepared, observed)
            for name in sorted(server.destinations)
        ],
    }


def _real_server(
    key: DrainKey, attributes: DestinationAttributes, prepared: PreparedRound, observed: ObservedState
) -> dict[str, Any]:
    from kernelbal.model.ipvs import Forwarding
    from kernelbal.plan.drain import NO_CONNECTIONS
    from kernelbal.plan.kinds.services import COUNTERS, SERVICES

    # One that was added after the counters were read, or removed before, has none.
    counters = observed.of(COUNTERS).get(key.service, {}).get(key.destination, NO_CONNECTIONS)
    drain = prepared.ownership.of(SERVICES).drains.get(key)
    return {
        "address": str(key.destination),
        "forwarding": Forwarding(attributes.forwarding).name.lower(),
        "weight": attributes.weight,
        "active": counters.active,
        "inactive": counters.inactive,
        "connections": counters.connections,
        "drain_left_s": None if drain is None else round(max(0.0, drain.deadline_at - prepared.at), 1),
    }


def _print(document: dict[str, Any]) -> None:
    from kernelbal.cli.output import put, warn
    from kernelbal.plan.hidden_clients import HINT

    if not document["ipvs_available"]:
        warn("this kernel has no IPVS, or did not load its module", "modprobe ip_vs")
    elif document["services"]:
        _print_services(document)
    else:
        put("no IPVS services")
    table = document["connection_table"]
    if table["buckets"]:
        put(f"connections {table['connections']}, connection table {table['buckets']} buckets")
    if table["warning"]:
        warn(table["warning"])
    if table["hidden_clients"]:
        warn(table["hidden_clients"], HINT)
    pending = document["changes_pending"]
    if pending is not None:
        put(
            f"{counted(pending, 'change')} pending (kernelbal plan)"
            if pending
            else "kernel matches site.yaml"
        )


def _print_services(document: dict[str, Any]) -> None:
    from kernelbal.cli.table import print_table

    rows: list[tuple[str, ...]] = []
    for service in document["services"]:
        title = service["name"] or service["owner"]
        rows.append((service["service"], service["scheduler"], title, "", "", "", ""))
        rows.extend(
            (
                f"  -> {server['address']}",
                server["forwarding"],
                _drain_text(server["drain_left_s"]),
                str(server["weight"]),
                str(server["active"]),
                str(server["inactive"]),
                str(server["connections"]),
            )
            for server in service["real_servers"]
        )
    header = ("service / real server", "method", "name or owner", "weight", "active", "inactive", "total")
    print_table(header, rows)


def _drain_text(left_s: float | None) -> str:
    return "" if left_s is None else f"draining, {left_s:.0f} s left"
