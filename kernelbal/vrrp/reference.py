"""The page about the state machine, made from its table."""

from __future__ import annotations

import json
from typing import Final

from kernelbal.vrrp.machine import TIMERS, TRANSITIONS, Transition

_HEAD = """\
# How a director takes and leaves a role

The state machine of one virtual router, made from the table that runs. States are those of RFC 9568;
keepalived calls `active` MASTER. Of the rows of a state and an event the first one applies whose condition
holds; what has no row changes nothing. Sections are those of RFC 9568. This page is generated: `kernelbal
schema vrrp --format markdown`.

| state | event | if | then | timer | next state | in logs | section |
|---|---|---|---|---|---|---|---|
"""


_COLUMNS: Final = ("state", "event", "if", "then", "timer", "next", "why", "section")


def vrrp_page() -> str:
    """Return the page in Markdown."""
    rows = ("|".join(f" {cell} " if cell else " " for cell in _cells(row)) for row in TRANSITIONS)
    return _HEAD + "".join(f"|{row}|\n" for row in rows)


def vrrp_json() -> str:
    """Return the same rows for programs."""
    rows = [dict(zip(_COLUMNS, _cells(row), strict=True)) for row in TRANSITIONS]
    return json.dumps({"transitions": rows}, indent=2)


def _cells(row: Transition) -> tuple[str, ...]:
    effects = "; ".join(effect.value for effect in row.effects)
    timer, to = TIMERS[row.change], row.to.value
    return row.role.value, row.trigger.value, row.when, effects, timer, to, row.why, row.source
