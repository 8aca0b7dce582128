"""The valid part of a refused document, so that its conflicts are reported along with its problems.

It follows the models. Of a list or a mapping of models, the invalid items are left out; a value with an error
elsewhere is left out whole. The items of some lists are kept field by field: checks that name the fields that
they read can look at what is valid in them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Final, Generic, TypeVar, cast

from pydantic import BaseModel, TypeAdapter

from kernelbal.config.document import Data
from kernelbal.config.violation import Path
from kernelbal.config.wording import Setting, setting_at, step_into
from kernelbal.model.fields import DOCUMENT, Model

_Document = TypeVar("_Document", bound=Model)
_Errors = dict[str | int, "_Errors"]
"""Paths of errors as a tree; a leaf is the error itself."""
_NOTHING: Final = object()
"""In place of a value that is not valid."""


@dataclass(frozen=True, slots=True)
class ValidPart(Generic[_Document]):
    """A document, or what is valid of one.

    Attributes:
        document: a field of it that is invalid has its default; an item that is kept field by field has no
            attribute for an invalid one.
        incomplete: keys of the document below which something is missing.
        kept: of each list that lacks items, the places in the text of those that are left.
    """

    document: _Document
    incomplete: frozenset[str] = frozenset()
    kept: Mapping[Path, Sequence[int]] = field(default_factory=dict)

    def original(self, path: Path) -> Path:
        """Return the path in the text of a setting of `document`."""
        written: list[str | int] = []
        for step in path:
            places = self.kept.get(tuple(written)) if isinstance(step, int) else None
            written.append(places[step] if places and isinstance(step, int) else step)
        return tuple(written)


def salvage(
    model: type[_Document], data: Data, errors: Iterable[Path], by_field: Collection[type[BaseModel]]
) -> ValidPart[_Document] | None:
    """Return what is valid of a document, or None when that is nothing.

    Args:
        model: the document's.
        data: what it refused.
        errors: paths of everything that it found.
        by_field: models that are kept field by field.
    """
    tree: _Errors = {}
    for path in errors:
        branch = tree
        for step in path:
            branch = branch.setdefault(step, {})
    if not tree or not isinstance(data, dict):
        return None
    salvager = _Salvager(by_field)
    values = salvager.fields(model, data, tree, ())
    valid = {key: value for key, value in values.items() if value is not _NOTHING}
    document = cast("_Document", model.model_construct(None, **valid))
    return ValidPart(document, frozenset(map(str, tree)), salvager.kept)


@cache
def _adapter(model: type[BaseModel], key: str) -> TypeAdapter[object]:
    return TypeAdapter(model.model_fields[key].rebuild_annotation())


class _Salvager:
    """Walks data, models and errors side by side."""

    def __init__(self, by_field: Collection[type[BaseModel]]) -> None:
        self._by_field = by_field
        self.kept: dict[Path, Sequence[int]] = {}

    def fields(
        self, model: type[BaseModel], data: dict[str, Data], errors: _Errors, path: Path
    ) -> dict[str, object]:
        """Return the value of each field that is written or required; `_NOTHING` where it is not valid."""
        values: dict[str, object] = {}
        for key, info in model.model_fields.items():
            if key not in data:
                if info.is_required():
                    values[key] = _NOTHING
            elif key not in errors:
                values[key] = _adapter(model, key).validate_python(data[key], context=DOCUMENT)
            else:
                values[key] = self._value(setting_at(model, (key,)), data[key], errors[key], (*path, key))
        return values

    def _value(self, setting: Setting, data: Data, errors: _Errors, path: Path) -> object:
        if setting.model is not None:
            return self._mapping(setting.model, data, errors, path)
        if not errors:
            return _NOTHING
        if isinstance(data, list):
            found = self._items(setting, enumerate(data), errors, path)
            if len(found) < len(data):
                self.kept[path] = [int(place) for place in found]
            return tuple(found.values()) if self._has_models(setting, 0) else _NOTHING
        if isinstance(data, dict) and self._has_models(setting, ""):
            return self._items(setting, data.items(), errors, path)
        return _NOTHING

    def _has_models(self, setting: Setting, step: str | int) -> bool:
        inner = step_into(setting, step)
        return inner is not None and inner.model is not None

    def _items(
        self, setting: Setting, items: Iterable[tuple[str | int, Data]], errors: _Errors, path: Path
    ) -> dict[str | int, object]:
        """Return the items that are valid, by place or key."""
        found: dict[str | int, object] = {}
        for step, item in items:
            inner = step_into(setting, step)
            if inner is None or inner.model is None:
                continue
            if step not in errors:
                found[step] = inner.model.model_validate(item, context=DOCUMENT)
            elif (value := self._mapping(inner.model, item, errors[step], (*path, step))) is not _NOTHING:
                found[step] = value
        return found

    def _mapping(self, model: type[BaseModel], data: Data, errors: _Errors, path: Path) -> object:
        """Return a model; `_NOTHING` when one of its fields is, unless it is kept field by field."""
        values = self.fields(model, data, errors, path) if errors and isinstance(data, dict) else {}
        missing = [key for key, value in values.items() if value is _NOTHING]
        if model not in self._by_field:
            return _NOTHING if missing or not values else model.model_construct(None, **values)
        instance = model.model_construct(None, **values)
        for key in missing if values else model.model_fields:
            instance.__dict__.pop(key, None)
        return instance
