"""Progress of long work on stderr: a bar in a terminal, nothing in a pipe."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Self

from kernelbal.cli.output import say
from kernelbal.model.text import one_line

FEW = 500
"""Below this many actions an apply is over before a bar could be read."""


@contextmanager
def progress_bar(what: str, total: int) -> Iterator[Callable[[int, int], None] | None]:
    """Give a callback for (done, total), or None where a bar would be of no use."""
    if total < FEW or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield lambda done, _: bar.update(task, completed=done)


class StatusLine:
    """What is going on, on standard error: one changing line in a terminal, a line each elsewhere."""

    def __init__(self) -> None:
        self._in_place = sys.stderr.isatty()
        self._topic: object = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.clear()

    def show(self, text: str, topic: object = None) -> None:
        """Replace the line; what is not the first on its topic is not worth a line of its own."""
        if self._in_place:
            # A line that wraps could not be taken away again.
            width = shutil.get_terminal_size().columns - 1
            sys.stderr.write(f"\r\x1b[K{one_line(text)[:width]}")
            sys.stderr.flush()
        elif topic is None or topic != self._topic:
            say(text)
        self._topic = topic

    def clear(self) -> None:
        """Take the line away, so that something else can be printed."""
        if self._in_place:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()


@contextmanager
def share_bar(what: str) -> Iterator[Callable[[int, int, str], None]]:
    """Give a callback for (done, total, text): a bar in a terminal, a line per new text in a pipe."""
    if not sys.stderr.isatty():
        last = ""

        def show(_: int, __: int, text: str) -> None:
            nonlocal last
            if text != last:
                say(f"{what}: {text}")
                last = text

        yield show
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import BarColumn, Progress, TextColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[text]}"))
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=1, text="")
        yield lambda done, total, text: bar.update(
            task, completed=done if total else 1, total=total or 1, text=escape(one_line(text))
        )
