"""Documents from text: everything that is wrong is reported at once, with its place."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from itertools import islice
from typing import TypeVar

from pydantic import ValidationError

from kernelbal.config.checks.context import context_of
from kernelbal.config.checks.node import find_daemon_conflicts, find_node_conflicts, find_taken_endpoint
from kernelbal.config.checks.table import find_advice, find_conflicts
from kernelbal.config.document import Data, compose, paused_gc
from kernelbal.config.places import TextPlace, find_places, nearest_place
from kernelbal.config.salvage import ValidPart, salvage
from kernelbal.config.secrets import key_path
from kernelbal.config.violation import Path, Violation, shown, value_at
from kernelbal.config.wording import called, setting_at
from kernelbal.errors import ConfigError, Problem, Span
from kernelbal.model.fields import DOCUMENT, Model
from kernelbal.model.node import Node
from kernelbal.model.site import Site
from kernelbal.model.site.services import VirtualService

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
    return load_document(Site, text, file, _site_conflicts, by_field=(VirtualService,))


def load_node(text: bytes, file: str) -> Node:
    """Return the node that a document describes; arguments and errors are those of `load_site`."""
    return load_document(Node, text, file, lambda part: find_daemon_conflicts(part.document))


def load_document(
    model: type[_Document],
    text: bytes,
    file: str,
    conflicts: Callable[[ValidPart[_Document]], Iterable[Violation]],
    by_field: Collection[type[Model]] = (),
) -> _Document:
    """Return the document that a text describes.

    Args:
        model: the document's.
        text: YAML, in UTF-8.
        file: name of the document for messages.
        conflicts: finds what is wrong between the values of a document, or of the valid part of one.
        by_field: models of which `conflicts` looks at some fields while others are not valid.

    Raises:
        ConfigError: see `load_site`.
    """
    with paused_gc():
        data = compose(text, file)
        try:
            document = model.model_validate(data, context=DOCUMENT)
        except ValidationError:
            from kernelbal.config.model_errors import (
                find_model_errors,  # with all the words of other load balancers
            )

            violations = list(islice(find_model_errors(model, data), MAX_PROBLEMS + 1))
            if len(violations) <= MAX_PROBLEMS:
                part = salvage(model, data, [violation.path for violation in violations], by_field)
                violations += islice(_in_text(part, conflicts), MAX_PROBLEMS + 1 - len(violations))
            # Not `from` the model's error, which names values.
            raise _refusal(_named(violations, model, data), text, file) from None
        violations = list(islice(conflicts(ValidPart(document)), MAX_PROBLEMS + 1))
        if violations:
            raise _refusal(_named(violations, model, data), text, file)
        return document


def site_warnings(site: Site, text: bytes, file: str) -> tuple[Problem, ...]:
    """Return what works in a valid site, but hardly as intended."""
    violations = islice(find_advice(context_of(site)), MAX_PROBLEMS)
    return _located(_named(violations, Site, site), text, file)


def node_problems(site: Site, node: Node, text: bytes, file: str) -> tuple[Problem, ...]:
    """Return what a valid node document (`text`, `file`) lacks for a valid site."""
    violations = [*find_node_conflicts(site, node), *find_taken_endpoint(site, node)]
    return _located(violations, text, file)


def _site_conflicts(part: ValidPart[Site]) -> Iterator[Violation]:
    return find_conflicts(context_of(part.document, part.incomplete))


def _in_text(
    part: ValidPart[_Document] | None, conflicts: Callable[[ValidPart[_Document]], Iterable[Violation]]
) -> Iterator[Violation]:
    """Yield conflicts of the valid part with paths in the text."""
    if part is None:
        return
    for violation in conflicts(part):
        other = violation.other and (part.original(violation.other[0]), violation.other[1])
        yield violation._replace(path=part.original(violation.path), other=other)


def _named(violations: Iterable[Violation], model: type[Model], document: Data | Model) -> list[Violation]:
    """Say which items of lists messages are about, where those have names."""
    named: list[Violation] = []
    for violation in violations:
        titles = ", ".join(_titles(model, document, violation.path))
        message = f"{titles}: {violation.message}" if titles else violation.message
        named.append(violation._replace(message=message))
    return named


def _titles(model: type[Model], document: Data | Model, path: Path) -> Iterator[str]:
    """Yield how the items on a path are called: `virtual service `web``."""
    for depth, step in enumerate(path, 1):
        if isinstance(step, int) and (item := setting_at(model, path[:depth]).model) is not None:
            name = value_at(document, (*path[:depth], "name"))
            if isinstance(name, str):
                yield f"{called(item)} `{shown(name)}`"


def _refusal(violations: Sequence[Violation], text: bytes, file: str) -> ConfigError:
    problems = _located(violations[:MAX_PROBLEMS], text, file)
    if len(violations) > MAX_PROBLEMS:
        hint = "fix these first"
        problems += (Problem("", f"more than {MAX_PROBLEMS} problems", hint=hint, span=Span(file, 1, 1)),)
    return ConfigError(problems)


def _located(violations: Sequence[Violation], text: bytes, file: str) -> tuple[Problem, ...]:
    """Return the violations with their places, in the order of the text."""
    if not violations:
        return ()
    paths = [violation.path for violation in violations]
    paths += [violation.other[0] for violation in violations if violation.other]
    places = find_places(text, paths)
    problems = [_problem(violation, places, file) for violation in violations]
    return tuple(sorted(problems, key=lambda problem: _order(problem.span)))


def _order(span: Span | None) -> tuple[int, int]:
    return (span.line, span.column) if span else (0, 0)


def _problem(violation: Violation, places: dict[Path, TextPlace], file: str) -> Problem:
    path = _written(violation.path, places)
    place = nearest_place(places, path)
    # A missing key is shown where its mapping begins, one inside of a shorthand at the shorthand.
    mark = place.key if (path in places) is violation.at_key else place.value
    message = violation.message
    if violation.other is not None:
        other, name = violation.other
        line = nearest_place(places, other).key.line
        message += f" ({name}: line {line})"
    span = Span(file, mark.line, mark.column)
    return Problem(key_path(path), message, violation.expected, violation.hint, span)


def _written(path: Path, places: dict[Path, TextPlace]) -> Path:
    """Return the path as it is written: `ports` where one port stands instead of a list."""
    while path and path not in places and isinstance(path[-1], int):
        path = path[:-1]
    return path
