"""The real servers of one virtual service together: who is in service, and with which weight."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from kernelbal.health.adaptive import (
    NO_SHARE,
    STALE_INTERVALS,
    WeightShare,
    is_fresh,
    next_share,
    reevaluate_after_s,
    response_shares,
)
from kernelbal.health.decision import Inputs
from kernelbal.health.judge import Judged
from kernelbal.health.ramp import FULL, Ramp, furthest, next_ramp, next_step_s, ramped_weight
from kernelbal.model.overlay import Mode, ServerState
from kernelbal.model.site.check import Adaptive
from kernelbal.model.site.services import VirtualService

MOST_WEIGHT: Final = 65535
"""Heaviest real server that the documents allow."""
_BEGINNERS: Final = frozenset({ServerState.DOWN, ServerState.UNKNOWN, ServerState.STANDBY})
"""Who waits like this when a pool begins begins with it."""


class ServerDecision(NamedTuple):
    """What is decided for one real server.

    Attributes:
        state: for the status.
        weight: effective.
        in_service: whether it takes connections by being usable.
        ramp: how far its slow start is.
        progress: of slow start, 0.0-1.0.
        share: of its configured weight, by its load.
    """

    judged: Judged
    state: ServerState
    weight: int = 0
    in_service: bool = False
    ramp: Ramp = FULL
    progress: float = 1.0
    share: WeightShare = NO_SHARE


class Pool:
    """Gives the real servers of one virtual service their weights.

    Args:
        service: the virtual service.
        mode: what it does.
        inputs: of the decision.
        began_at: when the pool began, as far as remembered.

    Attributes:
        began_at: the same from now on.
        due: when weights change again though nothing happens.
    """

    def __init__(self, service: VirtualService, mode: Mode, inputs: Inputs, began_at: float | None) -> None:
        self.began_at = began_at
        self.due: list[float] = []
        self._service = service
        self._mode = mode
        self._inputs = inputs

    def decisions(self, pool: Sequence[Judged]) -> list[ServerDecision]:
        """Return what is decided for each real server."""
        service = self._service
        serving = self._mode is Mode.SERVING
        self._note_begin(pool, serving)
        for judged in pool:
            if judged.state is ServerState.DRAINING and judged.order is not None and not judged.order.hold:
                self.due.append(judged.cut_at)
        if self._mode is Mode.KEPT:
            return [self._kept(judged) for judged in pool]
        if not serving:
            return [
                ServerDecision(judged, ServerState.STANDBY if judged.usable else judged.state)
                for judged in pool
            ]
        shares = [NO_SHARE] * len(pool) if service.adaptive is None else self._shares(pool, service.adaptive)
        if service.slow_start <= 0:
            return [self._decide(*each, FULL, 1.0) for each in zip(pool, shares, strict=True)]
        return [
            self._decide(judged, share, ramp, progress)
            for judged, share, (ramp, progress) in zip(pool, shares, self._ramps(pool), strict=True)
        ]

    def _note_begin(self, pool: Sequence[Judged], serving: bool) -> None:
        if not serving:
            self.began_at = None
        elif self._inputs.starting or not any(judged.before.up for judged in pool):
            self.began_at = self._inputs.now

    def _kept(self, judged: Judged) -> ServerDecision:
        if not judged.candidate:
            return ServerDecision(judged, judged.state)
        return ServerDecision(judged, judged.state, judged.server.weight, in_service=judged.usable)

    def _decide(self, judged: Judged, share: WeightShare, ramp: Ramp, progress: float) -> ServerDecision:
        if not judged.usable:
            return ServerDecision(judged, judged.state, ramp=ramp)
        weight = judged.server.weight
        if share.applied != 1.0:
            weight = min(MOST_WEIGHT, max(1, round(weight * share.applied)))
        if progress >= 1.0:
            return ServerDecision(judged, ServerState.SERVING, weight, True, FULL, 1.0, share)
        slow_start_s = self._service.slow_start
        self.due.append(self._inputs.now + next_step_s(weight, progress, slow_start_s))
        weight = ramped_weight(weight, progress, slow_start_s)
        return ServerDecision(judged, ServerState.RAMPING, weight, True, ramp, progress, share)

    # --- slow start ---

    def _ramps(self, pool: Sequence[Judged]) -> list[tuple[Ramp, float]]:
        """Return slow start and its progress for each real server."""
        now, slow_start_s = self._inputs.now, self._service.slow_start
        ramps = [
            next_ramp(judged.before, judged.usable, now, slow_start_s, self._begins(judged))
            for judged in pool
        ]
        progress = [ramp.progress(now, slow_start_s) for ramp in ramps]
        ending = furthest([p for p, judged in zip(progress, pool, strict=True) if judged.usable])
        return [
            (FULL, 1.0) if judged.usable and p == ending else (ramp, p)
            for judged, ramp, p in zip(pool, ramps, progress, strict=True)
        ]

    def _begins(self, judged: Judged) -> bool:
        """Whether a real server that comes now is one of those who begin the pool."""
        if self._inputs.starting:
            return True
        began_at, before, check = self.began_at, judged.before, self._service.check
        if began_at is None or before.state not in _BEGINNERS:
            return False
        late = self._inputs.now - began_at > min(self._service.slow_start, check.interval + check.timeout)
        return not late and (before.state is ServerState.UNKNOWN or before.since_at < began_at)

    # --- load ---

    def _shares(self, pool: Sequence[Judged], settings: Adaptive) -> list[WeightShare]:
        now = self._inputs.now
        targets = self._targets(pool, settings)
        shares = [
            next_share(judged.before, target, settings, now) if judged.usable else NO_SHARE
            for judged, target in zip(pool, targets, strict=True)
        ]
        if not all(share.settled for share in shares):
            self.due.append(now + reevaluate_after_s(settings))
        return shares

    def _targets(self, pool: Sequence[Judged], settings: Adaptive) -> list[float | None]:
        """Return the newest reading of each real server's load."""
        now, check = self._inputs.now, self._service.check
        if settings.response_time is None:
            self.due.append(now + STALE_INTERVALS * settings.interval + settings.timeout)
            return [None if judged.reading is None else judged.reading.weight for judged in pool]
        self.due.append(now + check.interval)
        times_s = [self._response_s(judged) if judged.usable else None for judged in pool]
        return response_shares(times_s, settings.response_time.exponent)

    def _response_s(self, judged: Judged) -> float | None:
        """Return the slowest of a real server's checks; None when one has no time that counts."""
        check = self._service.check
        slowest: float | None = None
        for key in self._inputs.probes.checks.get(judged.key, ()):
            state = self._inputs.states.get(key)
            if state is None or state.response_s is None:
                return None
            if not is_fresh(state, check.interval, check.timeout, self._inputs.now):
                return None
            slowest = max(slowest or 0.0, state.response_s)
        return slowest
