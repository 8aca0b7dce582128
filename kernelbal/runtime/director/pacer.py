"""When a round is due: a state machine without a clock.

Whatever happens is a cause that is noted; many causes make one round. Timers are the next attempt at what
the kernel refused, the retry of a round that failed as a whole, the resync, the deadline of the last
decision, and the drains that are under way.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Final, NamedTuple

from kernelbal.reconcile.retry import back_off_s


class Cause(Enum):
    """Why a round runs."""

    START = "start"
    CONFIG = "config"
    PROBES = "probes"
    ORDER = "order"
    NOTIFIED = "notified"
    """The kernel said that something changed."""
    OVERFLOW = "overflow"
    """The kernel had more to say than fits: anything may have changed."""
    TABLE = "table"
    """The IPVS table is not as it was left."""
    RETRY = "retry"
    RESYNC = "resync"
    DEADLINE = "deadline"
    DRAIN = "drain"


COALESCE_S: Final = 0.05
"""How long a round waits for more causes after the first one, in seconds."""
REST: Final = 1.0
"""Rest after a round, as a multiple of how long it took: rounds never take more than half of the time."""
RESYNC_S: Final = 30.0
"""Everything is read again this often though nothing happened, in seconds."""
TIMER_SHARE: Final = 0.05
"""Resyncs and next attempts take at most this share of the time: a very large site waits longer for them."""
DRAIN_POLL_S: Final = 1.0
"""How often connections of leaving real servers are counted, in seconds."""
FIGHT_S: Final = 5.0
"""A revert within this time after the longest truce is a fight with another program; seconds."""
LONGEST_TRUCE_S: Final = 10.0
"""Longest wait between reverts in a fight, in seconds."""
FREE_REVERTS: Final = 5
"""Reverts in a row that are made at once."""

_PATIENT: Final = frozenset({Cause.NOTIFIED, Cause.OVERFLOW, Cause.TABLE})


class Ending(NamedTuple):
    """How a round ended.

    Attributes:
        failed: whether it failed as a whole, such as when the kernel cannot be read.
        reverted: whether an external change was reverted.
        draining: whether real servers are leaving.
        next_at: when the decision needs another round, or None.
        retry_at: when something that the kernel refused is tried again, or None.
    """

    failed: bool = False
    reverted: bool = False
    draining: bool = False
    next_at: float | None = None
    retry_at: float | None = None


@dataclass(slots=True)
class Pacer:
    """Collects causes and says when the next round is due; instants are seconds on any steady clock."""

    _causes: dict[Cause, float] = field(default_factory=dict)
    _timers: dict[Cause, float] = field(default_factory=dict)
    _rest_until: float = 0.0
    _truce_until: float = 0.0
    _failures: int = 0
    _reverts: int = 0
    _reverted_at: float = float("-inf")
    _began_at: float = 0.0

    def note(self, cause: Cause, now: float) -> None:
        """Note that something happened; only the first of a kind since the last round counts."""
        self._causes.setdefault(cause, now)

    def due_at(self) -> float | None:
        """Return when the next round shall begin; None: when something happens."""
        instants = [*self._timers.values(), *map(self._ready_at, self._causes.items())]
        return max(min(instants), self._rest_until) if instants else None

    def _ready_at(self, noted: tuple[Cause, float]) -> float:
        cause, at = noted
        return max(at + COALESCE_S, self._truce_until) if cause in _PATIENT else at + COALESCE_S

    def begin(self, now: float) -> frozenset[Cause]:
        """Begin a round; return why. What happens from here on is for the next one."""
        due = {cause for cause, at in self._timers.items() if at <= now}
        causes = frozenset(self._causes) | due
        self._causes.clear()
        self._timers.clear()
        self._began_at = now
        return causes

    def end(self, now: float, ending: Ending) -> None:
        """End the round that was begun."""
        took_s = now - self._began_at
        self._rest_until = now + REST * took_s
        if ending.reverted:
            self._note_revert(now)
        self._timers[Cause.RESYNC] = now + max(RESYNC_S, took_s / TIMER_SHARE)
        if ending.next_at is not None:
            self._timers[Cause.DEADLINE] = max(ending.next_at, now + COALESCE_S)
        if ending.draining:
            self._timers[Cause.DRAIN] = now + DRAIN_POLL_S
        self._failures = self._failures + 1 if ending.failed else 0
        if ending.failed:
            self._timers[Cause.RETRY] = now + back_off_s(self._failures)
        elif ending.retry_at is not None:
            self._timers[Cause.RETRY] = max(ending.retry_at, now + max(COALESCE_S, took_s / TIMER_SHARE))

    def _note_revert(self, now: float) -> None:
        close = now - self._reverted_at < FIGHT_S + LONGEST_TRUCE_S
        self._reverts = self._reverts + 1 if close else 1
        self._reverted_at = now
        excess = self._reverts - FREE_REVERTS
        if excess > 0:
            self._truce_until = now + min(2.0 ** min(excess - 1, 8) * 0.5, LONGEST_TRUCE_S)
