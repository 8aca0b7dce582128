"""Waiting for leaving real servers, with a line that says for which."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from kernelbal.model.units import counted

if TYPE_CHECKING:
    from kernelbal.cli.api_client import ApiClient
    from kernelbal.model.answers import PlannedDrain
    from kernelbal.plan.action import Names
    from kernelbal.plan.kind import DesiredState, Options, PendingDrain
    from kernelbal.reconcile.round import Reconciler, RoundReport

POLL_S = 1.0
"""How often a daemon is asked for its drains, in seconds: as often as it counts their connections."""


def wait_for_drains(
    reconciler: Reconciler, desired: DesiredState, options: Options, names: Names
) -> RoundReport:
    """Go on with rounds until no real server is leaving any more; return the last one's report."""
    import time

    from kernelbal.cli.progress import StatusLine
    from kernelbal.plan.document import planned_drain
    from kernelbal.reconcile.settle_drains import finish_drains

    with StatusLine() as line:

        def on_pending(pending: tuple[PendingDrain, ...]) -> None:
            if pending:
                drains = [planned_drain(each, names) for each in pending]
                line.show(draining_text(drains), [each.key for each in pending])

        return finish_drains(reconciler, desired, time.sleep, on_pending, options)


def watch_drains(daemon: ApiClient) -> None:
    """Wait until no real server is leaving any more; the daemon removes them by itself."""
    import time

    from kernelbal.cli.progress import StatusLine
    from kernelbal.model.answers import PlanRequest

    with StatusLine() as line:
        while drains := daemon.plan(PlanRequest(most=0)).plan.draining:
            line.show(draining_text(drains), [(each.service, each.real_server) for each in drains])
            time.sleep(POLL_S)


def draining_text(drains: Sequence[PlannedDrain]) -> str:
    """Return one line for all drains that are waited for; the longest wait stands for the others."""
    from kernelbal.cli.plan_view import drain_text

    longest = max(drains, key=lambda each: each.left_s)
    others = f", and {counted(len(drains) - 1, 'other real server')}" if len(drains) > 1 else ""
    return f"draining {drain_text(longest)}{others}"
