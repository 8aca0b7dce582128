"""Tables: aligned columns, one line per row; a box would break addresses on a narrow terminal.

A pipe gets one line per row, whatever its length. Of tables of real servers, a terminal that is too narrow
loses the rates, and gets the reasons on lines of their own.
"""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from kernelbal.cli.output import coloured, folded, put
from kernelbal.model.text import one_line

Row = Sequence[str]

SERVER_COLUMNS: Final = (
    *("real server", "state", "since", "weight", "active", "inactive"),
    *("conn/s", "in B/s", "out B/s", "why"),
)
"""Columns of a table of real servers."""
_RATES: Final = frozenset({"conn/s", "in B/s", "out B/s"})
_COLOURED: Final = frozenset({"state", "result"})
_NUMBER: Final = re.compile(r"\d[\d,]*(\.\d+)?(/\d+)?[kMGT]?|-|\?")
"""Cells of a column that stands at the right; `-` and `?` stand for a number that there is none of."""
_GAP: Final = "  "


def print_table(header: Row, rows: Sequence[Row], title: str = "") -> None:
    """Print a table; every row has as many cells as the header."""
    if title:
        put(title)
    for _, lines in table_lines(header, rows):
        put(lines)


def table_lines(header: Row, rows: Sequence[Row]) -> Iterator[tuple[int, str]]:
    """Yield the lines of a table, each with the number of its row from 0 on; -1 for the header."""
    layout = _Layout.of(header, rows)
    for number, row in enumerate((header, *rows), -1):
        yield number, layout.line(row)


def print_servers(header: Row, groups: Sequence[tuple[str, Sequence[Row]]]) -> None:
    """Print groups of real servers, each under its title, with the same columns in all of them.

    Args:
        header: names of the columns; `why` is the last.
        groups: titles, empty for none, and rows with as many cells as the header.
    """
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    layout = _Layout.fitting(header, [row for _, rows in groups for row in rows], width)
    for title, rows in groups:
        if title:
            put("")
            put(fold_title(title, width))
        for row in (header, *rows) if rows else ():
            put(layout.line(row))
            if layout.folds and row is not header and row[-1]:
                put("\n".join(folded(row[-1], _GAP * 2, width=width)))


def fold_title(title: str, width: int | None) -> str:
    """Return a title whose last part begins a new line when all of it is too wide."""
    if width is None or len(title) <= width:
        return title
    first, gap, last = title.rpartition(_GAP)
    return f"{first}\n{_GAP}{last}" if gap else title


@dataclass(frozen=True, slots=True)
class _Layout:
    """Which columns are shown, and how.

    Attributes:
        shown: their positions.
        widths: of all columns.
        right: those that hold numbers alone.
        folds: whether the last column goes to lines of its own.
    """

    header: Row
    shown: Sequence[int]
    widths: Sequence[int]
    right: frozenset[int]
    folds: bool = False

    @classmethod
    def of(cls, header: Row, rows: Sequence[Row]) -> _Layout:
        """Show everything."""
        columns = list(zip(header, *rows, strict=True))
        right = frozenset(i for i, (_, *cells) in enumerate(columns) if _all_numbers(cells))
        return cls(header, range(len(header)), [max(map(len, column)) for column in columns], right)

    @classmethod
    def fitting(cls, header: Row, rows: Sequence[Row], width: int | None) -> _Layout:
        """Show the most columns that fit: without the last, then without the rates, then without both."""
        layout = cls.of(header, rows)
        rest = [i for i, name in enumerate(header) if name not in _RATES]
        for shown in (layout.shown, layout.shown[:-1], rest):
            if width is None or sum(layout.widths[i] + len(_GAP) for i in shown) - len(_GAP) <= width:
                break
        else:
            shown = rest[:-1]
        return cls(header, shown, layout.widths, layout.right, len(header) - 1 not in shown)

    def line(self, row: Row) -> str:
        """Return cells side by side; states and results in their colours, padding included."""
        cells = []
        for i in self.shown:
            width = self.widths[i] if i != self.shown[-1] or i in self.right else 0
            text = one_line(row[i])
            cell = text.rjust(width) if i in self.right else text.ljust(width)
            cells.append(coloured(text, cell) if self.header[i] in _COLOURED else cell)
        return _GAP.join(cells).rstrip()


def _all_numbers(cells: Sequence[str]) -> bool:
    found = [cell for cell in cells if cell]
    return bool(found) and all(map(_NUMBER.fullmatch, found)) and any(cell[0].isdecimal() for cell in found)
