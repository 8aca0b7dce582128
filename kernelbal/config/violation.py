"""What is wrong in a document, before its place in the text is looked up."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from kernelbal.model.text import one_line

Path = tuple[str | int, ...]
"""Keys and list indices that lead to a value."""


class Violation(NamedTuple):
    """One problem of a document.

    Attributes:
        path: the setting.
        message: what is wrong.
        expected: what would have been right, or None.
        hint: the remedy, or None.
        at_key: it is the key at `path`, not its value.
        other: a second setting that is involved, and its name; its line is added to the message.
    """

    path: Path
    message: str
    expected: str | None = None
    hint: str | None = None
    at_key: bool = False
    other: tuple[Path, str] | None = None


MAX_SHOWN_CHARACTERS = 60
"""Longest value that a message repeats."""
_ADDRESS = re.compile(r"(?<=://)\S+")
"""What follows `https://`: that of a webhook is a secret, wherever its author puts it."""


def shown(value: object) -> str:
    """Return a value as YAML writes it, shortened and on one line."""
    words = {True: "true", False: "false", None: "null"}
    text = words[value] if value is None or isinstance(value, bool) else str(value)
    return one_line(_ADDRESS.sub("...", text[: 4 * MAX_SHOWN_CHARACTERS]), MAX_SHOWN_CHARACTERS)


def value_at(document: Any, path: Path) -> object:  # noqa: ANN401 - data or a model
    """Return the value at a path of data or of a model; None where there is none."""
    for step in path:
        if isinstance(document, dict):
            document = document.get(step)
        elif isinstance(document, list | tuple) and isinstance(step, int):
            document = document[step] if step < len(document) else None
        else:
            document = getattr(document, str(step), None)
    return document
