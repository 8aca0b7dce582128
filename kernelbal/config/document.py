"""YAML text to plain data: dicts, lists, text, numbers, booleans and None.

The C parser of PyYAML delivers events, and this module composes them, because PyYAML's constructors
accept what a configuration must not hold: duplicate keys, aliases that explode, tags, YAML 1.1 booleans.
Positions are not kept: a valid document, however large, does not pay for them, and for one with
problems `kernelbal.config.places` reads the text a second time.
"""

from __future__ import annotations

import gc
import re
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from typing import NoReturn

import yaml
from yaml.events import (
    AliasEvent,
    CollectionStartEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    NodeEvent,
    ScalarEvent,
    SequenceEndEvent,
    StreamEndEvent,
)

from kernelbal.config.places import Loader, find_places, mark_of, nearest_place
from kernelbal.config.scalars import PlainScalars, Scalar
from kernelbal.config.secrets import key_path, named
from kernelbal.config.syntax import syntax_problem
from kernelbal.config.violation import Path
from kernelbal.errors import ConfigError, Problem, Span

Data = Scalar | list["Data"] | dict[str, "Data"]
"""Plain data."""

MAX_BYTES = 64 * 1024 * 1024
"""Largest document; 100,000 real servers need about 6 MB."""
MAX_DEPTH = 32
"""Deepest nesting; a site document needs fewer than ten levels."""
MAX_KEYS = 1000
"""Most keys of one mapping; none of a site document needs a hundred."""
MAX_EVENTS = 4_000_000
"""Most parser events: scalars, and two for each mapping or list; 100,000 real servers need 600,000."""

_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What YAML 1.2.2 section 5.1 keeps out of a document, and the line breaks of YAML 1.1."""
_OLD_LINE_BREAKS = tuple(character.encode() for character in "\x85\u2028\u2029")
"""Ordinary characters in YAML 1.2, but the parser breaks lines at them and would change the text."""


class _Refused(Exception):
    """A construct that a configuration must not hold; `path` grows on the way up.

    Its message repeats nothing of the document, as that may be a secret.
    """

    def __init__(self, event: Event, message: str, expected: str, hint: str) -> None:
        super().__init__(message)
        self.problem = (message, expected, hint)
        self.mark = mark_of(event)
        self.path: list[str | int] = []
        self.duplicate = False


@contextmanager
def paused_gc() -> Iterator[None]:
    """Keep the cyclic garbage collector from walking a growing document repeatedly."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def compose(text: bytes, file: str) -> Data:
    """Return the data of one YAML document.

    Args:
        text: UTF-8, with or without a byte order mark; at most `MAX_BYTES`.
        file: name of the document for messages.

    Raises:
        ConfigError: it is not YAML, not text, too large or too deep, or holds duplicate keys, keys that are
            not text, aliases, anchors, tags, merge keys or a second document.
    """
    _require_text(text, file)
    try:
        with paused_gc():
            return _compose(text)
    except yaml.MarkedYAMLError as error:
        raise ConfigError((syntax_problem(error, text, file),)) from error
    except yaml.reader.ReaderError as error:
        raise ConfigError((_unprintable(text.decode(), file),)) from error
    except _Refused as refused:
        raise ConfigError((_problem(refused, text, file),)) from refused


def _require_text(text: bytes, file: str) -> None:
    if len(text) > MAX_BYTES:
        _refuse(file, f"{len(text):,} bytes", f"at most {MAX_BYTES:,} bytes", "split the site in several")
    if text.startswith((b"\xff\xfe", b"\xfe\xff")):
        _refuse(file, "the document is UTF-16", "UTF-8 text", "save the file as UTF-8")
    try:
        text.decode()
    except UnicodeDecodeError as error:
        before = text[: error.start]
        line = before.count(b"\n") + 1
        column = len(before[before.rfind(b"\n") + 1 :].decode()) + 1
        found = f"byte 0x{text[error.start]:02x} is not UTF-8 text"
        _refuse(file, found, "UTF-8 text", "save the file as UTF-8", line, column)
    if any(line_break in text for line_break in _OLD_LINE_BREAKS):
        raise ConfigError((_unprintable(text.decode(), file),))


def _unprintable(text: str, file: str) -> Problem:
    match = _UNPRINTABLE.search(text)
    start, code = (match.start(), ord(match[0])) if match else (0, 0)
    line = text.count("\n", 0, start) + 1
    column = start - text.rfind("\n", 0, start)
    hint = "remove the character; is this a text file?"
    return Problem(
        "", f"character U+{code:04X} cannot be in a document", "text", hint, Span(file, line, column)
    )


def _refuse(file: str, message: str, expected: str, hint: str, line: int = 1, column: int = 1) -> NoReturn:
    raise ConfigError((Problem("", message, expected, hint, Span(file, line, column)),))


def _problem(refused: _Refused, text: bytes, file: str) -> Problem:
    path: Path = tuple(reversed(refused.path))
    message, expected, hint = refused.problem
    if refused.duplicate:
        message = f"`{named(path)}` is given twice"
        hint = hint.format(line=nearest_place(find_places(text, [path]), path).key.line)
    span = Span(file, refused.mark.line, refused.mark.column)
    return Problem(key_path(path), message, expected, hint, span)


def _compose(text: bytes) -> Data:
    parser = Loader(text)
    try:
        composer = _Composer(parser)
        return composer.document()
    finally:
        parser.dispose()


class _Composer:
    """Composes events; recursion is bounded by `MAX_DEPTH`."""

    def __init__(self, parser: yaml.CSafeLoader | yaml.SafeLoader) -> None:
        self._events: Iterator[Event] = islice(iter(parser.get_event, None), MAX_EVENTS)
        self._plain = PlainScalars()
        self._keys: dict[str, str] = {}

    def document(self) -> Data:
        """Return the data of the only document."""
        next(self._events)
        start = next(self._events)
        if not isinstance(start, DocumentStartEvent):
            raise _Refused(start, "the document is empty", "a mapping", "write at least one key")
        data = self._value(next(self._events), 0)
        for event in self._events:
            if isinstance(event, DocumentStartEvent):
                hint = "remove the `---` and what follows, or put it in a file of its own"
                raise _Refused(event, "a second document", "one document per file", hint)
            if isinstance(event, StreamEndEvent):
                return data
        raise _too_long(start)

    def _value(self, event: Event, depth: int) -> Data:
        if type(event) is ScalarEvent:
            return self._scalar(event)
        if isinstance(event, CollectionStartEvent):
            _require_bare(event)
            if depth == MAX_DEPTH:
                hint = "a site document needs fewer than ten levels"
                raise _Refused(event, "nested too deeply", f"at most {MAX_DEPTH} levels", hint)
            if type(event) is MappingStartEvent:
                return self._mapping(event, depth + 1)
            return self._sequence(event, depth + 1)
        if isinstance(event, AliasEvent):
            hint = "write the value out; quote text that begins with `*`"
            raise _Refused(event, "an alias (`*...`)", "a value", hint)
        raise _too_long(event)

    def _scalar(self, event: ScalarEvent) -> Scalar:
        if event.anchor is not None or event.tag is not None:
            _require_bare(event)
        return self._plain[event.value] if event.implicit[0] else event.value

    def _mapping(self, start: Event, depth: int) -> dict[str, Data]:
        data: dict[str, Data] = {}
        plain, keys, events = self._plain, self._keys, self._events
        for key_event in events:
            if type(key_event) is not ScalarEvent:
                if type(key_event) is MappingEndEvent:
                    return data
                raise _bad_key(key_event)
            key = keys.get(key_event.value)
            if key is None or not key_event.implicit[0] or key_event.anchor is not None:
                key = self._key(key_event)
            if key in data or len(data) == MAX_KEYS:
                raise _refused_key(key_event, key, data)
            event = next(events, start)
            if type(event) is ScalarEvent and event.implicit[0] and event.anchor is None:
                data[key] = plain[event.value]
            else:
                data[key] = self._child(key, event, depth)
        raise _too_long(start)

    def _key(self, event: ScalarEvent) -> str:
        """Refuse a key that is not text; others are remembered, so that those that repeat are one object."""
        key = self._scalar(event)
        if type(key) is not str:
            raise _bad_key(event)
        if key == "<<":
            raise _refused_key(event, key, {})
        return self._keys.setdefault(key, key) if event.implicit[0] else key

    def _sequence(self, start: Event, depth: int) -> list[Data]:
        data: list[Data] = []
        for event in self._events:
            if type(event) is SequenceEndEvent:
                return data
            data.append(self._child(len(data), event, depth))
        raise _too_long(start)

    def _child(self, step: str | int, event: Event, depth: int) -> Data:
        try:
            return self._value(event, depth)
        except _Refused as refused:
            refused.path.append(step)
            raise


def _require_bare(event: NodeEvent) -> None:
    if event.anchor is not None:
        hint = "write the value out where it is needed; quote text that begins with `&`"
        raise _Refused(event, "an anchor (`&...`)", "a value", hint)
    if getattr(event, "tag", None) is not None:
        hint = "remove the tag; quote what must be text, and text that begins with `!`"
        raise _Refused(event, "a tag (`!...`)", "a value", hint)


def _bad_key(event: Event) -> _Refused:
    if not isinstance(event, NodeEvent):
        return _too_long(event)
    hint = "put it in quotes" if isinstance(event, ScalarEvent) else "write `key: value`"
    return _Refused(event, "a key that is not text", "a key that is text", hint)


def _refused_key(event: Event, key: str, data: dict[str, Data]) -> _Refused:
    if len(data) == MAX_KEYS:
        return _Refused(
            event, "too many keys in one mapping", f"at most {MAX_KEYS}", "is this a site document?"
        )
    if key == "<<":
        return _Refused(event, "merge key `<<`", "keys and values", "write the values out; nothing is merged")
    refused = _Refused(event, "given twice", "each key once", "the first is on line {line}")
    refused.path.append(key)
    refused.duplicate = True
    return refused


def _too_long(event: Event) -> _Refused:
    return _Refused(event, "too many values", f"at most {MAX_EVENTS:,}", "split the site in several")
