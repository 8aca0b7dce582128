"""Progress of long work on stderr: a bar in a terminal, nothing in a pipe."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

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


@contextmanager
def status_line() -> Iterator[Callable[[str], None]]:
    """Give a callback that shows one changing line; in a pipe each new text is a line."""
    if sys.stderr.isatty():
        from rich.console import Console

        with Console(stderr=True).status("") as status:
            yield status.update
        return
    last = ""

    def show(text: str) -> None:
        nonlocal last
        if text != last:
            sys.stderr.write(text + "\n")
            last = text

    yield show
