"""The changes of a host that is a real server: those of its kernel, and files."""

from __future__ import annotations

from typing import NamedTuple

from kernelbal.plan.actions import Action
from kernelbal.plan.describe import Line, describe


class WriteFile(NamedTuple):
    """Write a file, whole or not at all.

    Attributes:
        path: full path.
        old: what it held; None where there was none.
        text: what it will hold.
    """

    path: str
    old: str | None
    text: str


class RemoveFile(NamedTuple):
    """Take back a file that was written: put `before` in its place, or nothing.

    Attributes:
        path: full path.
        before: what it held before it was first written; None where there was none.
    """

    path: str
    before: str | None


Step = Action | WriteFile | RemoveFile


def describe_step(step: Step) -> Line:
    """Return one line for a step."""
    match step:
        case WriteFile(path, None, _):
            return Line("+", f"file {path}")
        case WriteFile(path, _, _):
            return Line("~", f"file {path}")
        case RemoveFile(path, None):
            return Line("-", f"file {path}")
        case RemoveFile(path, _):
            return Line("~", f"file {path} as it was")
        case _:
            return describe(step, {})
