"""Ranges of values in records and messages, for the types that cross a process or a disk."""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta

MAX_TEXT: Final = 1000
"""Longest reason, warning or message that a checker reports, in characters."""

ShortText = Annotated[str, Meta(max_length=MAX_TEXT)]
Port = Annotated[int, Meta(ge=0, le=65535)]
"""A port, or 0 for none."""
GivenPort = Annotated[int, Meta(ge=1, le=65535)]
Mark = Annotated[int, Meta(ge=0, le=0xFFFFFFFF)]
"""A firewall mark, or 0 for none."""
Prefix = Annotated[int, Meta(ge=0, le=128)]
Count = Annotated[int, Meta(ge=0)]
Seconds = Annotated[float, Meta(ge=0)]
