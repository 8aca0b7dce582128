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
    widths = [max(len(row[i]) for row in (header, *rows)) for i in range(len(header))]
    for row in (header, *rows):
        put("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _print_rich(header: Sequence[str], rows: Sequence[Sequence[str]], title: str) -> None:
    from rich import box
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(*header, box=box.SIMPLE_HEAD, title=escape(title) or None, title_justify="left")
    for row in rows:
        table.add_row(*(escape(cell) for cell in row))
    Console().print(table)
