"""How problems of a document are shown: one block each, with the line of the document."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path

from kernelbal.errors import Problem, Span
from kernelbal.model.text import one_line

MAX_SOURCE_CHARACTERS = 120
"""Longest line of a document that is shown."""
_READ_BYTES = 4096
_SECRETS = re.compile(
    r"secret|passw|pwd|passphrase|token|authorization|cookie|api.?key|webhook|headers|://", re.IGNORECASE
)
"""What stands on lines with values that do not belong on a screen or in a log."""
_WORD = re.compile(r"[a-z][\w-]*")
_SIMILARITY = 0.75
_NEAR_LINES = 10
"""What is no YAML may be part of the value of a key so many lines above."""


class _Sources:
    """The lines of the documents that problems stand in."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        from kernelbal.config.secrets import may_be_secret

        self._lines: dict[str, list[bytes]] = {}
        self._hidden = {
            (problem.span.file, problem.span.line)
            for problem in problems
            if problem.span and may_be_secret(problem.key)
        }

    def line(self, span: Span, key: str) -> str | None:
        """Return the line of a place, or None when it is too long, may hold a secret, or cannot be read.

        Args:
            span: the place.
            key: of the setting there; empty: what the line belongs to is not known.
        """
        if span.file not in self._lines:
            self._lines[span.file] = _read_lines(Path(span.file))
        lines = self._lines[span.file]
        text = _text(lines, span.line)
        if not text.strip() or len(text) > MAX_SOURCE_CHARACTERS or (span.file, span.line) in self._hidden:
            return None
        near = (_text(lines, span.line - above) for above in range(1 if key else _NEAR_LINES))
        return None if any(map(_names_secret, near)) else text.expandtabs(1)


def _text(lines: list[bytes], number: int) -> str:
    return lines[number - 1][:_READ_BYTES].decode(errors="replace") if 0 < number <= len(lines) else ""


def _names_secret(text: str) -> bool:
    return _SECRETS.search(text) is not None or any(map(_is_like_secret, _WORD.findall(text.lower())))


@lru_cache(maxsize=1000)
def _is_like_secret(word: str) -> bool:
    """Return whether a word may be the key of a secret, misspelt."""
    from kernelbal.config.secrets import secret_names

    return bool(get_close_matches(word, secret_names(), 1, _SIMILARITY))


def _read_lines(path: Path) -> list[bytes]:
    """Return nothing for a document that came from elsewhere, is gone, or is no file of bounded length."""
    from kernelbal.config.document import MAX_BYTES

    try:
        if not path.is_file() or path.stat().st_size > MAX_BYTES:
            return []
        return path.read_bytes().splitlines()
    except OSError:
        return []


def problems_text(problems: Sequence[Problem], label: str = "") -> str:
    """Return one block per problem, an empty line between them; `label` precedes each message."""
    sources = _Sources(problems)
    return "\n\n".join("\n".join(_block(problem, sources, label)) for problem in problems)


def _block(problem: Problem, sources: _Sources, label: str) -> Iterable[str]:
    where = [str(problem.span)] if problem.span else []
    keys = [problem.key] if problem.key else []
    yield ": ".join([*where, *keys, f"{label}{problem.message}"])
    if problem.span:
        yield from _source(problem, problem.span, sources)
    if problem.expected and not _is_answered(problem):
        yield f"  expected: {problem.expected}"
    if problem.hint:
        yield f"  hint: {problem.hint}"


def _is_answered(problem: Problem) -> bool:
    """Return whether the hint says what to write, so that a list of two dozen keys would only hide it."""
    return (problem.hint or "").startswith("write `") and "unknown key `" in problem.message


def _source(problem: Problem, span: Span, sources: _Sources) -> Iterable[str]:
    text = sources.line(span, problem.key)
    if text is not None:
        before, after = one_line(text[: span.column - 1]), one_line(text[span.column - 1 :])
        yield f"  {span.line:>5} | {before}{after}"
        yield f"        | {' ' * len(before)}^"
