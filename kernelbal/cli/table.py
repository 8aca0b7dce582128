"""Tables: boxed in a terminal, aligned columns in a pipe."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from kernelbal.cli.output import put


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]], title: str = "") -> None:
    """Print a table; every row has as many cells as the header."""
    if sys.stdout.isatty():
        _print_rich(header, rows, title)
        return
    if title:
        put(title)
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    numeric = _numeric_columns(header, rows)
    for row in (header, *rows):
        cells = zip(row, widths, numeric, strict=True)
        put("  ".join(cell.rjust(w) if right else cell.ljust(w) for cell, w, right in cells).rstrip())


def _numeric_columns(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[bool]:
    """Return which columns hold numbers alone; those stand at the right."""
    columns = ([row[i] for row in rows if row[i]] for i in range(len(header)))
    return [bool(cells) and all(cell.replace(".", "", 1).isdecimal() for cell in cells) for cells in columns]


def _print_rich(header: Sequence[str], rows: Sequence[Sequence[str]], title: str) -> None:
    from rich import box
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, title=escape(title) or None, title_justify="left")
    for name, right in zip(header, _numeric_columns(header, rows), strict=True):
        table.add_column(name, justify="right" if right else "left")
    for row in rows:
        table.add_row(*(escape(cell) for cell in row))
    Console().print(table)
