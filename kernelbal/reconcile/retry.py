"""When the kernel is asked again for what it refused: a back-off per object.

One refused action holds back itself and what depends on it; everything else converges meanwhile. Nothing here
has a clock: instants are seconds on the boot clock, given by the caller, who keeps the value between rounds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
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
        attempts: how often it was tried.
        next_at: when its next attempt is due.
        holds_back: how many other actions wait for it.
    """

    id: ObjectId
    outcome: Outcome
    since_at: float
    attempts: int
    next_at: float
    holds_back: int = 0

    @property
    def action(self) -> Action:
        """What was refused."""
        return self.outcome.action


Failing = Mapping[ObjectId, FailingObject]
"""What fails, between two rounds."""
NOTHING_FAILS: Final[Failing] = {}


def is_due(failing: FailingObject | None, action: Action, now: float) -> bool:
    """Return whether an action is tried now: another action than the one that failed always is."""
    return failing is None or failing.next_at <= now or failing.action != action


def after_attempt(
    failing: FailingObject | None, object_id: ObjectId, outcome: Outcome, now: float
) -> FailingObject:
    """Return what is remembered of an object that was refused, for the first time or again."""
    attempts = failing.attempts if failing is not None and failing.action == outcome.action else 0
    wait_s = min(FIRST_S * 2.0 ** min(attempts, _DOUBLINGS), LONGEST_S)
    since_at = now if failing is None else failing.since_at
    return FailingObject(object_id, outcome, since_at, attempts + 1, now + wait_s)


def next_attempt_at(failing: Iterable[FailingObject]) -> float | None:
    """Return when the first of them is retried; None when nothing fails."""
    return min((each.next_at for each in failing), default=None)
