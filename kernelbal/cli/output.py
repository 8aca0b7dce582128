"""What commands print: data on stdout, talk on stderr, colour only for a terminal."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import textwrap
from typing import TYPE_CHECKING, Any, TextIO

from kernelbal.cli.problems import problems_text
from kernelbal.errors import ConfigError, KernelbalError
from kernelbal.model.text import lines

if TYPE_CHECKING:
    from msgspec import Struct

JSON_SCHEMA = 1
"""Version of every JSON document that a command prints."""

_GREEN, _YELLOW, _RED = "32", "33", "31"
_COLOURS = {
    **dict.fromkeys(("+", "ok", "serving"), _GREEN),
    **dict.fromkeys(("~", "warning", "ramping", "draining", "drained", "unknown"), _YELLOW),
    **dict.fromkeys(("-", "FAIL", "error", "down", "disabled"), _RED),
}
"""Colours of words: marks of a plan, verdicts, severities, and states of real servers."""
_COLOURING = re.compile(rf"(\x1b\[(?:0|{_GREEN}|{_YELLOW}|{_RED})m)")


def coloured(word: str, text: str | None = None, *, stream: TextIO | None = None) -> str:
    """Return `text` in the colour of `word` when the stream is a terminal and NO_COLOR is not set."""
    shown = word if text is None else text
    out = stream or sys.stdout
    if word not in _COLOURS or os.environ.get("NO_COLOR") or not out.isatty():
        return shown
    return f"\x1b[{_COLOURS[word]}m{shown}\x1b[0m"


def _printable(text: str) -> str:
    """Return text that does nothing to a terminal but to colour words as `coloured` does, and end lines."""
    return "".join(each if _COLOURING.fullmatch(each) else lines(each) for each in _COLOURING.split(text))


def say(text: str) -> None:
    """Print talk: progress, hints, warnings."""
    sys.stderr.write(_printable(text) + "\n")


def put(text: str) -> None:
    """Print data."""
    sys.stdout.write(_printable(text) + "\n")


def put_document(document: Struct) -> None:
    """Print a document of the control API as JSON with its schema version."""
    from msgspec import to_builtins

    put_json(to_builtins(document))


def put_json(document: dict[str, Any]) -> None:
    """Print one JSON document with its schema version."""
    put(json.dumps({"schema": JSON_SCHEMA, **document}, indent=2))


def folded(text: str, indent: str = "", hanging: str = "", *, width: int | None = None) -> list[str]:
    """Return a text as lines that fit; addresses and words stay whole.

    Args:
        text: one paragraph.
        indent: in front of each line.
        hanging: after `indent`, in front of all lines but the first.
        width: columns of a line; by default those of the terminal, from 60 to 120, and 80 in a pipe.
    """
    if width is None:
        width = min(max(shutil.get_terminal_size((80, 24)).columns, 60), 120)
    return textwrap.wrap(
        text,
        max(width, 40),
        initial_indent=indent,
        subsequent_indent=indent + hanging,
        break_on_hyphens=False,
        break_long_words=False,
    )


def warn(message: str, hint: str | None = None) -> None:
    """Print a warning."""
    say_labelled("warning", message, hint)


def print_error(error: KernelbalError) -> None:
    """Print an error with its hint; a configuration error with all its problems."""
    if isinstance(error, ConfigError):
        say(problems_text(error.problems))
        say(f"\n{error.message}")
        return
    say_labelled("error", error.message, error.hint)


def say_labelled(label: str, message: str, hint: str | None = None) -> None:
    """Print an `error` or a `warning`, and its hint."""
    say(f"{coloured(label, label + ':', stream=sys.stderr)} {message}")
    if hint:
        say(f"  hint: {hint}")
