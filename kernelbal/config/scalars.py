"""Plain scalars of YAML: the core schema of YAML 1.2.2 (section 10.3.2), a little stricter.

Only `true` and `false` are booleans: `yes`, `on` and `22:22` are text. Numbers with leading zeros (`012`)
are text too, because YAML 1.1 and 1.2 disagree on their value.
"""

from __future__ import annotations

import re

Scalar = str | int | float | bool | None

MAX_NUMBER_CHARACTERS = 40
"""Longest number; a longer run of digits is text, so that no conversion costs more than a moment."""
_MAX_CACHED_CHARACTERS = 8

_WORDS: dict[str, bool | float | None] = {
    "": None,
    "~": None,
    **dict.fromkeys(("null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), float("inf")),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), float("-inf")),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
}
_NUMBER = re.compile(
    r"([-+]?(?:0|[1-9][0-9]*))"
    r"|(0o[0-7]+|0x[0-9A-Fa-f]+)"
    r"|([-+]?(?:\.[0-9]+|(?:0|[1-9][0-9]*)(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?)"
)
_CONVERSIONS = (int, lambda text: int(text, 0), float)
"""By group of `_NUMBER`: decimal, with a base, floating-point."""


def resolve_plain(text: str) -> Scalar:
    """Return the value of a scalar that is written without quotes."""
    if text in _WORDS:
        return _WORDS[text]
    if not (text[0].isdigit() or text[0] in "+-.") or len(text) > MAX_NUMBER_CHARACTERS:
        return text
    number = _NUMBER.fullmatch(text)
    return _CONVERSIONS[number.lastindex - 1](text) if number and number.lastindex else text


class PlainScalars(dict[str, Scalar]):
    """Values of plain scalars by their text; short ones are remembered, since they repeat."""

    def __missing__(self, text: str) -> Scalar:
        value = resolve_plain(text)
        if len(text) <= _MAX_CACHED_CHARACTERS:
            self[text] = value
        return value
