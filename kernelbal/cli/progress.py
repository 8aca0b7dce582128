"""Progress of long work on stderr: a bar in a terminal, nothing in a pipe."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from kernelbal.cli.output import say

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
def status_line() -> Iterator[Callable[[str, object], None]]:
    """Give a callback for (text, topic) that shows one changing line; in a pipe a line per new topic."""
    if sys.stderr.isatty():
        from rich.console import Console
        from rich.markup import escape

        with Console(stderr=True).status("") as status:
            yield lambda text, _: status.update(escape(text))
        return
    last: object = None

    def show(text: str, topic: object) -> None:
        nonlocal last
        if topic != last:
            say(text)
            last = topic

    yield show


@contextmanager
def share_bar(what: str) -> Iterator[Callable[[int, int, str], None]]:
    """Give a callback for (done, total, text): a bar in a terminal, a line per new text in a pipe."""
    if not sys.stderr.isatty():
        last = ""

        def tell(_: int, __: int, text: str) -> None:
            nonlocal last
            if text != last:
                say(f"{what}: {text}")
                last = text

        yield tell
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import BarColumn, Progress, TextColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[text]}"))
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=1, text="")
        yield lambda done, total, text: bar.update(
            task, completed=done if total else 1, total=total or 1, text=escape(text)
        )
