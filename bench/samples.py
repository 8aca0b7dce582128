"""Samples on their way out of the guest, one JSON list per line; and figures against their targets."""

from __future__ import annotations

import json
from enum import Enum
from typing import Any, Final, NamedTuple, Protocol, TypeVar, get_type_hints

from kernelbal.lab.errors import GuestFailed

_QUOTED_CHARACTERS: Final = 200


class Figures(Protocol):
    """A named tuple of figures: numbers, or None where there is none."""

    def _asdict(self) -> dict[str, float | None]: ...


S = TypeVar("S")


def encode(sample: NamedTuple) -> str:
    """Return a sample as one line."""
    return json.dumps([each.value if isinstance(each, Enum) else each for each in sample]) + "\n"


def decode(kind: type[S], line: str) -> S:
    """Return the sample that a line holds.

    Args:
        kind: a named tuple of enum members, numbers and texts, each of which may be None.
        line: what `encode` returned.

    Raises:
        GuestFailed: it holds none.
    """
    hints = get_type_hints(kind)
    try:
        values = zip(hints.items(), json.loads(line), strict=True)
        return kind(*(_read(hint, value) for (_, hint), value in values))
    except (ValueError, TypeError) as error:
        quoted = repr(line[:_QUOTED_CHARACTERS])
        raise GuestFailed(f"the benchmark said something else than samples: {quoted}") from error


def _read(hint: Any, value: Any) -> object:  # noqa: ANN401 - a type hint, and what JSON holds
    if hint == float | None:
        return None if value is None else float(value)
    return hint(value)


def missed(figures: Figures, targets: Figures) -> tuple[str, ...]:
    """Return a line for each target that is missed; a figure that is missing misses its target.

    Args:
        figures: what was measured.
        targets: the most that each may be; None where it is only reported.
    """
    found = figures._asdict()
    lines = []
    for name, limit in targets._asdict().items():
        value = found[name]
        if limit is not None and (value is None or value > limit):
            lines.append(
                f"{name}: {'no figure' if value is None else f'{value:.3g}'}, at most {limit:g} allowed"
            )
    return tuple(lines)
