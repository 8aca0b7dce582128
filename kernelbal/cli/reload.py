"""`kernelbal reload`: make the daemon re-read its files."""

from __future__ import annotations

from pathlib import Path

import typer

from kernelbal.cli.api_client import SOCKET_OPTION
from kernelbal.cli.exit_codes import ExitCode

EPILOG = """Example:

kernelbal check && kernelbal reload"""


def reload(
    socket: Path = SOCKET_OPTION,
    as_json: bool = typer.Option(False, "--json", help="Print one JSON document."),
) -> int:
    """Make the daemon re-read its files.

    Invalid documents are refused, and the old ones stay in force.
    """
    from kernelbal.cli.api_client import ApiClient
    from kernelbal.cli.output import put, put_document, say

    answer = ApiClient(socket).reload()
    if as_json:
        put_document(answer)
    elif answer.loaded:
        put("reloaded" if answer.changed else "reloaded: nothing has changed")
    for problem in () if as_json else answer.problems:
        say(problem)
    if not answer.loaded and not as_json:
        say("refused: the old documents stay in force")
    return ExitCode.OK if answer.loaded else ExitCode.CONFIG
