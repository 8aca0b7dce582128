"""The verification of a real server as text and as JSON."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

from kernelbal.cli.output import coloured, put, put_json
from kernelbal.model.address import format_address
from kernelbal.realserver.verify.report import verdict_of
from kernelbal.realserver.verify.row import Verdict

if TYPE_CHECKING:
    from kernelbal.realserver.preparation import Preparation
    from kernelbal.realserver.verify.row import Row

WIDTH: Final = 80
_VERDICT_WIDTH: Final = len(Verdict.SKIPPED)
_NAME_WIDTH: Final = len("redirect rule")
_INDENT: Final = " " * (2 + _VERDICT_WIDTH + 2 + _NAME_WIDTH + 2)


def print_rows(preparations: Sequence[Preparation], rows: Sequence[Row]) -> None:
    """Print the rows of each virtual address, and how many there are of which verdict."""
    for one in preparations:
        real = format_address(one.real)
        put(f"{one}, real server {real} by {', '.join(one.interfaces)}")
        for row in rows:
            if row.virtual == one.virtual:
                for line in _lines(row):
                    put(line)
        put("")
    put(_summary(rows))


def _lines(row: Row) -> Iterator[str]:
    finding = row.finding
    by = f"{finding.interface}: " if finding.interface else ""
    head, *more = _folded(by + finding.current)
    verdict = coloured(finding.verdict.value) + " " * (_VERDICT_WIDTH - len(finding.verdict.value))
    yield f"  {verdict}  {row.requirement:<{_NAME_WIDTH}}  {head}"
    yield from (_INDENT + line for line in more)
    if finding.because:
        yield f"{_INDENT}follows from {finding.because}"
    elif finding.verdict is Verdict.FAIL:
        yield from (_INDENT + line for line in _folded(f"why: {row.why}"))
        yield f"{_INDENT}fix: {finding.fix}"  # in one piece, to be copied


def _folded(text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH - len(_INDENT), break_on_hyphens=False, break_long_words=False)


def _summary(rows: Sequence[Row]) -> str:
    counts = Counter(row.finding.verdict for row in rows)
    follow = sum(row.finding.verdict is Verdict.FAIL and bool(row.finding.because) for row in rows)
    parts = [f"{counts[each]} {each.value}" for each in Verdict if counts[each]]
    text = ", ".join(parts) + (f"; {follow} of the FAIL follow from others" if follow else "")
    return f"{coloured(verdict_of(rows).value)}: {text}"


def put_rows(rows: Sequence[Row]) -> None:
    """Print all rows as one JSON document."""
    put_json({"verdict": verdict_of(rows).value, "checks": [_document(row) for row in rows]})


def _document(row: Row) -> dict[str, Any]:
    finding = row.finding
    return {
        "requirement": row.requirement,
        "virtual": format_address(row.virtual),
        "interface": finding.interface or None,
        "verdict": finding.verdict.value,
        "current": finding.current,
        "why": row.why,
        "fix": finding.fix or None,
        "follows_from": finding.because or None,
    }
