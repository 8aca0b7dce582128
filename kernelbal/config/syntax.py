"""YAML's syntax errors in plain words.

The C parser (libyaml) and PyYAML's own word most errors alike; what is not in the table is passed on.
"""

from __future__ import annotations

from typing import NamedTuple

import yaml

from kernelbal.errors import Problem, Span


class Syntax(NamedTuple):
    """Words for one error of the parser."""

    message: str
    hint: str


_QUOTE = "put the text in quotes"
_INDENT = "align it with the lines above that belong to the same mapping or list, with spaces"

WORDS: tuple[tuple[str, Syntax], ...] = (
    (
        "mapping values are not allowed",
        Syntax(
            "a `:` where no key can be",
            "check the indentation of this line and the one before; quote text that contains `: `",
        ),
    ),
    ("did not find expected key", Syntax("this line fits no mapping above it", _INDENT)),
    ("expected <block end>", Syntax("this line fits nothing above it", _INDENT)),
    ("did not find expected '-' indicator", Syntax("a list goes on without `-`", _INDENT)),
    (
        "did not find expected ',' or ']'",
        Syntax("the list `[...]` is not closed", "add the missing `,` or `]`"),
    ),
    ("expected ',' or ']'", Syntax("the list `[...]` is not closed", "add the missing `,` or `]`")),
    (
        "did not find expected ',' or '}'",
        Syntax("the mapping `{...}` is not closed", "add the missing `,` or `}`, and a space after each `:`"),
    ),
    (
        "expected ',' or '}'",
        Syntax("the mapping `{...}` is not closed", "add the missing `,` or `}`, and a space after each `:`"),
    ),
    ("cannot start any token", Syntax("text must not begin with this character", _QUOTE)),
    ("unexpected end of stream", Syntax("a quote is not closed", "add the missing quote")),
    (
        "could not find expected ':'",
        Syntax("a key without `:`", "write `key: value`, with a space after `:`"),
    ),
    (
        "unknown escape character",
        Syntax("`\\` with a character that means nothing", "write `\\\\` for one `\\`, or use single quotes"),
    ),
    ("directive", Syntax("a directive (`%`) at the start of the document", "remove the line")),
    ("exceeded maximum depth", Syntax("nested too deeply", "a site document needs fewer than ten levels")),
)
"""ValidPart of the parser's message, and our words for it; the first that fits counts."""

_TAB = Syntax("a tab where YAML takes spaces only", "replace the tab by spaces")


def syntax_problem(error: yaml.MarkedYAMLError, text: bytes, file: str) -> Problem:
    """Return what a parser's error means for the author of the document."""
    mark = error.problem_mark or error.context_mark
    line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    problem = str(error.problem or error.context or "not YAML")
    if _character(text, line, column) == "\t":
        words = _TAB
    else:
        words = next((words for part, words in WORDS if part in problem), Syntax(problem, _QUOTE))
    start = error.context_mark
    message = words.message
    if start and start.line + 1 != line and "closed" in message:
        message += f" (it begins on line {start.line + 1})"
    return Problem("", f"not valid YAML: {message}", "YAML 1.2", words.hint, Span(file, line, column))


def _character(text: bytes, line: int, column: int) -> str:
    lines = text.split(b"\n", line)
    shown = lines[line - 1].decode(errors="replace") if len(lines) >= line else ""
    return shown[column - 1 : column]
