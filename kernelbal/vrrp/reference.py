"""The page about the state machine, made from its table."""

from __future__ import annotations

import json
from typing import Final

from kernelbal.vrrp.machine import TIMERS, TRANSITIONS, Transition

_HEAD = """\
# How a director takes and leaves a role

The state machine of one virtual router, made from the table that runs. States are those of RFC 9568;
keepalived calls `active` MASTER. Of the rows of a state and an event the first one applies whose condition
holds; what has no row changes nothing. `others` is the event that follows for the other virtual routers of
the node, which move together. Sections are those of RFC 9568. This page is generated: `kernelbal schema vrrp
--format markdown`.

A node becomes active with all its virtual routers or with none: one whose timer fires waits for the others
as long as one of them hears the partner, or waits after the start. Start, stop, hand over, fault and end of
the fault are events of all.

| state | event | if | then | timer | next state | others | in logs | section |
|---|---|---|---|---|---|---|---|---|
"""


_COLUMNS: Final = ("state", "event", "if", "then", "timer", "next", "others", "why", "section")


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
    others = row.elsewhere.value if row.elsewhere else ""
    return row.role.value, row.trigger.value, row.when, effects, timer, to, others, row.why, row.source
