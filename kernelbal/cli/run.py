"""`kernelbal run`: the daemon that keeps a site true."""

from __future__ import annotations

from pathlib import Path

import typer

from kernelbal.cli.documents import NODE_OPTION, SITE_ARGUMENT, STATE_OPTION
from kernelbal.cli.exit_codes import ExitCode

EPILOG = """Examples:

kernelbal run   (as `systemctl start kernelbal` does)

kernelbal run site.yaml --node node.yaml --state-dir /tmp/state --socket /tmp/control.sock"""


def run(
    site: Path = SITE_ARGUMENT,
    node: Path = NODE_OPTION,
    state_dir: Path = STATE_OPTION,
    socket: str = typer.Option(
        "", "--socket", help="Unix socket of the control API; `api.socket` by default."
    ),
) -> int:
    """Run the daemon: check real servers, reconcile, report.

    It runs until SIGTERM. Then, and when it crashes, services stay in the kernel and go on serving; only
    `kernelbal release` removes them. A changed document comes into force by itself when it is valid, and is
    refused otherwise.
    """
    from kernelbal.runtime.director import service
    from kernelbal.runtime.director.documents import Paths

    service.run(service.Settings(Paths(site, node), state_dir, socket or None))
    return ExitCode.OK
