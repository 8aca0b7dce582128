"""Which actions of a plan revert external changes.

Between two rounds nobody of ours touches the kernel. So where it is not as the last round left it, somebody
else was at work, and an action on that object reverts that; every other action follows from a new decision.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from kernelbal.model.event import Event, Severity, Topic
from kernelbal.plan.action import DONE, Action, Names, Outcome
from kernelbal.plan.kind import UNREAD, ObservedState
from kernelbal.plan.kinds import BY_ACTION, describe, object_of
from kernelbal.plan.kinds.services import SERVICES, service_of

NAMED: Final = 3
"""How many reverts an event names."""


def reverts(action: Action, left: ObservedState, found: ObservedState) -> bool:
    """Return whether an action reverts an external change.

    Args:
        action: what was done.
        left: the kernel at the end of the last round.
        found: the kernel at the beginning of this one.
    """
    kind, key = BY_ACTION[type(action)], object_of(action).key
    before = kind.value(left.of(kind), key)
    return before is not UNREAD and before != kind.value(found.of(kind), key)


def reverting(left: ObservedState | None, found: ObservedState, outcomes: Sequence[Outcome]) -> list[Outcome]:
    """Return the outcomes that reverted external changes; none without an earlier round."""
    if left is None or not outcomes:
        return []
    done = (o for o in outcomes if o.result in DONE)
    return [outcome for outcome in done if reverts(outcome.action, left, found)]


def revert_event(reverted: Sequence[Outcome], names: Names) -> Event:
    """Return the event for the reverts of one round; it names some and counts all."""
    lines = [describe(outcome.action, names) for outcome in reverted[:NAMED]]
    more = len(reverted) - len(lines)
    shown = ", ".join(f"{line.sign} {line.text}" for line in lines) + (f", and {more} more" if more else "")
    service = next((name for o in reverted if (name := service_name(o.action, names))), "")
    return Event(
        Topic.DRIFT_REVERTED,
        Severity.WARNING,
        f"external change reverted: {shown}",
        service=service,
        fields=(("reverts", str(len(reverted))),),
    )


def service_name(action: Action, names: Names) -> str:
    """Return the name of the virtual service that an action is about; empty when it is about none."""
    owner = BY_ACTION[type(action)]
    return names.get(service_of(action), "") if owner is SERVICES else ""
