"""`kernelbal status`: what is in the kernel now."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from kernelbal.cli.documents import NODE_OPTION, SITE_ARGUMENT, STATE_OPTION
from kernelbal.cli.exit_codes import ExitCode

if TYPE_CHECKING:
    from kernelbal.cli.session import Documents, Session
    from kernelbal.model.ipvs import ServiceKey
    from kernelbal.model.state import ObservedState, Ownership

EPILOG = """Examples:

kernelbal status

kernelbal status --json | jq '.services[] | select(.owner == "foreign")'"""


def status(
    site: Path = SITE_ARGUMENT,
    node: Path = NODE_OPTION,
    state_dir: Path = STATE_OPTION,
    as_json: bool = typer.Option(False, "--json", help="Print one JSON document."),
) -> int:
    """Show services, real servers and their connections, and what differs from the site file.

    Without a readable site file it shows the kernel alone.
    """
    from kernelbal.cli.output import put_json
    from kernelbal.cli.session import open_session, read_documents

    documents = read_documents(site, node) if site.exists() and node.exists() else None
    with open_session(state_dir) as session:
        document = _document(session, documents)
    if as_json:
        put_json(document)
    else:
        _print(document)
    return ExitCode.OK


def _document(session: Session, documents: Documents | None) -> dict[str, Any]:
    from dataclasses import replace

    from kernelbal.kernel.boot import total_memory_bytes
    from kernelbal.kernel.modules import table_too_small
    from kernelbal.model.state import DesiredState

    desired = documents.desired if documents else DesiredState()
    prepared = session.reconciler.prepare(desired)
    observed = replace(prepared.observed, counters=session.kernel.read_counters(prepared.observed.services))
    connections = sum(c.active + c.inactive for each in observed.counters.values() for c in each.values())
    verdict = table_too_small(observed.connection_table_size, connections, total_memory_bytes())
    return {
        "services": [
            _service(key, observed, prepared.ownership, documents) for key in sorted(observed.services)
        ],
        "addresses": [
            {"address": str(a.key), "owner": _owner(a.ours or a.key in prepared.ownership.addresses)}
            for a in observed.addresses
            if a.key.device != "lo"
        ],
        "connection_table": {
            "buckets": observed.connection_table_size,
            "connections": connections,
            "warning": verdict or None,
        },
        "changes_pending": len(prepared.plan.actions) if documents else None,
        "draining": len(prepared.plan.drains),
    }


def _owner(ours: bool) -> str:
    return "kernelbal" if ours else "foreign"


def _service(
    key: ServiceKey, observed: ObservedState, ownership: Ownership, documents: Documents | None
) -> dict[str, Any]:
    from kernelbal.model.ipvs import Forwarding
    from kernelbal.plan.describe import service_text

    server = observed.services[key]
    counters = observed.counters.get(key, {})
    host_bits = 32 if key.family == 2 else 128
    return {
        "service": str(key),
        "name": documents.names.get(key) if documents else None,
        "owner": _owner(key in ownership.services),
        "scheduler": service_text(server.attributes, host_bits),
        "real_servers": [
            {
                "address": str(name),
                "forwarding": Forwarding(attributes.forwarding).name.lower(),
                "weight": attributes.weight,
                "active": counters[name].active,
                "inactive": counters[name].inactive,
                "connections": counters[name].connections,
            }
            for name, attributes in server.destinations.items()
        ],
    }


def _print(document: dict[str, Any]) -> None:
    from kernelbal.cli.output import put, warn
    from kernelbal.cli.table import print_table

    rows: list[tuple[str, ...]] = []
    for service in document["services"]:
        title = service["name"] or service["owner"]
        rows.append((service["service"], service["scheduler"], title, "", "", "", ""))
        rows.extend(
            (
                f"  -> {server['address']}",
                server["forwarding"],
                "",
                str(server["weight"]),
                str(server["active"]),
                str(server["inactive"]),
                str(server["connections"]),
            )
            for server in service["real_servers"]
        )
    header = ("service / real server", "method", "name", "weight", "active", "inactive", "total")
    print_table(header, rows)
    table = document["connection_table"]
    put(f"connections {table['connections']}, connection table {table['buckets']} buckets")
    if table["warning"]:
        warn(table["warning"])
    pending = document["changes_pending"]
    if pending is not None:
        put(f"{pending} changes pending (kernelbal plan)" if pending else "as the site file wants")
