"""What no problem of a document repeats: values of secret settings, however their author misplaced them.

A setting is secret when its model marks it with `repr=False`. A slip easily puts the value where another one,
or a key, is expected: `password=x`, `radius: x`. So what stands in a mapping that has such a setting is not
repeated either, and of a key only what is a word.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any, Final, NamedTuple, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from kernelbal.config.violation import Path, shown
from kernelbal.model.node import Node
from kernelbal.model.site import Site

HIDDEN: Final = "(hidden)"
CUT: Final = "..."
_LETTERS: Final = re.compile(r"[A-Za-z_-]*")
_STEP: Final = re.compile(r"[^.\[\]]+")


class _Names(NamedTuple):
    """Keys of the documents.

    Attributes:
        secret: of secret settings.
        holders: of mappings with a secret setting, and of lists of such.
        inside: all in those mappings.
    """

    secret: frozenset[str]
    holders: frozenset[str]
    inside: frozenset[str]


def is_secret(field: FieldInfo) -> bool:
    """Return whether the value of a setting belongs in no output."""
    return not field.repr


def holds_secrets(annotation: Any) -> bool:  # noqa: ANN401 - any type expression
    """Return whether a type is a mapping with a secret setting, or a list of such."""
    return any(map(is_secret, _fields_of(annotation)))


def named(path: Path) -> str:
    """Return the last key of a path; of one that may hold a secret, such as `password=x`, the first word."""
    key, names = shown(path[-1]), _names()
    if key in names.inside:
        return key
    above = [step for step in path[:-1] if isinstance(step, str)]
    is_close = not (names.secret.isdisjoint(above) and names.holders.isdisjoint(above[-1:]))
    word: str = _LETTERS.findall(key)[0]
    if word == key or not (is_close or word in names.secret | names.holders):
        return key
    return word + CUT


def key_path(path: Path) -> str:
    """Return `virtual_services[0].ports[1]` for `("virtual_services", 0, "ports", 1)`."""
    text = "".join(
        f"[{step}]" if isinstance(step, int) else f".{named(path[:depth])}"
        for depth, step in enumerate(path, 1)
    )
    return text.removeprefix(".")


def secret_names() -> frozenset[str]:
    """Return the keys of the secret settings of both documents."""
    return _names().secret


def may_be_secret(key: str) -> bool:
    """Return whether a secret may stand at a setting.

    Args:
        key: as `key_path` returns it.
    """
    names = _names()
    steps: list[str] = ["", "", *(step for step in _STEP.findall(key) if not step.isdecimal())]
    outer, last = steps[-2:]
    return (
        not names.secret.isdisjoint(steps)
        or last in names.holders
        or (outer in names.holders and last not in names.inside)
    )


@cache
def _names() -> _Names:
    found = [pair for model in (Site, Node) for pair in _walk(model)]
    return _Names(
        frozenset(name for name, field in found if is_secret(field)),
        frozenset(name for name, field in found if holds_secrets(field.annotation)),
        frozenset(
            name
            for _, field in found
            for model in _models_in(field.annotation)
            if holds_secrets(model)
            for name in model.model_fields
        ),
    )


def _walk(model: type[BaseModel]) -> Iterator[tuple[str, FieldInfo]]:
    """Yield every setting of a model, and of the models in it, by its key."""
    for name, field in model.model_fields.items():
        yield name, field
        for inner in _models_in(field.annotation):
            yield from _walk(inner)


def _fields_of(annotation: Any) -> Iterator[FieldInfo]:  # noqa: ANN401 - any type expression
    for model in _models_in(annotation):
        yield from model.model_fields.values()


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:  # noqa: ANN401 - any type expression
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models_in(argument)
