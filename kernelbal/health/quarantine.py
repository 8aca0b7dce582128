"""Which probes are not run for a while, because a run of them held up the checker, or ended it."""

from __future__ import annotations

from collections.abc import Container
from typing import Final, NamedTuple

WAITS_S: Final = (60.0, 300.0, 1500.0, 7500.0)
"""How long the first, the second, ... time; from the fourth time on the last one, in seconds."""


class Quarantined(NamedTuple):
    """Why and until when a probe is not run; seconds on the boot clock."""

    cause: str
    until_at: float


class Quarantine:
    """Probes in quarantine; each time of the same probe lasts longer.

    Attributes:
        held: by key of the probe.
    """

    def __init__(self) -> None:
        self.held: dict[str, Quarantined] = {}
        self._times: dict[str, int] = {}

    def hold(self, key: str, cause: str, now: float) -> float:
        """Begin a quarantine, and return how long it lasts, in seconds."""
        times = self._times.get(key, 0)
        self._times[key] = times + 1
        wait_s = WAITS_S[min(times, len(WAITS_S) - 1)]
        self.held[key] = Quarantined(cause, now + wait_s)
        return wait_s

    def release_due(self, now: float) -> bool:
        """End what has lasted long enough; return whether there was any."""
        due = [key for key, each in self.held.items() if each.until_at <= now]
        for key in due:
            del self.held[key]
        return bool(due)

    def release_all(self) -> bool:
        """End every quarantine, and forget how often there was one; return whether there was any."""
        held, self.held, self._times = self.held, {}, {}
        return bool(held)

    def forget_others(self, keys: Container[str]) -> None:
        """Forget all probes but these: a probe of another definition has another key."""
        self.held = {key: each for key, each in self.held.items() if key in keys}
        self._times = {key: times for key, times in self._times.items() if key in keys}
