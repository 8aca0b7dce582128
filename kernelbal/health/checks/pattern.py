"""Regular expressions of checks, matched by RE2: in time linear in what was received.

Python's `re` backtracks: `^(a+)+$` on 40 letters never ends. Left out of RE2 for that reason: backreferences,
look-around, possessive and atomic groups.
"""

from __future__ import annotations

from typing import Final

MAX_INSTRUCTIONS: Final = 200
"""Largest compiled expression."""
MAX_SEARCHED_BYTES: Final = 64 * 1024
"""Most of a reply that is looked at: time is at most proportional to both sizes multiplied."""


class ReplyPattern:
    """A regular expression in which `.` matches line ends, and `$` also matches before a last line end.

    Attributes:
        text: as the document has it.
    """

    def __init__(self, text: str, *, octets: bool = False) -> None:
        r"""Compile.

        Args:
            text: the expression.
            octets: whether it speaks of bytes, such as `^\xff`, else of UTF-8 text.

        Raises:
            ValueError: RE2 refuses it, or it is too large.
        """
        import re2  # here, because few sites have a pattern

        options = re2.Options()
        options.dot_nl = True
        options.never_capture = True
        options.log_errors = False
        if octets:
            options.encoding = re2.Options.Encoding.LATIN1
        try:
            self._compiled = re2.compile(text.encode(), options)
        except re2.error as error:
            raise ValueError(f"invalid regular expression: {_reason(error)}") from error
        size = self._compiled.programsize
        if size > MAX_INSTRUCTIONS:
            raise ValueError(
                f"regular expression of {size} instructions, expected at most {MAX_INSTRUCTIONS}; "
                "repeat fewer times, or name fewer characters"
            )
        self.text = text
        self._octets = octets

    def found_in(self, reply: bytes) -> bool:
        """Return whether it matches somewhere; bytes that are no UTF-8 count as U+FFFD in text."""
        data = reply[:MAX_SEARCHED_BYTES]
        if not self._octets:
            data = data.decode("utf-8", "replace").encode()
        if self._compiled.search(data) is not None:
            return True
        return data.endswith(b"\n") and self._compiled.search(data[:-1]) is not None


def _reason(error: Exception) -> str:
    """Return RE2's words, which come as bytes."""
    [words] = error.args
    return words.decode("utf-8", "replace") if isinstance(words, bytes) else str(words)
