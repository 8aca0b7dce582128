"""The values that a setting takes, in words: for messages and for the reference."""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import Enum
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from kernelbal.config.violation import Path
from kernelbal.model.fields import Wording


class Setting(NamedTuple):
    """A place in the vocabulary.

    Attributes:
        annotation: type of the value, without `| None`.
        metadata: constraints and wording.
        field: the model's field; what is inside of a list or of a mapping with free keys has that one's.
        key: the field's name.
    """

    annotation: Any
    metadata: tuple[Any, ...] = ()
    field: FieldInfo | None = None
    key: str = ""

    @property
    def model(self) -> type[BaseModel] | None:
        """The model of the value, or None when it is no mapping with fixed keys."""
        is_model = isinstance(self.annotation, type) and issubclass(self.annotation, BaseModel)
        return self.annotation if is_model and (self._wording is None or self._wording.mapping) else None

    @property
    def wording(self) -> str | None:
        """The words that the type's author chose."""
        return self._wording.text if self._wording else None

    @property
    def _wording(self) -> Wording | None:
        return next((item for item in self.metadata if isinstance(item, Wording)), None)


def setting_at(model: type[BaseModel], path: Path) -> Setting:
    """Return the setting at `path`; the innermost one that exists when the path leads outside."""
    setting = Setting(model)
    for step in path:
        inner = step_into(setting, step)
        if inner is None:
            break
        setting = inner
    return setting


def step_into(setting: Setting, step: str | int) -> Setting | None:
    """Return the setting at one key or place below; None where there is no such."""
    if setting.model is not None:
        field = setting.model.model_fields.get(str(step))
        if field is None:
            return None
        inner = _unwrap(field.annotation)
        metadata = (*field.metadata, *inner.metadata)
        return Setting(inner.annotation, metadata, field, str(step))
    origin, arguments = get_origin(setting.annotation), get_args(setting.annotation)
    if origin is tuple and isinstance(step, int):
        return _unwrap(arguments[0])._replace(field=setting.field, key=setting.key)
    if origin is dict and isinstance(step, str):
        return _unwrap(arguments[1])._replace(field=setting.field, key=setting.key)
    return None


def key_of(setting: Setting) -> Setting | None:
    """Return what the keys of a mapping with free keys are; None for other settings."""
    if get_origin(setting.annotation) is not dict:
        return None
    return _unwrap(get_args(setting.annotation)[0])


def describe(setting: Setting) -> str:
    """Return what values a setting takes, such as `a whole number 0-65535`."""
    if setting.wording:
        return setting.wording
    kind = setting.annotation
    if setting.model is not None:
        return f"a mapping with the keys {_listed(setting.model.model_fields)}"
    if isinstance(kind, type) and issubclass(kind, Enum):
        return one_of(member.value for member in kind)
    if get_origin(kind) is Literal:
        return one_of(get_args(kind))
    if get_origin(kind) is tuple:
        item = _unwrap(get_args(kind)[0])
        return f"a list, each item {'a mapping' if item.model else describe(item)}"
    if get_origin(kind) is dict:
        return "a mapping"
    if kind is int:
        return f"a whole number{_range(setting.metadata)}"
    return {bool: "`true` or `false`", str: "text"}.get(kind, "a value")


def called(model: type[BaseModel]) -> str:
    """Return what messages call an item of a list: `virtual service` for `VirtualService`."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", model.__name__).lower()


def one_of(values: Iterable[object]) -> str:
    """Return the choice between literal values in words."""
    shown = [f"`{value}`" for value in values]
    return shown[0] if len(shown) == 1 else f"one of {', '.join(shown)}"


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _range(metadata: Iterable[Any]) -> str:
    low = next((item.ge for item in metadata if hasattr(item, "ge")), None)
    high = next((item.le for item in metadata if hasattr(item, "le")), None)
    if low is None or high is None:
        return ""
    return f" {low}-{high}"


def _unwrap(annotation: object) -> Setting:
    """Take `Annotated` and `| None` off a type."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        inner = _unwrap(arguments[0])
        return Setting(inner.annotation, (*arguments[1:], *inner.metadata))
    if origin in {Union, UnionType}:
        kinds = [kind for kind in arguments if kind is not NoneType]
        if len(kinds) == 1:
            return _unwrap(kinds[0])
    return Setting(annotation)
