"""When the kernel is asked again for what it refused: a back-off per object.

One refused action holds back itself and what depends on it; everything else converges meanwhile. It is tried
at once when another action is planned, or when the object or what it needs is no longer as it was at the last
attempt. Nothing here has a clock: instants are seconds on the boot clock, given by the caller, who keeps the
value between rounds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final, NamedTuple

from kernelbal.plan.action import Action, ObjectId, Outcome

FIRST_S: Final = 1.0
"""Wait before the second attempt, in seconds; it doubles with each further one."""
LONGEST_S: Final = 60.0
_DOUBLINGS: Final = 16


class FailingObject(NamedTuple):
    """An object that the kernel does not take as it should be.

    Attributes:
        id: which object.
        outcome: of the last attempt: action, error number, meaning and remedy.
        since_at: when it was refused first.
        attempts: how often this action was tried on it.
        next_at: when its next attempt is due.
        holds_back: how many other actions wait for it.
        seen: what was observed of it, and of what it needs, before the last attempt.
    """

    id: ObjectId
    outcome: Outcome
    since_at: float
    attempts: int
    next_at: float
    holds_back: int = 0
    seen: tuple[object, ...] = ()

    @property
    def action(self) -> Action:
        """What was refused."""
        return self.outcome.action


Failing = Mapping[ObjectId, FailingObject]
"""What fails, between two rounds."""
NOTHING_FAILS: Final[Failing] = {}


def back_off_s(attempts: int) -> float:
    """Return how long to wait after so many attempts in vain, in seconds."""
    return min(FIRST_S * 2.0 ** min(attempts - 1, _DOUBLINGS), LONGEST_S)


def is_due(failing: FailingObject, action: Action, seen: tuple[object, ...], now: float) -> bool:
    """Return whether an action is tried now.

    Args:
        failing: what is remembered of its object.
        action: what is planned for it.
        seen: what is observed of it, and of what it needs.
        now: seconds on the boot clock.
    """
    return failing.next_at <= now or failing.action != action or failing.seen != seen


def after_attempt(
    failing: FailingObject | None,
    object_id: ObjectId,
    outcome: Outcome,
    seen: tuple[object, ...],
    now: float,
) -> FailingObject:
    """Return what is remembered of an object that was refused, for the first time or again."""
    attempts = 1 + (failing.attempts if failing is not None and failing.action == outcome.action else 0)
    since_at = now if failing is None else failing.since_at
    return FailingObject(object_id, outcome, since_at, attempts, now + back_off_s(attempts), seen=seen)


def all_due(failing: Failing) -> Failing:
    """Return the same objects, each due at once."""
    return {key: each._replace(next_at=-math.inf) for key, each in failing.items()}


def next_attempt_at(failing: Failing) -> float | None:
    """Return when the first of them is retried; None when nothing fails."""
    return min((each.next_at for each in failing.values()), default=None)
