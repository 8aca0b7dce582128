"""Real servers as aligned lines that fit the terminal.

A pipe gets one line per real server, whatever its length. On a terminal that is too narrow the reasons
move to lines of their own, and the rates go.
"""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Sequence
from typing import Final

from kernelbal.cli.output import coloured, put

Row = tuple[str, ...]

COLUMNS: Final = (
    "real server",
    "state",
    "since",
    "weight",
    "active",
    "inactive",
    "conn/s",
    "in B/s",
    "out B/s",
    "why",
)
RATES: Final = frozenset({"conn/s", "in B/s", "out B/s"})
"""What a narrow terminal does without."""
TEXT: Final = frozenset({"service", "real server", "state", "since", "why"})
"""Columns that stand at the left; all others are numbers."""
GAP: Final = "  "
LEAST_WIDTH: Final = 40
"""Nobody reads a reason in fewer columns."""


def terminal_width() -> int | None:
    """Return how many columns there are, or None when nobody looks."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def print_servers(header: Row, groups: Sequence[tuple[str, Sequence[Row]]]) -> None:
    """Print groups of rows, each under its title, with the same columns in all of them.

    Args:
        header: names of the columns; `why` is the last.
        groups: titles, empty for none, and rows with as many cells as the header.
    """
    width = terminal_width()
    layout = Layout.of(header, [row for _, rows in groups for row in rows], width)
    for title, rows in groups:
        if title:
            put("")
            put(fold_title(title, width))
        if rows:
            put(layout.line(header).rstrip())
        for row in rows:
            for line in layout.lines(row):
                put(line)


def fold_title(title: str, width: int | None) -> str:
    """Return a title whose last part begins a new line when all of it is too wide."""
    if width is None or len(title) <= width:
        return title
    first, gap, last = title.rpartition(GAP)
    return f"{first}\n{GAP}{last}" if gap else title


class Layout:
    """Which columns are shown, how wide they are, and where the reasons go.

    Args:
        header: names of the columns.
        shown: positions of those that are shown side by side.
        widths: of all columns.
        width: of the terminal, when the reasons stand on lines of their own; else None.
    """

    def __init__(self, header: Row, shown: Sequence[int], widths: Sequence[int], width: int | None) -> None:
        self._header = header
        self._shown = shown
        self._widths = widths
        self._width = width

    @classmethod
    def of(cls, header: Row, rows: Sequence[Row], width: int | None) -> Layout:
        """Choose the layout with the most columns that fits."""
        widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
        everything = tuple(range(len(header)))
        without_rates = tuple(i for i in everything if header[i] not in RATES)

        def fits(shown: Sequence[int]) -> bool:
            return width is None or sum(widths[i] + len(GAP) for i in shown) - len(GAP) <= width

        for shown in (everything, everything[:-1], without_rates):
            if fits(shown):
                return cls(header, shown, widths, None if shown[-1] == everything[-1] else width)
        return cls(header, without_rates[:-1], widths, width)

    def lines(self, row: Row) -> list[str]:
        """Return the lines of a row."""
        first = self.line(row, state=row[self._header.index("state")]).rstrip()
        if self._width is None or not row[-1]:
            return [first]
        indent = GAP * 2
        return [
            first,
            *textwrap.wrap(
                row[-1],
                max(self._width, LEAST_WIDTH),
                initial_indent=indent,
                subsequent_indent=indent,
                break_on_hyphens=False,
            ),
        ]

    def line(self, row: Row, state: str = "") -> str:
        """Return cells side by side; that of the state in its colour."""
        cells = []
        for i in self._shown:
            name, text, width = self._header[i], row[i], self._widths[i]
            cell = text.ljust(width) if name in TEXT else text.rjust(width)
            cells.append(coloured(state, cell) if state and name == "state" else cell)
        return GAP.join(cells)
