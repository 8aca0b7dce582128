"""Where the values of a document stand in its text.

Read only when something is wrong: a second pass of the parser looks for the paths in question and skips
everything else.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import NamedTuple

import yaml
from yaml.events import (
    CollectionEndEvent,
    CollectionStartEvent,
    Event,
    MappingStartEvent,
    ScalarEvent,
    SequenceStartEvent,
)

from kernelbal.config.violation import Path

Loader: type[yaml.CSafeLoader | yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""The C parser, or the slow one in Python where PyYAML was built without libyaml."""


class Mark(NamedTuple):
    """A position in the text; line and column count from 1."""

    line: int
    column: int


class TextPlace(NamedTuple):
    """Where a key and its value begin; both are the same for an item of a list."""

    key: Mark
    value: Mark


_Wanted = dict[str | int, "_Wanted"]
"""The paths that are looked for, as a tree."""

START = TextPlace(Mark(1, 1), Mark(1, 1))
"""The beginning of a document."""


def mark_of(event: Event | None) -> Mark:
    """Return where an event of the parser begins."""
    mark = None if event is None else event.start_mark
    return Mark(1, 1) if mark is None else Mark(mark.line + 1, mark.column + 1)


def find_places(text: bytes, paths: Iterable[Path]) -> dict[Path, TextPlace]:
    """Return the places of those `paths` that exist in a document.

    Of a document that is no YAML throughout, those before its first error. Of a key that is given twice the
    first one counts.
    """
    wanted: _Wanted = {}
    for path in paths:
        branch = wanted
        for step in path:
            branch = branch.setdefault(step, {})
    parser, places = Loader(text), dict[Path, TextPlace]()
    try:
        with suppress(yaml.YAMLError):
            for path, place in _PlaceFinder(iter(parser.get_event, None)).document(wanted):
                places[path] = place
    finally:
        parser.dispose()
    return places


def nearest_place(places: dict[Path, TextPlace], path: Path) -> TextPlace:
    """Return the place of `path`, or of the innermost setting around it that exists."""
    for length in range(len(path), -1, -1):
        place = places.get(path[:length])
        if place is not None:
            return place
    return START


class _PlaceFinder:
    """One pass over the events; recursion is bounded by the length of the paths."""

    def __init__(self, events: Iterator[Event | None]) -> None:
        self._events = events

    def document(self, wanted: _Wanted) -> Iterator[tuple[Path, TextPlace]]:
        for event in self._events:
            if isinstance(event, ScalarEvent | CollectionStartEvent):
                mark = mark_of(event)
                yield (), TextPlace(mark, mark)
                yield from self._inside(event, wanted, ())
                return

    def _inside(self, event: Event | None, wanted: _Wanted, path: Path) -> Iterator[tuple[Path, TextPlace]]:
        if wanted and isinstance(event, MappingStartEvent):
            yield from self._mapping(dict(wanted), path)
        elif wanted and isinstance(event, SequenceStartEvent):
            yield from self._sequence(wanted, path)
        elif isinstance(event, CollectionStartEvent):
            self._skip()

    def _mapping(self, wanted: _Wanted, path: Path) -> Iterator[tuple[Path, TextPlace]]:
        for event in self._events:
            if isinstance(event, CollectionEndEvent):
                return
            key = event.value if isinstance(event, ScalarEvent) else None
            at_key = mark_of(event)
            event = next(self._events)
            branch = wanted.pop(key, None) if key is not None else None
            if branch is not None and key is not None:
                yield (*path, key), TextPlace(at_key, mark_of(event))
            yield from self._inside(event, branch or {}, (*path, key or ""))

    def _sequence(self, wanted: _Wanted, path: Path) -> Iterator[tuple[Path, TextPlace]]:
        for index, event in enumerate(self._events):
            if isinstance(event, CollectionEndEvent):
                return
            branch = wanted.get(index)
            if branch is not None:
                mark = mark_of(event)
                yield (*path, index), TextPlace(mark, mark)
            yield from self._inside(event, branch or {}, (*path, index))

    def _skip(self) -> None:
        depth = 1
        for event in self._events:
            if isinstance(event, CollectionStartEvent):
                depth += 1
            elif isinstance(event, CollectionEndEvent):
                depth -= 1
                if not depth:
                    return
