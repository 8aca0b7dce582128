"""The errors of a model, in words for the author of the document.

The model stops at the first error of a long list, so that a document full of errors costs no more than one
without. Only then are the items of long lists validated one by one, as far
as the caller goes on asking.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from enum import Enum
from typing import NamedTuple, get_args, get_origin

from pydantic import BaseModel, FailFast, ValidationError
from pydantic_core import ErrorDetails

from kernelbal.config.document import Data
from kernelbal.config.secrets import CUT, HIDDEN, holds_secrets, is_secret, named
from kernelbal.config.violation import Path, Violation, shown, value_at
from kernelbal.config.vocabulary import flow, key_hint, means, value_hint
from kernelbal.config.wording import Setting, describe, key_of, setting_at, step_into
from kernelbal.model.fields import DOCUMENT
from kernelbal.model.text import one_line

_MAX_MESSAGE_CHARACTERS = 200


def find_model_errors(model: type[BaseModel], data: Data) -> Iterator[Violation]:
    """Yield every error that `model` finds in `data`; nothing when it accepts the data."""
    for path, error in _errors(model, data, ()):
        if error["type"] != "missing" or not _is_renamed(model, path, error["input"]):
            yield _violation(model, path, error)


def _is_renamed(model: type[BaseModel], path: Path, mapping: object) -> bool:
    """Return whether a missing key is there under a foreign name, which is reported by itself."""
    inner = setting_at(model, path[:-1]).model
    if inner is None or not isinstance(mapping, dict):
        return False
    return any(key not in inner.model_fields and means(key, inner, str(path[-1])) for key in mapping)


def _errors(model: type[BaseModel], data: Data, path: Path) -> Iterator[tuple[Path, ErrorDetails]]:
    """Yield the errors of a model; a list that stops at its first error is gone through item by item."""
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
    """Return the outermost list around a error that stops at its first one, with a model of its items."""
    setting = Setting(model)
    for depth, step in enumerate(steps):
        if isinstance(step, int) and any(isinstance(each, FailFast) for each in setting.metadata):
            return steps[:depth]
        inner = step_into(setting, step)
        if inner is None:
            return None
        setting = inner
    return None


class _ModelError(NamedTuple):
    """One error of the model, with everything that its words need."""

    setting: Setting
    path: Path
    detail: ErrorDetails

    @property
    def value(self) -> object:
        return self.detail["input"]

    @property
    def shown(self) -> str:
        """The value in one line; not that of a secret."""
        return HIDDEN if self.is_secret else shown(self.value)

    @property
    def is_secret(self) -> bool:
        """Whether the value does not belong in messages; nor does one alone where a mapping has a secret."""
        field = self.setting.field
        return (field is not None and is_secret(field)) or holds_secrets(self.setting.annotation)

    @property
    def last(self) -> str:
        return named(self.path) if self.path else "the document"

    def violation(self, message: str, hint: str | None = None, *, at_key: bool = False) -> Violation:
        return Violation(self.path, message, describe(self.setting), hint or self.about, at_key)

    @property
    def about(self) -> str | None:
        field = self.setting.field
        if field is None or not field.description:
            return None
        return f"`{self.setting.key}`: {field.description}"


def _violation(model: type[BaseModel], path: Path, detail: ErrorDetails) -> Violation:
    if path[-1:] == ("[key]",) and (key := key_of(setting_at(model, path[:-2]))):
        return _free_key(_ModelError(key, path[:-1], detail))
    error = _ModelError(setting_at(model, path), path, detail)
    words = _WORDS.get(detail["type"], _of_wrong_type)
    return error.violation(words.format(error)) if isinstance(words, str) else words(error)


def _unknown_key(error: _ModelError) -> Violation:
    model = error.setting.model
    known = tuple(model.model_fields) if model else ()
    hint = key_hint(str(error.path[-1]), error.detail["input"], model) if model else None
    expected = f"one of the keys {', '.join(f'`{key}`' for key in known)}"
    return Violation(error.path, f"unknown key `{error.last}`", expected, hint or "remove it", at_key=True)


def _unknown_value(error: _ModelError) -> Violation:
    if not isinstance(error.value, str):
        return _of_wrong_type(error)
    hint = value_hint(error.setting.key, error.value, _choices(error.setting))
    return error.violation(f"invalid value `{shown(error.value)}`", hint)


def _wrong_value(error: _ModelError) -> Violation:
    reason = str(error.detail.get("ctx", {}).get("error", error.detail["msg"]))
    if len(reason) > _MAX_MESSAGE_CHARACTERS or error.is_secret:
        reason = f"invalid value `{error.shown}`"
    return error.violation(one_line(reason))


def _too_long(error: _ModelError) -> Violation:
    limit = error.detail.get("ctx", {}).get("max_length")
    length = f"{len(error.value)} characters" if isinstance(error.value, str) else "too long"
    return error.violation(f"`{error.last}` has {length}; the limit is {limit}")


def _free_key(error: _ModelError) -> Violation:
    message = f"invalid name `{error.last}`"
    return Violation(error.path, message, describe(error.setting), None, at_key=True)


def _of_wrong_type(error: _ModelError) -> Violation:
    kind = _kind(error.value)
    if error.is_secret and "`" in kind:
        kind = "a number" if isinstance(error.value, int | float) else "text"
    return error.violation(f"found {kind}", _type_hint(error))


def _type_hint(error: _ModelError) -> str | None:
    value, kind = error.value, error.setting.annotation
    if value is None:
        return "write a value, or remove the line"
    if kind is bool:
        return _SWITCHES.get(str(value).lower())
    if kind is int and isinstance(value, str) and value.strip().isdecimal():
        return "remove the quotes"
    if kind is str and isinstance(value, int | float):
        return "put it in quotes" if error.is_secret else f'quote it: `"{shown(value)}"`'
    if isinstance(value, str | int | float) and error.setting.model is not None:
        return _as_mapping(error, error.setting.model, value)
    if get_origin(kind) is tuple:
        return "begin each item with `- `, or write `[...]`"
    return None


def _as_mapping(error: _ModelError, model: type[BaseModel], value: str | float) -> str | None:
    """Return how a value that is written alone goes into its mapping: `{address: 10.0.0.11}`."""
    for field in model.model_fields:
        if not any(_errors(model, {field: value}, ())):
            return f"write `{flow({field: CUT if error.is_secret else value}, outermost=False)}`"
    return None if error.is_secret else value_hint(error.setting.key, str(value), ())


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

_WORDS: dict[str, str | Callable[[_ModelError], Violation]] = {
    "missing": "`{0.last}` is missing",
    "extra_forbidden": _unknown_key,
    "enum": _unknown_value,
    "literal_error": _unknown_value,
    "value_error": _wrong_value,
    "greater_than_equal": "{0.shown} is too small",
    "less_than_equal": "{0.shown} is too large",
    "string_pattern_mismatch": "invalid value `{0.shown}`",
    "string_too_short": "`{0.last}` is empty",
    "string_too_long": _too_long,
    "too_short": "`{0.last}` is empty",
}
"""By pydantic's error type; the types that are not named here say that a value has the wrong type."""
