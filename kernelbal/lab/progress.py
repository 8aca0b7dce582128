"""Tells a waiting person how far a long job is."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from typing import TextIO

_TERMINAL_INTERVAL_S: Final = 0.5
_PLAIN_INTERVAL_S: Final = 30.0


class Progress:
    """Writes one line per stage, and in between how far the stage is.

    On a terminal the line is renewed in place; elsewhere a line comes every half minute.
    """

    def __init__(self, stream: TextIO) -> None:
        """Write to `stream`, usually standard error."""
        self._stream = stream
        self._in_place = stream.isatty()
        self._interval_s = _TERMINAL_INTERVAL_S if self._in_place else _PLAIN_INTERVAL_S
        self._began_at = time.monotonic()
        self._shown_at = self._began_at

    def stage(self, text: str) -> None:
        """Begin a stage."""
        self._line(text)
        self._shown_at = time.monotonic()

    def update(self, text: str) -> None:
        """Say how far the stage is, unless that has just been said."""
        now = time.monotonic()
        if now - self._shown_at < self._interval_s:
            return
        self._shown_at = now
        if self._in_place:
            self._stream.write(f"\r\033[K{self._elapsed()} {text}")
            self._stream.flush()
        else:
            self._line(text)

    def _line(self, text: str) -> None:
        start = "\r\033[K" if self._in_place else ""
        self._stream.write(f"{start}{self._elapsed()} {text}\n")
        self._stream.flush()

    def _elapsed(self) -> str:
        seconds = int(time.monotonic() - self._began_at)
        return f"[{seconds // 60:2d}:{seconds % 60:02d}]"
