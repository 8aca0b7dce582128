"""Tables: aligned columns, one line per row; a box would break addresses on a narrow terminal."""

from __future__ import annotations

from collections.abc import Sequence

from kernelbal.cli.output import put


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]], title: str = "") -> None:
    """Print a table; every row has as many cells as the header."""
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
