"""Waiting for leaving real servers, with a line that says for which."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from kernelbal.model.units import counted

if TYPE_CHECKING:
    from kernelbal.model.state import DesiredState
    from kernelbal.plan.describe import Names
    from kernelbal.plan.result import Options, PendingDrain
    from kernelbal.reconcile.round import Reconciler, Report


def wait_for_drains(reconciler: Reconciler, desired: DesiredState, options: Options, names: Names) -> Report:
    """Go on with rounds until no real server is leaving any more; return the last one's report."""
    import time

    from kernelbal.cli.progress import StatusLine
    from kernelbal.reconcile.settle_drains import finish_drains

    with StatusLine() as line:

        def on_pending(pending: tuple[PendingDrain, ...]) -> None:
            if pending:
                line.show(draining_text(pending, names), [each.key for each in pending])

        return finish_drains(reconciler, desired, time.sleep, on_pending, options)


def draining_text(pending: Sequence[PendingDrain], names: Names) -> str:
    """Return one line for all drains that are waited for; the longest wait stands for the others."""
    from kernelbal.cli.plan_view import pending_text

    longest = max(pending, key=lambda each: each.left_s)
    others = f", and {counted(len(pending) - 1, 'other real server')}" if len(pending) > 1 else ""
    return f"draining {pending_text(longest, names)}{others}"
