"""Durations and port ranges as people write them."""

from __future__ import annotations

import re
from typing import NamedTuple

_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|d)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}

MAX_PORT = 65535


class PortRange(NamedTuple):
    """Ports `low` to `high`, both included; 0-65535."""

    low: int
    high: int

    def __str__(self) -> str:
        return str(self.low) if self.low == self.high else f"{self.low}-{self.high}"


ALL_PORTS = PortRange(0, MAX_PORT)
"""Every port."""


def parse_duration(text: str) -> float:
    """Return seconds for `300ms`, `9s`, `5m`, `1.5h`, `2d`; the unit is required.

    Raises:
        ValueError: it is not a duration; the message says what is.
    """
    match = _DURATION.fullmatch(text)
    if match is None:
        raise ValueError(f"`{text}` is not a duration such as `300ms`, `9s`, `5m`, `1h`")
    return float(match[1]) * _SECONDS[match[2]]


def format_duration(seconds: float) -> str:
    """Return the shortest exact text that `parse_duration` reads back."""
    for unit in ("d", "h", "m", "s"):
        count = seconds / _SECONDS[unit]
        if count >= 1 and count == int(count):
            return f"{int(count)}{unit}"
    return "0s" if seconds == 0 else f"{round(seconds * 1000)}ms"


def parse_ports(value: int | str) -> PortRange:
    """Return the range for `80` or `"8000-8010"`.

    Raises:
        ValueError: not a port (1-65535), or a range whose ends are the wrong way round.
    """
    low_text, dash, high_text = str(value).partition("-")
    if not (low_text.isascii() and low_text.isdigit() and (not dash or high_text.isdigit())):
        raise ValueError(f"`{value}` is not a port or a range such as `8000-8010`")
    low = int(low_text)
    high = int(high_text) if dash else low
    if not 1 <= low <= MAX_PORT or not 1 <= high <= MAX_PORT:
        raise ValueError(f"`{value}` is outside the ports 1-65535")
    if high < low:
        raise ValueError(f"`{value}` runs backwards; write `{high}-{low}`")
    return PortRange(low, high)
