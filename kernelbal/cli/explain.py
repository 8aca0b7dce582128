"""`kernelbal explain`: which way a client's connection goes, and why."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from kernelbal.cli.api_client import DAEMON_OPTION
from kernelbal.cli.documents import NODE_FILE, SITE_FILE
from kernelbal.cli.exit_codes import ExitCode
from kernelbal.model.choices import ProtocolName

if TYPE_CHECKING:
    from kernelbal.model.address import Address
    from kernelbal.model.answers import ExplanationDocument
    from kernelbal.model.node import Node
    from kernelbal.model.site import Site
    from kernelbal.plan.explain.query import ExplainQuery
    from kernelbal.plan.explain.result import Explanation
    from kernelbal.plan.kind import DesiredState

EPILOG = """Examples:

kernelbal explain 198.51.100.7 192.0.2.10:80

kernelbal explain 2001:db8:7::1 '[2001:db8::10]:443' --json | jq -r .answer

kernelbal explain 198.51.100.7 192.0.2.10:53 --protocol udp --file site.yaml"""

MAX_PORT = 65535

PROTOCOL_OPTION = typer.Option(ProtocolName.TCP, "--protocol", help="Transport protocol.")
FILE_OPTION = typer.Option(
    None, "--file", help="Explain from this site document alone, offline and without privileges."
)
EXPLAIN_NODE_OPTION = typer.Option(
    None,
    "--node",
    help="The node document; optional with --file: devices are then named after their networks.",
)


def explain(
    client: str = typer.Argument(metavar="CLIENT-IP", help="The client's address."),
    virtual: str = typer.Argument(
        metavar="VIP[:PORT]",
        help="Virtual address and port; IPv6 in brackets. Without a port, that of the address's one service.",
    ),
    protocol: ProtocolName = PROTOCOL_OPTION,
    client_port: int | None = typer.Option(
        None, "--client-port", min=1, max=MAX_PORT, help="Source port: for sh-port, mh-port, connections."
    ),
    file: Path | None = FILE_OPTION,
    node: Path | None = EXPLAIN_NODE_OPTION,
    socket: Path | None = DAEMON_OPTION,
    as_json: bool = typer.Option(False, "--json", help="Print one JSON document."),
) -> int:
    """Explain which real server a client gets, and why.

    Follows a new connection through address translation, mark, service and scheduler, and its replies back;
    for an inside machine as the client, how its packets leave. While the daemon runs, it answers; otherwise
    the live kernel is read, with names from the site document where there is one. With --file only the
    documents are read.
    """
    from msgspec import to_builtins

    from kernelbal.cli.explain_view import print_explanation
    from kernelbal.cli.output import put_json
    from kernelbal.plan.explain.document import explanation_document
    from kernelbal.plan.explain.query import ExplainQuery

    source = _parsed_address(client, "CLIENT-IP")
    address, port = parse_endpoint(virtual)
    if len(source) != len(address):
        raise typer.BadParameter(
            f"`{client}` and `{virtual}` are of different address families", param_hint="CLIENT-IP"
        )
    query = ExplainQuery(source, address, port or 0, protocol.number, client_port)
    if file is not None:
        explanation = explanation_document(_offline(query, file, node))
    else:
        explanation = _live(query, socket, node or NODE_FILE)
    if as_json:
        put_json(to_builtins(explanation))
    else:
        print_explanation(explanation)
    return ExitCode.OK


def parse_endpoint(text: str) -> tuple[Address, int | None]:
    """Return address and port of `192.0.2.1:80`, `[2001:db8::1]:80`, or an address alone.

    Raises:
        typer.BadParameter: it is none of these.
    """
    bare, colon, port_text = text.rpartition(":")
    if text.startswith("[") and text.endswith("]"):
        return _parsed_address(text[1:-1], "VIP:PORT"), None
    bracketed = bare.startswith("[") and bare.endswith("]")
    if not colon or (":" in bare and not bracketed):
        return _parsed_address(text, "VIP:PORT"), None
    address = _parsed_address(bare[1:-1] if bracketed else bare, "VIP:PORT")
    if not (port_text.isascii() and port_text.isdigit() and 1 <= int(port_text) <= MAX_PORT):
        raise typer.BadParameter(
            f"`{port_text}` is not a port of 1-{MAX_PORT}; hint: write `{bare}:80`", param_hint="VIP:PORT"
        )
    return address, int(port_text)


def _parsed_address(text: str, argument: str) -> Address:
    from kernelbal.model.address import parse_address

    try:
        return parse_address(text)
    except ValueError as error:
        hint = "write `192.0.2.10` or `2001:db8::10`, with a port `192.0.2.10:80` or `[2001:db8::10]:80`"
        raise typer.BadParameter(f"{error}; hint: {hint}", param_hint=argument) from error


def _offline(query: ExplainQuery, file: Path, node_file: Path | None) -> Explanation:
    from kernelbal.cli.documents import read_node, read_site
    from kernelbal.plan.desire import desired_state
    from kernelbal.plan.explain.engine import explain, with_port
    from kernelbal.plan.explain.views import site_view

    site = read_site(file)
    node = read_node(node_file) if node_file is not None else _nameless_node(site)
    view = site_view(site, desired_state(site, node))
    return explain(with_port(query, view), view)


def _nameless_node(site: Site) -> Node:
    """Return a node whose devices are called like the networks that they lead to."""
    from kernelbal.model.node import Node
    from kernelbal.plan.edge import leaving
    from kernelbal.plan.networks import network_of

    networks = {*site.networks, *(network_of(site, service) for service in site.virtual_services)}
    networks.update(network for _, network, _ in leaving(site))
    networks.update(route.network for route in (site.edge.routes if site.edge else ()))
    return Node(name="any", interfaces={name: name for name in networks})


def _live(query: ExplainQuery, socket: Path | None, node_file: Path) -> ExplanationDocument:
    """Ask the daemon, which needs no privileges; without one read the kernel."""
    from msgspec import convert

    from kernelbal.cli.api_client import daemon_of
    from kernelbal.errors import NoDaemon
    from kernelbal.model.address import format_address
    from kernelbal.model.answers import ExplainRequest

    request = convert(
        {
            "client": format_address(query.client),
            "virtual_address": format_address(query.virtual),
            "port": query.port or None,
            "protocol": query.protocol.name.lower(),
            "client_port": query.client_port,
        },
        ExplainRequest,
    )
    try:
        return daemon_of(socket, node_file).explain(request)
    except NoDaemon:
        return _explained_here(query, node_file)


def _explained_here(query: ExplainQuery, node_file: Path) -> ExplanationDocument:
    from kernelbal.kernel.linux import LinuxKernel
    from kernelbal.plan.explain.document import explanation_document
    from kernelbal.reconcile.explain import explain_kernel

    documents = _documents(SITE_FILE, node_file)
    with LinuxKernel() as kernel:
        return explanation_document(explain_kernel(kernel, query, documents))


def _documents(site_file: Path, node_file: Path) -> tuple[Site, DesiredState] | None:
    """Return the documents for their names; without them the explanation only lacks the names."""
    from kernelbal.cli.documents import read_node, read_site
    from kernelbal.cli.output import warn
    from kernelbal.errors import KernelbalError
    from kernelbal.plan.desire import desired_state

    if not (site_file.exists() and node_file.exists()):
        return None
    try:
        site = read_site(site_file)
        return site, desired_state(site, read_node(node_file))
    except KernelbalError as error:
        warn(f"explaining without the site document: {error.message}", error.hint)
        return None
