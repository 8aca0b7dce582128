"""What a model says against a document, in plain words.

The model stops at the first fault of a long list, so that a document full of faults costs no more than one
without. Only then are the items of long lists validated one by one, until `MAX_FINDINGS`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from enum import Enum
from typing import NamedTuple, get_args, get_origin

from pydantic import BaseModel, FailFast, ValidationError
from pydantic_core import ErrorDetails

from kernelbal.config.document import Data
from kernelbal.config.finding import Finding, Path, one_line, shown, value_at
from kernelbal.config.vocabulary import key_hint, means, value_hint
from kernelbal.config.wording import Setting, describe, key_of, setting_at, step_into
from kernelbal.model.fields import DOCUMENT

MAX_FINDINGS = 1000
"""Most findings of one document."""

_MAX_MESSAGE_CHARACTERS = 200


def find_faults(model: type[BaseModel], data: Data) -> Iterator[Finding]:
    """Yield every fault that `model` finds in `data`; nothing when it accepts the data."""
    for path, error in _errors(model, data, ()):
        if error["type"] != "missing" or not _is_renamed(model, path, error["input"]):
            yield _finding(model, path, error)


def _is_renamed(model: type[BaseModel], path: Path, mapping: object) -> bool:
    """Return whether a missing key is there under a foreign name, which is reported by itself."""
    inner = setting_at(model, path[:-1]).model
    if inner is None or not isinstance(mapping, dict):
        return False
    return any(key not in inner.model_fields and means(key, inner, str(path[-1])) for key in mapping)


def _errors(model: type[BaseModel], data: Data, path: Path) -> Iterator[tuple[Path, ErrorDetails]]:
    """Yield the errors of a model; a list that stops at its first fault is gone through item by item."""
    try:
        model.model_validate(data, context=DOCUMENT)
    except ValidationError as error:
        details = error.errors(include_url=False)
    else:
        return
    visited: set[Path] = set()
    for detail in details:
        steps = detail["loc"]
        place = _long_list(model, steps)
        if place is None:
            yield (*path, *steps), detail
        elif place not in visited:
            visited.add(place)
            item_model = setting_at(model, (*place, 0)).model
            items = value_at(data, place)
            if item_model is not None and isinstance(items, list):
                for index, item in enumerate(items):
                    yield from _errors(item_model, item, (*path, *place, index))


def _long_list(model: type[BaseModel], steps: Path) -> Path | None:
    """Return the outermost list around a fault that stops at its first one, with a model of its items."""
    setting = Setting(model)
    for depth, step in enumerate(steps):
        if isinstance(step, int) and any(isinstance(each, FailFast) for each in setting.metadata):
            return steps[:depth]
        inner = step_into(setting, step)
        if inner is None:
            return None
        setting = inner
    return None


class _Fault(NamedTuple):
    """One error of the model, with everything that its words need."""

    setting: Setting
    path: Path
    error: ErrorDetails

    @property
    def value(self) -> object:
        return self.error["input"]

    @property
    def shown(self) -> str:
        """The value in one line; not that of a secret."""
        return "(hidden)" if self.is_secret else shown(self.value)

    @property
    def is_secret(self) -> bool:
        """Whether the value does not belong in messages."""
        return self.setting.field is not None and not self.setting.field.repr

    @property
    def last(self) -> str:
        return shown(self.path[-1]) if self.path else "the document"

    def finding(self, message: str, hint: str | None = None, *, at_key: bool = False) -> Finding:
        return Finding(self.path, message, describe(self.setting), hint or self.about, at_key)

    @property
    def about(self) -> str | None:
        field = self.setting.field
        if field is None or not field.description:
            return None
        return f"`{self.setting.key}`: {field.description}"


def _finding(model: type[BaseModel], path: Path, error: ErrorDetails) -> Finding:
    if path[-1:] == ("[key]",) and (key := key_of(setting_at(model, path[:-2]))):
        return _free_key(_Fault(key, path[:-1], error))
    fault = _Fault(setting_at(model, path), path, error)
    words = _WORDS.get(error["type"], _of_wrong_type)
    return words(fault)


def _missing(fault: _Fault) -> Finding:
    return fault.finding(f"`{fault.last}` is missing")


def _unknown_key(fault: _Fault) -> Finding:
    model = fault.setting.model
    known = tuple(model.model_fields) if model else ()
    hint = key_hint(str(fault.path[-1]), fault.error["input"], model) if model else None
    expected = f"one of the keys {', '.join(f'`{key}`' for key in known)}"
    return Finding(fault.path, f"unknown key `{fault.last}`", expected, hint or "remove it", at_key=True)


def _unknown_value(fault: _Fault) -> Finding:
    if not isinstance(fault.value, str):
        return _of_wrong_type(fault)
    hint = value_hint(fault.setting.key, fault.value, _choices(fault.setting))
    return fault.finding(f"invalid value `{shown(fault.value)}`", hint)


def _wrong_value(fault: _Fault) -> Finding:
    reason = str(fault.error.get("ctx", {}).get("error", fault.error["msg"]))
    if len(reason) > _MAX_MESSAGE_CHARACTERS or fault.is_secret:
        reason = f"invalid value `{fault.shown}`"
    return fault.finding(one_line(reason))


def _too_small(fault: _Fault) -> Finding:
    return fault.finding(f"{fault.shown} is too small")


def _too_large(fault: _Fault) -> Finding:
    return fault.finding(f"{fault.shown} is too large")


def _bad_text(fault: _Fault) -> Finding:
    return fault.finding(f"invalid value `{fault.shown}`")


def _too_short(fault: _Fault) -> Finding:
    return fault.finding(f"`{fault.last}` is empty")


def _too_long(fault: _Fault) -> Finding:
    limit = fault.error.get("ctx", {}).get("max_length")
    length = f"{len(fault.value)} characters" if isinstance(fault.value, str) else "too long"
    return fault.finding(f"`{fault.last}` has {length}; the limit is {limit}")


def _free_key(fault: _Fault) -> Finding:
    message = f"invalid name `{fault.last}`"
    return Finding(fault.path, message, describe(fault.setting), None, at_key=True)


def _of_wrong_type(fault: _Fault) -> Finding:
    kind = _kind(fault.value)
    if fault.is_secret and "`" in kind:
        kind = "a number" if isinstance(fault.value, int | float) else "text"
    return fault.finding(f"found {kind}", _type_hint(fault))


def _type_hint(fault: _Fault) -> str | None:
    value, kind = fault.value, fault.setting.annotation
    if value is None:
        return "write a value, or remove the line"
    if kind is bool:
        return _SWITCHES.get(str(value).lower())
    if kind is int and isinstance(value, str) and value.strip().isdecimal():
        return "remove the quotes"
    if kind is str and isinstance(value, int | float):
        return "put it in quotes" if fault.is_secret else f'quote it: `"{shown(value)}"`'
    if isinstance(value, str) and fault.setting.key in _WRITTEN_OUT:
        return _WRITTEN_OUT[fault.setting.key]
    if get_origin(kind) is tuple:
        return "begin each item with `- `, or write `[...]`"
    return None


def _kind(value: object) -> str:
    match value:
        case None:
            return "nothing"
        case bool():
            return f"`{shown(value)}`"
        case int() | float():
            return f"the number `{shown(value)}`"
        case str():
            return f"the text `{shown(value)}`"
        case list():
            return "a list"
        case _:
            return "a mapping"


def _choices(setting: Setting) -> tuple[str, ...]:
    kind = setting.annotation
    if isinstance(kind, type) and issubclass(kind, Enum):
        return tuple(str(member.value) for member in kind)
    return tuple(map(str, get_args(kind)))


_SWITCHES = {
    **dict.fromkeys(("yes", "on", "1", "y", "enable", "enabled"), "write `true`"),
    **dict.fromkeys(("no", "off", "0", "n", "disable", "disabled"), "write `false`"),
}

_WRITTEN_OUT = {
    "real_servers": "write `{address: 10.0.0.11}`",
    "sorry_server": "write `{address: 10.0.0.99}`",
    "persistence": "write `{source_ip: {timeout: 5m}}`",
    "source_ip": "write `{timeout: 5m}`",
}
"""Mappings that other load balancers write as a word, by key."""

_WORDS: dict[str, Callable[[_Fault], Finding]] = {
    "missing": _missing,
    "extra_forbidden": _unknown_key,
    "enum": _unknown_value,
    "literal_error": _unknown_value,
    "value_error": _wrong_value,
    "greater_than_equal": _too_small,
    "less_than_equal": _too_large,
    "string_pattern_mismatch": _bad_text,
    "string_too_short": _too_short,
    "string_too_long": _too_long,
    "too_short": _too_short,
}
"""By pydantic's error type; the types that are not named here say that a value has the wrong type."""
