"""`kernelbal check`: is this document right?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from kernelbal.cli.documents import NODE_FILE, SITE_ARGUMENT, SITE_FILE
from kernelbal.cli.exit_codes import ExitCode
from kernelbal.model.units import counted

if TYPE_CHECKING:
    from kernelbal.errors import Problem
    from kernelbal.model.node import Node
    from kernelbal.model.site import Site

EPILOG = """Examples:

kernelbal check

kernelbal check site.yaml

kernelbal check site.yaml --node node.yaml --json | jq -r .problems[].message"""


NODE_OPTION = typer.Option(
    None, "--node", help=f"The node document; {NODE_FILE} when SITE is not given. Optional."
)


def check(
    site: Path = SITE_ARGUMENT,
    node: Path | None = NODE_OPTION,
    as_json: bool = typer.Option(False, "--json", help="Print one JSON document."),
) -> int:
    """Check the site document, and the node document with it.

    Needs neither root nor IPVS. Every problem is shown with its place and a hint.
    """
    if node is None and site == SITE_FILE and NODE_FILE.exists():
        node = NODE_FILE
    from kernelbal.config.document import paused_gc

    report = _DocumentReport()
    with paused_gc():
        report.read(site, node)
    if as_json:
        report.print_json(site, node)
    else:
        report.print_text(site, node)
    return ExitCode.CONFIG if report.problems else ExitCode.OK


class _DocumentReport:
    """What was found in both documents."""

    def __init__(self) -> None:
        self.problems: tuple[Problem, ...] = ()
        self.warnings: tuple[Problem, ...] = ()
        self.site: Site | None = None

    def read(self, site_path: Path, node_path: Path | None) -> None:
        """Check both documents, then whether they fit together."""
        from kernelbal.config.load import node_problems, site_warnings
        from kernelbal.store.documents import read_document

        site_text = read_document(site_path, "site")
        node_text = read_document(node_path, "node") if node_path else b""
        self.site = self._site(site_text, str(site_path))
        if self.site is not None:
            self.warnings = site_warnings(self.site, site_text, str(site_path))
        if node_path is not None:
            node = self._node(node_text, str(node_path))
            if node is not None and self.site is not None:
                self.problems += node_problems(self.site, node, node_text, str(node_path))

    def _site(self, text: bytes, file: str) -> Site | None:
        from kernelbal.config.load import load_site
        from kernelbal.errors import ConfigError

        try:
            return load_site(text, file)
        except ConfigError as error:
            self.problems += error.problems
            return None

    def _node(self, text: bytes, file: str) -> Node | None:
        from kernelbal.config.load import load_node
        from kernelbal.errors import ConfigError

        try:
            return load_node(text, file)
        except ConfigError as error:
            self.problems += error.problems
            return None

    def counts(self) -> tuple[int, int]:
        """Return how many virtual services and real servers the site has."""
        services = self.site.virtual_services if self.site else ()
        return len(services), sum(len(service.real_servers) for service in services)

    def print_text(self, site: Path, node: Path | None) -> None:
        """Print blocks to standard error, and one line to standard output when all is right."""
        from kernelbal.cli.output import print_error, put, say
        from kernelbal.cli.problems import problems_text
        from kernelbal.errors import ConfigError

        if self.warnings:
            say(problems_text(self.warnings, "warning: ") + "\n")
        if self.problems:
            print_error(ConfigError(self.problems))
            return
        services, servers = self.counts()
        names = f"{site} and {node} are" if node else f"{site} is"
        put(f"{names} valid: {counted(services, 'virtual service')}, {counted(servers, 'real server')}")

    def print_json(self, site: Path, node: Path | None) -> None:
        """Print one document to standard output."""
        from msgspec import to_builtins

        from kernelbal.cli.output import put_json
        from kernelbal.model.status import problem_document

        services, servers = self.counts()
        put_json(
            {
                "site": str(site),
                "node": str(node) if node else None,
                "valid": not self.problems,
                "virtual_services": services,
                "real_servers": servers,
                "problems": [to_builtins(problem_document(problem)) for problem in self.problems],
                "warnings": [to_builtins(problem_document(problem)) for problem in self.warnings],
            }
        )
