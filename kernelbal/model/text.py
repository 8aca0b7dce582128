"""Texts of others, made safe to show: replies of servers, reasons of operators, names from kernel and disk.

Whatever a terminal, a log or an event gets passes here: documents of the API and events when they are made
(`kernelbal.model.status.Part`), log lines when they are written, and all that commands print on its way out.
What is safe already stays as it is, so passing twice does no harm.
"""

from __future__ import annotations

import re
from typing import Final

MOST_CHARACTERS: Final = 4096
"""Longest line that is shown of a text."""
_CUT: Final = "..."
_INVISIBLE: Final = "\u034f\u115f-\u1160\u17b4-\u17b5\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef"
"""Characters that take no space, or only space, though Unicode calls them printable: letters and marks."""
_SUSPECT: Final = re.compile(f"[{_INVISIBLE}]")
_NAMED: Final = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}
_UNDECODED: Final = range(0xDC80, 0xDD00)
"""Bytes that are no UTF-8, as `surrogateescape` decodes them."""


def one_line(text: str, most: int = MOST_CHARACTERS) -> str:
    """Return text as one printable line: nothing in it drives a terminal, or hides or turns what is near it.

    Control characters (C0, C1), line ends, bidirectional and zero-width controls, bytes that are no UTF-8 and
    code points without a meaning are shown as escapes; odd spaces become spaces.

    Args:
        text: any text.
        most: characters; what is longer is cut, and ends in `...`.
    """
    if len(text) <= most and _is_plain(text):
        return text
    safe = "".join(map(_shown, text[: most + 1]))
    return safe if len(safe) <= most else safe[: most - len(_CUT)] + _CUT


def lines(text: str) -> str:
    """Return text of which each line is as `one_line` would have it, of any length; tabs become spaces."""
    return "\n".join(one_line(each, len(each) * 10 + 1) for each in text.expandtabs(4).split("\n"))


def _is_plain(text: str) -> bool:
    return text.isprintable() and (text.isascii() or not _SUSPECT.search(text))


def _shown(character: str) -> str:
    if _is_plain(character):
        return character
    code = ord(character)
    if code in _UNDECODED:
        return f"\\x{code - 0xDC00:02x}"
    if character.isspace() and code >= 0xA0 and character not in "\u2028\u2029":
        return " "
    if code > 0xFFFF:
        return f"\\U{code:08x}"
    return _NAMED.get(character) or (f"\\u{code:04x}" if code > 0xFF else f"\\x{code:02x}")
