"""Names of the scenarios; importing this costs nothing."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

REQUESTS: Final = 200
"""Requests per virtual service; a multiple of ten, so that weights of 5, 3 and 2 come out even."""


class ScenarioName(StrEnum):
    """What the demo can play."""

    NAT = "nat"
    ONE_ARMED = "one-armed"
    DSR = "dsr"
    TUNNEL = "tunnel"
    DAEMON = "daemon"
