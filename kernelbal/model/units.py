"""Durations, port ranges and counts as people write them."""

from __future__ import annotations

import re
from typing import NamedTuple

_DURATION = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,12})?)(ms|s|m|h|d)")
_MILLISECONDS = {"d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1000, "ms": 1}

MAX_DURATION_S = 3650 * 86400.0
"""Ten years, the longest duration."""
MAX_PORT = 65535

_PORTS = re.compile(r"[0-9]{1,20}(?:-[0-9]{1,20})?")


class PortRange(NamedTuple):
    """Ports `low` to `high`, both included; 0-65535."""

    low: int
    high: int

    def __str__(self) -> str:
        return str(self.low) if self.low == self.high else f"{self.low}-{self.high}"


ALL_PORTS = PortRange(0, MAX_PORT)
"""Every port."""


def counted(count: int, noun: str, plural: str = "") -> str:
    """Return `1 change`, `2 changes`; a plural that is not just an `s` more is given."""
    return f"{count} {noun if count == 1 else plural or noun + 's'}"


def parse_duration(text: str) -> float:
    """Return seconds for `300ms`, `9s`, `5m`, `1.5h`, `2d`; the unit is required.

    Raises:
        ValueError: it is no duration, above ten years, or no whole number of milliseconds; the message says
            which.
    """
    match = _DURATION.fullmatch(text)
    if match is None:
        raise ValueError(f"`{text}` is not a duration such as `300ms`, `9s`, `5m`, `1h`")
    exact = float(match[1]) * _MILLISECONDS[match[2]]
    milliseconds = round(exact)
    if milliseconds > MAX_DURATION_S * 1000:
        raise ValueError(f"`{text}` is longer than ten years")
    if abs(exact - milliseconds) > 1e-3:
        raise ValueError(f"`{text}` is finer than a millisecond")
    return milliseconds / 1000


def format_duration(seconds: float) -> str:
    """Return the shortest text with one unit that `parse_duration` reads back."""
    milliseconds = round(seconds * 1000)
    if milliseconds == 0:
        return "0s"
    unit = next(unit for unit, size in _MILLISECONDS.items() if milliseconds % size == 0)
    return f"{milliseconds // _MILLISECONDS[unit]}{unit}"


def age(seconds: float | None) -> str:
    """Return an age with its largest two units: `5s`, `3m20s`, `2h5m`, `4d1h`; `never` for None."""
    if seconds is None:
        return "never"
    left = max(0, int(seconds))
    parts = []
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        count, left = divmod(left, length)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts[:2]) or "0s"


def parse_ports(value: int | str) -> PortRange:
    """Return the range for `80` or `"8000-8010"`.

    Raises:
        ValueError: not a port (1-65535), or a range whose ends are the wrong way round.
    """
    low_text, dash, high_text = str(value).partition("-")
    if _PORTS.fullmatch(str(value)) is None:
        raise ValueError(f"`{value}` is not a port or a range such as `8000-8010`")
    low = int(low_text)
    high = int(high_text) if dash else low
    if not 1 <= low <= MAX_PORT or not 1 <= high <= MAX_PORT:
        raise ValueError(f"`{value}` is outside the ports 1-65535")
    if high < low:
        raise ValueError(f"`{value}` is reversed; write `{high}-{low}`")
    return PortRange(low, high)
