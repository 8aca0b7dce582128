"""How problems of a document are shown: one block each, with the line of the document."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from kernelbal.errors import Problem, Span

MAX_SOURCE_CHARACTERS = 120
"""Longest line of a document that is shown."""
_SECRETS = re.compile(
    r"secret|passw|pwd|passphrase|token|authorization|cookie|api.?key|webhook|headers", re.IGNORECASE
)
"""Names of settings and headers whose values do not belong on a screen or in a log."""


class Sources:
    """The lines of the documents that problems stand in."""

    def __init__(self) -> None:
        self._lines: dict[str, list[bytes]] = {}

    def line(self, span: Span, key: str = "") -> str | None:
        """Return the line of a place, or None when it is too long, may hold a secret, or cannot be read.

        Args:
            span: the place.
            key: of the setting there; the value of a secret may stand on a line of its own.
        """
        if span.file not in self._lines:
            self._lines[span.file] = _read_lines(Path(span.file))
        lines = self._lines[span.file]
        text = lines[span.line - 1].decode(errors="replace") if span.line <= len(lines) else ""
        if not text.strip() or len(text) > MAX_SOURCE_CHARACTERS or _SECRETS.search(f"{key} {text}"):
            return None
        return "".join(c if c.isprintable() else " " for c in text)


def _read_lines(path: Path) -> list[bytes]:
    """Return nothing for a document that came from elsewhere, is gone, or is no file of bounded length."""
    from kernelbal.config.document import MAX_BYTES

    try:
        if not path.is_file() or path.stat().st_size > MAX_BYTES:
            return []
        return path.read_bytes().splitlines()
    except OSError:
        return []


def problems_text(problems: Iterable[Problem], sources: Sources, label: str = "") -> str:
    """Return one block per problem, an empty line between them; `label` precedes each message."""
    return "\n\n".join("\n".join(_block(problem, sources, label)) for problem in problems)


def _block(problem: Problem, sources: Sources, label: str) -> Iterable[str]:
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


def _source(problem: Problem, span: Span, sources: Sources) -> Iterable[str]:
    text = sources.line(span, problem.key)
    if text is not None:
        yield f"  {span.line:>5} | {text}"
        yield f"        | {' ' * (span.column - 1)}^"
