"""`kernelbal events`: what happened, and what is happening."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from kernelbal.cli.api_client import SOCKET_OPTION
from kernelbal.cli.exit_codes import ExitCode

if TYPE_CHECKING:
    from kernelbal.model.status import Recorded

EPILOG = """Examples:

kernelbal events --follow

kernelbal events --follow --topic real_server --json | jq .message"""

KEPT = 4096
"""More than this the daemon does not keep."""


def events(
    socket: Path = SOCKET_OPTION,
    follow: bool = typer.Option(False, "--follow", "-f", help="Go on with new ones until Ctrl-C."),
    lines: int = typer.Option(20, "--lines", "-n", min=0, max=KEPT, help="How many of the last ones."),
    topic: str = typer.Option(
        "", "--topic", help="Only these: `real_server.down`, or `real_server` for all."
    ),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON document per line."),
) -> int:
    """Show the last events, and new ones with --follow."""
    from kernelbal.cli.api_client import ApiClient

    client = ApiClient(socket, None if follow else 60.0)
    past = client.events(0, KEPT)
    last = past[-1].seq if past else 0
    chosen = [each for each in past if _fits(each, topic)]
    _print(chosen[len(chosen) - min(lines, len(chosen)) :], as_json=as_json)
    if follow:
        _print((each for each in client.follow(last) if _fits(each, topic)), as_json=as_json)
    return ExitCode.OK


def _fits(event: Recorded, topic: str) -> bool:
    return not topic or event.topic == topic or event.topic.startswith(f"{topic}.")


def _print(found: Iterable[Recorded], *, as_json: bool) -> None:
    import sys

    from kernelbal.cli.output import put

    for each in found:
        put(each.model_dump_json() if as_json else event_text(each))
        sys.stdout.flush()


def event_text(event: Recorded) -> str:
    """Return an event on one line."""
    where = f" [{event.service}]" if event.service else ""
    return f"{event.at} {event.severity:<7} {event.topic}{where} {event.message}"
