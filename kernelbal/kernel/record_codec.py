"""Reading of records in the state directory: JSON with the number of its layout, checked value by value."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, TypeVar

from msgspec import MsgspecError

T = TypeVar("T")


class Malformed(Exception):
    """The text is not what its module writes; the message says in which way."""


def decode(text: str, schema: int, build: Callable[[dict[str, Any]], T]) -> T:
    """Return what `build` makes of a record.

    Args:
        text: the record.
        schema: the layout that this version knows.
        build: may raise whatever values of a wrong kind cause.

    Raises:
        Malformed: the text is damaged or of another layout.
    """
    try:
        document = json.loads(text)
        if not isinstance(document, dict) or "schema" not in document:
            raise Malformed("it is not a file of kernelbal")
        if document["schema"] != schema:
            raise Malformed(f"its layout has number {document['schema']}, this version knows {schema}")
        return build(document)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, MsgspecError) as error:
        raise Malformed(f"it is damaged: {error}") from error


def as_text(value: object) -> str:
    """Return a text.

    Raises:
        TypeError: it is none.
    """
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not a text")
    return value


def as_number(value: object) -> int:
    """Return a whole number; a bool is none here, although Python says so.

    Raises:
        TypeError: it is none.
    """
    if type(value) is not int:
        raise TypeError(f"{value!r} is not a whole number")
    return value


def as_switch(value: object) -> bool:
    """Return True or False.

    Raises:
        TypeError: it is neither.
    """
    if not isinstance(value, bool):
        raise TypeError(f"{value!r} is neither true nor false")
    return value
