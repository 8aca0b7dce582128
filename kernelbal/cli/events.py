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
    follow: bool = typer.Option(False, "--follow", "-f", help="Follow new events until Ctrl-C."),
    lines: int = typer.Option(20, "--lines", "-n", min=0, max=KEPT, help="How many of the last ones."),
    topic: str = typer.Option(
        "", "--topic", help="Only this topic: `real_server.down`, or `real_server` for all of its events."
    ),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON document per line."),
) -> int:
    """Show the last events, and new ones with --follow."""
    from kernelbal.cli.api_client import ApiClient

    _require_topic(topic)
    client = ApiClient(socket, None if follow else 60.0)
    past = client.events(0, KEPT)
    last = past[-1].seq if past else 0
    chosen = [each for each in past if _fits(each, topic)]
    _print(chosen[len(chosen) - min(lines, len(chosen)) :], as_json=as_json)
    if follow:
        _print((each for each in client.follow(last) if _fits(each, topic)), as_json=as_json)
    return ExitCode.OK


def _require_topic(wanted: str) -> None:
    """Refuse a topic that no event ever has; nothing would be printed, for ever.

    Raises:
        typer.BadParameter: it is none.
    """
    from kernelbal.model.event import Topic

    topics = [each.value for each in Topic]
    subjects = dict.fromkeys(each.partition(".")[0] for each in topics)
    if wanted and wanted not in (*subjects, *topics):
        known = [each for each in topics if each.startswith(f"{wanted.partition('.')[0]}.")]
        raise typer.BadParameter(
            f"there is no topic `{wanted}`; there are: {', '.join(known or subjects)}", param_hint="--topic"
        )


def _fits(event: Recorded, topic: str) -> bool:
    return not topic or event.topic == topic or event.topic.startswith(f"{topic}.")


def _print(found: Iterable[Recorded], *, as_json: bool) -> None:
    import sys

    from kernelbal.cli.output import put
    from kernelbal.runtime.director.logline import terminal_line
    from kernelbal.store.codec import encode_document

    for each in found:
        put(encode_document(each).decode() if as_json else terminal_line(each))
        sys.stdout.flush()
