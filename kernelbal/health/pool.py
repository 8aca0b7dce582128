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
from kernelbal.health.evaluation import ServerEvaluation
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

    evaluation: ServerEvaluation
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

    def decisions(self, pool: Sequence[ServerEvaluation]) -> list[ServerDecision]:
        """Return what is decided for each real server."""
        service = self._service
        serving = self._mode is Mode.SERVING
        self._note_begin(pool, serving)
        for evaluation in pool:
            if (
                evaluation.state is ServerState.DRAINING
                and evaluation.order is not None
                and not evaluation.order.hold
            ):
                self.due.append(evaluation.cut_at)
        if self._mode is Mode.KEPT:
            return [self._kept(evaluation) for evaluation in pool]
        if not serving:
            return [
                ServerDecision(evaluation, ServerState.STANDBY if evaluation.usable else evaluation.state)
                for evaluation in pool
            ]
        shares = [NO_SHARE] * len(pool) if service.adaptive is None else self._shares(pool, service.adaptive)
        if service.slow_start <= 0:
            return [self._decide(*each, FULL, 1.0) for each in zip(pool, shares, strict=True)]
        return [
            self._decide(evaluation, share, ramp, progress)
            for evaluation, share, (ramp, progress) in zip(pool, shares, self._ramps(pool), strict=True)
        ]

    def _note_begin(self, pool: Sequence[ServerEvaluation], serving: bool) -> None:
        if not serving:
            self.began_at = None
        elif self._inputs.starting or not any(evaluation.before.up for evaluation in pool):
            self.began_at = self._inputs.now

    def _kept(self, evaluation: ServerEvaluation) -> ServerDecision:
        if not evaluation.candidate:
            return ServerDecision(evaluation, evaluation.state)
        return ServerDecision(
            evaluation, evaluation.state, evaluation.server.weight, in_service=evaluation.usable
        )

    def _decide(
        self, evaluation: ServerEvaluation, share: WeightShare, ramp: Ramp, progress: float
    ) -> ServerDecision:
        if not evaluation.usable:
            return ServerDecision(evaluation, evaluation.state, ramp=ramp)
        weight = evaluation.server.weight
        if share.applied != 1.0:
            weight = min(MOST_WEIGHT, max(1, round(weight * share.applied)))
        if progress >= 1.0:
            return ServerDecision(evaluation, ServerState.SERVING, weight, True, FULL, 1.0, share)
        slow_start_s = self._service.slow_start
        self.due.append(self._inputs.now + next_step_s(weight, progress, slow_start_s))
        weight = ramped_weight(weight, progress, slow_start_s)
        return ServerDecision(evaluation, ServerState.RAMPING, weight, True, ramp, progress, share)

    # --- slow start ---

    def _ramps(self, pool: Sequence[ServerEvaluation]) -> list[tuple[Ramp, float]]:
        """Return slow start and its progress for each real server."""
        now, slow_start_s = self._inputs.now, self._service.slow_start
        ramps = [
            next_ramp(evaluation.before, evaluation.usable, now, slow_start_s, self._begins(evaluation))
            for evaluation in pool
        ]
        progress = [ramp.progress(now, slow_start_s) for ramp in ramps]
        ending = furthest([p for p, evaluation in zip(progress, pool, strict=True) if evaluation.usable])
        return [
            (FULL, 1.0) if evaluation.usable and p == ending else (ramp, p)
            for evaluation, ramp, p in zip(pool, ramps, progress, strict=True)
        ]

    def _begins(self, evaluation: ServerEvaluation) -> bool:
        """Whether a real server that comes now is one of those who begin the pool."""
        if self._inputs.starting:
            return True
        began_at, before, check = self.began_at, evaluation.before, self._service.check
        if began_at is None or before.state not in _BEGINNERS:
            return False
        late = self._inputs.now - began_at > min(self._service.slow_start, check.interval + check.timeout)
        return not late and (before.state is ServerState.UNKNOWN or before.since_at < began_at)

    # --- load ---

    def _shares(self, pool: Sequence[ServerEvaluation], settings: Adaptive) -> list[WeightShare]:
        now = self._inputs.now
        targets = self._targets(pool, settings)
        shares = [
            next_share(evaluation.before, target, settings, now) if evaluation.usable else NO_SHARE
            for evaluation, target in zip(pool, targets, strict=True)
        ]
        if not all(share.settled for share in shares):
            self.due.append(now + reevaluate_after_s(settings))
        return shares

    def _targets(self, pool: Sequence[ServerEvaluation], settings: Adaptive) -> list[float | None]:
        """Return the newest reading of each real server's load."""
        now, check = self._inputs.now, self._service.check
        if settings.response_time is None:
            self.due.append(now + STALE_INTERVALS * settings.interval + settings.timeout)
            return [None if evaluation.reading is None else evaluation.reading.weight for evaluation in pool]
        self.due.append(now + check.interval)
        times_s = [self._response_s(evaluation) if evaluation.usable else None for evaluation in pool]
        return response_shares(times_s, settings.response_time.exponent)

    def _response_s(self, evaluation: ServerEvaluation) -> float | None:
        """Return the slowest of a real server's checks; None when one has no time that counts."""
        check = self._service.check
        slowest: float | None = None
        for key in self._inputs.probes.checks.get(evaluation.key, ()):
            state = self._inputs.states.get(key)
            if state is None or state.response_s is None:
                return None
            if not is_fresh(state, check.interval, check.timeout, self._inputs.now):
                return None
            slowest = max(slowest or 0.0, state.response_s)
        return slowest
