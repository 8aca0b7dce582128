"""`kernelbal rs`: take real servers out of service, put them back, and verify them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from kernelbal.cli import rs_verify
from kernelbal.cli.api_client import SOCKET_OPTION
from kernelbal.cli.exit_codes import ExitCode

if TYPE_CHECKING:
    from kernelbal.cli.api_client import ApiClient
    from kernelbal.model.status import OrderAnswer, OrderRequest

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

DRAIN_EPILOG = """Examples:

kernelbal rs drain rs1 --timeout 5m --watch --reason "kernel update"

kernelbal rs drain 10.0.0.11 --service web --hold"""
DISABLE_EPILOG = """Example:

kernelbal rs disable rs1 --reason "disk broken"   (its connections are cut at once)"""
ENABLE_EPILOG = """Example:

kernelbal rs enable rs1"""
LIST_EPILOG = """Example:

kernelbal rs list --service web"""

POLL_S = 1.0
"""How often a watched drain is looked at, in seconds."""

SERVER_ARGUMENT = typer.Argument(
    metavar="NAME|ADDRESS", help="The real server's `name` or address in the site file; ADDRESS:PORT too."
)
SERVICE_OPTION = typer.Option("", "--service", help="Only in this virtual service; in all by default.")
REASON_OPTION = typer.Option("", "--reason", help="Why; `kernelbal status` shows it.")
JSON_OPTION = typer.Option(False, "--json", help="Print one JSON document.")


@app.command(epilog=DRAIN_EPILOG)
def drain(
    server: str = SERVER_ARGUMENT,
    service: str = SERVICE_OPTION,
    timeout: str = typer.Option(
        "",
        "--timeout",
        help="Cut what is left after this time, such as `5m`; the service's `drain` by default.",
    ),
    hold: bool = typer.Option(False, "--hold", help="Cut nothing; keep it at weight 0 when drained."),
    reason: str = REASON_OPTION,
    watch: bool = typer.Option(False, "--watch", help="Wait until it is drained, and show the progress."),
    socket: Path = SOCKET_OPTION,
    as_json: bool = JSON_OPTION,
) -> int:
    """Take a real server out of service, and let its connections end.

    The order holds, also over restarts, until `kernelbal rs enable`.
    """
    from kernelbal.cli.api_client import ApiClient

    client = ApiClient(socket)
    request = _request(server, service, reason, timeout_s=_seconds(timeout), hold=hold)
    answer = client.order("drain", request)
    if watch:
        _watch(client, answer)
    return _print_answer(answer, "drained" if watch else "draining", as_json=as_json)


@app.command(epilog=DISABLE_EPILOG)
def disable(
    server: str = SERVER_ARGUMENT,
    service: str = SERVICE_OPTION,
    reason: str = REASON_OPTION,
    socket: Path = SOCKET_OPTION,
    as_json: bool = JSON_OPTION,
) -> int:
    """Take a real server out at once, and cut its connections."""
    from kernelbal.cli.api_client import ApiClient

    answer = ApiClient(socket).order("disable", _request(server, service, reason))
    return _print_answer(answer, "disabled", as_json=as_json)


@app.command(epilog=ENABLE_EPILOG)
def enable(
    server: str = SERVER_ARGUMENT,
    service: str = SERVICE_OPTION,
    socket: Path = SOCKET_OPTION,
    as_json: bool = JSON_OPTION,
) -> int:
    """Put a drained or disabled real server back into service."""
    from kernelbal.cli.api_client import ApiClient

    answer = ApiClient(socket).order("enable", _request(server, service, ""))
    return _print_answer(answer, "enabled", as_json=as_json)


@app.command("list", epilog=LIST_EPILOG)
def list_servers(
    service: str = SERVICE_OPTION, socket: Path = SOCKET_OPTION, as_json: bool = JSON_OPTION
) -> int:
    """List real servers with their states, a line per service."""
    from msgspec import to_builtins

    from kernelbal.cli.api_client import ApiClient
    from kernelbal.cli.director_view import server_row
    from kernelbal.cli.output import put_json
    from kernelbal.cli.status import only
    from kernelbal.cli.table import SERVER_COLUMNS, print_servers

    services = only(ApiClient(socket).status(), service).virtual_services
    pairs = [(each.name, server) for each in services for server in each.real_servers]
    if as_json:
        put_json({"real_servers": [{"service": name, **to_builtins(server)} for name, server in pairs]})
    else:
        rows = [(name, *server_row(server)) for name, server in pairs]
        print_servers(("service", *SERVER_COLUMNS), [("", rows)])
    return ExitCode.OK


app.command("verify", epilog=rs_verify.EPILOG)(rs_verify.verify)


def _request(server: str, service: str, reason: str, **more: Any) -> OrderRequest:  # noqa: ANN401 - fields of the model
    from msgspec import ValidationError, convert

    from kernelbal.model.status import OrderRequest

    try:
        return convert({"server": server, "service": service or None, "reason": reason, **more}, OrderRequest)
    except ValidationError as error:
        raise typer.BadParameter(str(error)) from error


def _seconds(text: str) -> float | None:
    from kernelbal.model.units import parse_duration

    if not text:
        return None
    try:
        return parse_duration(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--timeout") from error


def _print_answer(answer: OrderAnswer, done: str, *, as_json: bool) -> int:
    from kernelbal.cli.director_view import server_text
    from kernelbal.cli.output import put, put_document

    if as_json:
        put_document(answer)
        return ExitCode.OK
    for service, server in zip(answer.services, answer.servers, strict=True):
        left = f", connections: {server.active} active, {server.inactive} inactive"
        put(f"{done}: {server_text(server)} in {service}{left if done == 'draining' else ''}")
    return ExitCode.OK


def _watch(client: ApiClient, answer: OrderAnswer) -> None:
    """Wait until no draining real server of an order is left; Ctrl-C ends the watch, not the drain."""
    import time

    from kernelbal.cli.drain_progress import DrainProgress, connections_left, find, watched
    from kernelbal.cli.progress import share_bar
    from kernelbal.model.overlay import ServerState

    wanted, progress = watched(answer), DrainProgress()
    with share_bar("draining") as show:
        while True:
            found = find(client.status(), wanted)
            draining = [
                (each.protocol, server) for each, server in found if server.state is ServerState.DRAINING
            ]
            progress.look(sum(connections_left(*each) for each in draining), time.monotonic())
            orders = [server.admin for _, server in draining if server.admin]
            cuts = [each.left_s for each in orders if each.left_s is not None]
            show(progress.most - progress.left, progress.most, progress.text(max(cuts, default=None)))
            if not draining:
                return
            time.sleep(POLL_S)
