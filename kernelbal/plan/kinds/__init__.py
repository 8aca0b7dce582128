"""The kinds of kernel objects, one module each; `KINDS` is the one list of them.

Order of an apply, words, record, drivers and reports follow from it. The order is the one in which kinds are
observed and asked for their part of a plan: what drains is known before anything else is planned, and links
before what is on them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from kernelbal.plan.action import Action, Line, Names, ObjectId
from kernelbal.plan.kind import AnyKind, ObservedState, Slice
from kernelbal.plan.kinds.addresses import ADDRESSES
from kernelbal.plan.kinds.files import FILES
from kernelbal.plan.kinds.links import LINKS
from kernelbal.plan.kinds.listeners import LISTENERS
from kernelbal.plan.kinds.routing import ROUTING
from kernelbal.plan.kinds.services import SERVICES
from kernelbal.plan.kinds.sync_daemons import SYNC_DAEMONS
from kernelbal.plan.kinds.sysctls import SYSCTLS
from kernelbal.plan.kinds.tables import TABLES
from kernelbal.plan.kinds.timeouts import TIMEOUTS

KINDS: Final[Slice] = (
    SERVICES,
    TIMEOUTS,
    LINKS,
    LISTENERS,
    SYSCTLS,
    ADDRESSES,
    SYNC_DAEMONS,
    TABLES,
    ROUTING,
    FILES,
)

DIRECTOR: Final[Slice] = tuple(kind for kind in KINDS if kind not in (LISTENERS, FILES))
"""What a director plans for."""

BY_ACTION: Final[Mapping[type, AnyKind]] = {action: kind for kind in KINDS for action in kind.rows}
"""The kind by type of action."""


def object_of(action: Action) -> ObjectId:
    """Return which object an action changes."""
    return BY_ACTION[type(action)].object_of(action)


def describe(action: Action, names: Names) -> Line:
    """Return one line for an action."""
    return Line(sign_of(action), action.text(names))


def operation_of(action: Action) -> str:
    """Return what an action asks of the kernel, such as `add real server`."""
    return BY_ACTION[type(action)].rows[type(action)].operation


def sign_of(action: Action) -> str:
    """Return what `describe` has as sign, without wording the line: a plan may hold 100,000 of them."""
    return BY_ACTION[type(action)].effect(action).value


def impact(action: Action, observed: ObservedState) -> str:
    """Return the effect of an action on traffic; empty when there is none."""
    return BY_ACTION[type(action)].impact(action, observed)


def contents(action: Action) -> str:
    """Return what to show below the line of an action; empty for nothing."""
    return BY_ACTION[type(action)].contents(action)
