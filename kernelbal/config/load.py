"""Documents from text: everything that is wrong is reported at once, with its place."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import TypeVar

from pydantic import ValidationError

from kernelbal.config.checks.daemon import find_daemon_conflicts, find_taken_endpoint
from kernelbal.config.checks.subject import context_of
from kernelbal.config.checks.table import find_advice, find_conflicts
from kernelbal.config.document import Data, compose, paused_gc
from kernelbal.config.faults import find_faults
from kernelbal.config.finding import Finding, Path, key_path, shown
from kernelbal.config.partial import valid_part
from kernelbal.config.places import Place, find_places, nearest_place
from kernelbal.errors import ConfigError, Problem, Span
from kernelbal.model.fields import DOCUMENT, Model
from kernelbal.model.node import Node
from kernelbal.model.site import Site

MAX_PROBLEMS = 1000
"""Most problems that are reported of one document."""

_Document = TypeVar("_Document", bound=Model)


def load_site(text: bytes, file: str) -> Site:
    """Return the site that a document describes.

    Args:
        text: YAML, in UTF-8.
        file: name of the document for messages.

    Raises:
        ConfigError: the document is refused; it holds every problem, up to `MAX_PROBLEMS`.
    """
    with paused_gc():
        data = compose(text, file)
        try:
            site = Site.model_validate(data, context=DOCUMENT)
        except ValidationError as error:
            raise _refusal(_all_findings(data), text, file) from error
        conflicts = list(islice(find_conflicts(context_of(site)), MAX_PROBLEMS + 1))
        if conflicts:
            raise _refusal(_named(conflicts, data), text, file)
        return site


def load_node(text: bytes, file: str) -> Node:
    """Return the node that a document describes; arguments and errors are those of `load_site`."""
    data = compose(text, file)
    try:
        node = Node.model_validate(data, context=DOCUMENT)
    except ValidationError as error:
        findings = list(islice(find_faults(Node, data), MAX_PROBLEMS + 1))
        raise _refusal(findings, text, file) from error
    conflicts = list(islice(find_daemon_conflicts(node), MAX_PROBLEMS + 1))
    if conflicts:
        raise _refusal(conflicts, text, file)
    return node


def site_warnings(site: Site, text: bytes, file: str) -> tuple[Problem, ...]:
    """Return what works in a valid site, but hardly as intended."""
    findings = list(islice(find_advice(context_of(site)), MAX_PROBLEMS))
    names = {index: service.name for index, service in enumerate(site.virtual_services)}
    return _located([_with_name(finding, names) for finding in findings], text, file)


def node_problems(site: Site, node: Node, text: bytes, file: str) -> tuple[Problem, ...]:
    """Return what a valid node document (`text`, `file`) lacks for a valid site."""
    from kernelbal.config.checks.node import find_node_conflicts  # loads the planner; a site alone needs none

    findings = [*find_node_conflicts(site, node), *find_taken_endpoint(site, node)]
    return _located(findings, text, file)


def _all_findings(data: Data) -> list[Finding]:
    """Return the model's faults, and the conflicts of what is valid."""
    names = _names(data)
    findings = list(islice(find_faults(Site, data), MAX_PROBLEMS + 1))
    if len(findings) <= MAX_PROBLEMS:
        context = valid_part(data, findings)
        if context is not None:
            findings += islice(find_conflicts(context), MAX_PROBLEMS + 1 - len(findings))
    return [_with_name(finding, names) for finding in findings]


def _named(findings: Iterable[Finding], data: Data) -> list[Finding]:
    names = _names(data)
    return [_with_name(finding, names) for finding in findings]


def _names(data: Data) -> dict[int, str]:
    """Return the names of the virtual services, faulty or not, by their place."""
    services = data.get("virtual_services") if isinstance(data, dict) else None
    if not isinstance(services, list):
        return {}
    return {
        index: shown(service["name"])
        for index, service in enumerate(services)
        if isinstance(service, dict) and isinstance(service.get("name"), str)
    }


def _with_name(finding: Finding, names: dict[int, str]) -> Finding:
    """Say which virtual service a message is about, where that is known."""
    match finding.path:
        case ("virtual_services", int(index), *_) if index in names:
            message = f"virtual service `{names[index]}`: {finding.message}"
            return finding._replace(message=message)
    return finding


def _refusal(findings: Sequence[Finding], text: bytes, file: str) -> ConfigError:
    problems = _located(findings[:MAX_PROBLEMS], text, file)
    if len(findings) > MAX_PROBLEMS:
        hint = "mend these first"
        problems += (Problem("", f"more than {MAX_PROBLEMS} problems", hint=hint, span=Span(file, 1, 1)),)
    return ConfigError(problems)


def _located(findings: Sequence[Finding], text: bytes, file: str) -> tuple[Problem, ...]:
    """Return the findings with their places, in the order of the text."""
    if not findings:
        return ()
    paths = [finding.path for finding in findings]
    paths += [finding.other[0] for finding in findings if finding.other]
    places = find_places(text, paths)
    problems = [_problem(finding, places, file) for finding in findings]
    return tuple(sorted(problems, key=lambda problem: _order(problem.span)))


def _order(span: Span | None) -> tuple[int, int]:
    return (span.line, span.column) if span else (0, 0)


def _problem(finding: Finding, places: dict[Path, Place], file: str) -> Problem:
    path = _written(finding.path, places)
    place = nearest_place(places, path)
    # A missing key is shown where its mapping begins, one inside of a shorthand at the shorthand.
    mark = place.key if (path in places) is finding.at_key else place.value
    message = finding.message
    if finding.other is not None:
        other, name = finding.other
        line = nearest_place(places, other).key.line
        message += f" ({name}: line {line})"
    span = Span(file, mark.line, mark.column)
    return Problem(key_path(path), message, finding.expected, finding.hint, span)


def _written(path: Path, places: dict[Path, Place]) -> Path:
    """Return the path as it is written: `ports` where one port stands instead of a list."""
    while path and path not in places and isinstance(path[-1], int):
        path = path[:-1]
    return path
