"""Options that take some of an enum's members, or a word for none of them."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from typing import Any

import typer


def choice_option(name: str, members: Iterable[Enum], *, help: str, unset: str = "") -> Any:  # noqa: ANN401 - typer's own
    """Return an option for members of an enum by their values; all of an enum need only its annotation.

    Args:
        name: such as `--persist`.
        members: what it takes.
        help: what it is for.
        unset: a word that means the same as to leave the option out, which is None.
    """
    by_value = {**({unset: None} if unset else {}), **{str(member.value): member for member in members}}

    def parse(text: str) -> Enum | None:
        if text not in by_value:
            expected = ", ".join(f"`{value}`" for value in by_value)
            raise typer.BadParameter(f"invalid value `{text}`; expected one of {expected}")
        return by_value[text]

    return typer.Option(
        None,
        name,
        parser=parse,
        metavar=f"<{'|'.join(by_value)}>",
        help=help,
        autocompletion=lambda: list(by_value),
    )
