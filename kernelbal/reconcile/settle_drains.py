"""Waiting for leaving real servers to lose their connections."""

from __future__ import annotations

from collections.abc import Callable

from kernelbal.plan.kind import DEFAULT_OPTIONS, DesiredState, Options, PendingDrain
from kernelbal.reconcile.round import Reconciler, RoundReport

POLL_S = 1.0
"""How often connections of a leaving real server are counted, in seconds."""

OnPending = Callable[[tuple[PendingDrain, ...]], None]


def finish_drains(
    reconciler: Reconciler,
    desired: DesiredState,
    sleep: Callable[[float], None],
    on_pending: OnPending,
    options: Options = DEFAULT_OPTIONS,
) -> RoundReport:
    """Run rounds until no real server is leaving any more, and return the last one's report.

    Every drain has a deadline, so this ends. Interrupting it loses nothing: the record knows the drains,
    and the next round goes on with them.
    """
    while True:
        prepared = reconciler.prepare(desired, options)
        report = reconciler.perform(prepared, options)
        if not report.converged or not prepared.plan.drains:
            return report
        on_pending(prepared.plan.pending)
        sleep(POLL_S)
