"""`kernelbal confirm` and `kernelbal rollback`: keep or undo an `apply --confirm`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from kernelbal.cli.api_client import SOCKET_OPTION
from kernelbal.cli.documents import STATE_OPTION
from kernelbal.cli.exit_codes import ExitCode
from kernelbal.model.units import counted, format_duration

if TYPE_CHECKING:
    from kernelbal.cli.session import Session
    from kernelbal.errors import PlanRefused
    from kernelbal.model.answers import ApplyDocument, PlannedAction
    from kernelbal.reconcile.round import PreparedRound
    from kernelbal.store.state import StateDirectory

EPILOG = """Example:

kernelbal apply --confirm 60s && kernelbal confirm"""
ROLLBACK_EPILOG = """Example:

kernelbal rollback   (at once, instead of when the time to confirm is over)"""

PATIENCE_S = 30.0
"""How long to wait for an apply that is still at work, in seconds."""
START_POLL_S = 0.02
"""How often to look whether the process that would roll back has started, in seconds."""
POLL_S = 0.5
"""How often the waiting roll-back looks whether it was called off, in seconds."""


def confirm(state_dir: Path = STATE_OPTION, socket: Path = SOCKET_OPTION) -> int:
    """Keep what `apply --confirm` did.

    Without it, the changes are rolled back when the time to confirm is over.
    """
    from kernelbal.cli.api_client import ApiClient
    from kernelbal.cli.output import put
    from kernelbal.errors import NoDaemon, PlanRefused
    from kernelbal.store.state import StateDirectory

    try:
        ApiClient(socket).confirm()
    except NoDaemon:
        store = StateDirectory(state_dir)
        with store.lock(PATIENCE_S):
            if store.load_snapshot() is None:
                hint = "`kernelbal plan` shows whether it was rolled back"
                raise PlanRefused("nothing awaits confirmation", hint) from None
            store.discard_snapshot()
    put("confirmed: the changes stay")
    return ExitCode.OK


def rollback(
    state_dir: Path = STATE_OPTION,
    socket: Path = SOCKET_OPTION,
    wait: bool = typer.Option(False, "--wait", help="Wait until the time to confirm is over."),
) -> int:
    """Undo what an unconfirmed `apply --confirm` did."""
    from kernelbal.cli.api_client import ApiClient
    from kernelbal.errors import NoDaemon
    from kernelbal.store.state import StateDirectory

    if wait:
        store = StateDirectory(state_dir)
        with store.watching():
            return _rollback_here(state_dir, wait=True) if _wait_for_deadline(store) else ExitCode.OK
    try:
        answer = ApiClient(socket).rollback()
    except NoDaemon:
        return _rollback_here(state_dir, wait=False)
    return _conclude(answer.report, answer.left)


def _rollback_here(state_dir: Path, *, wait: bool) -> int:
    from kernelbal.cli.draining import wait_for_drains
    from kernelbal.cli.plan_view import SHOWN_ACTIONS
    from kernelbal.cli.session import open_session
    from kernelbal.errors import PlanRefused
    from kernelbal.plan.document import apply_document, left_actions
    from kernelbal.plan.kind import DEFAULT_OPTIONS

    # One that nobody watches must not give up because an apply takes long.
    with open_session(state_dir) as session, session.store.lock(math.inf if wait else PATIENCE_S):
        snapshot = session.store.load_snapshot()
        if snapshot is None:
            raise PlanRefused("there is nothing to roll back", "only `apply --confirm` can be rolled back")
        first = last = session.reconciler.perform(session.reconciler.prepare(snapshot.state))
        if first.converged and first.plan.drains:
            last = wait_for_drains(session.reconciler, snapshot.state, DEFAULT_OPTIONS, {})
        if last.converged:
            session.reconciler.disown(snapshot.adopted)
            session.store.discard_snapshot()  # last: whoever is killed before goes back again
    outcomes = first.outcomes if last.converged else last.outcomes
    report = apply_document(outcomes, last.remaining, {}, converged=last.converged)
    return _conclude(report, left_actions(last.remaining, {}, SHOWN_ACTIONS))


def _conclude(report: ApplyDocument, left: Sequence[PlannedAction]) -> int:
    from kernelbal.cli.output import put
    from kernelbal.cli.plan_view import print_unfinished

    if not report.converged:
        print_unfinished(report, left, "not rolled back completely", "rollback")
        return ExitCode.FAILED
    put(f"rolled back with {counted(report.changes, 'change')}")
    return ExitCode.OK


def _wait_for_deadline(store: StateDirectory) -> bool:
    """Wait for the deadline; False when the roll-back was called off meanwhile."""
    import time

    from kernelbal.store.boot import boot_clock_s

    while True:
        snapshot = store.load_snapshot()
        if snapshot is None:
            return False
        left_s = snapshot.deadline_at - boot_clock_s()
        if left_s <= 0:
            return True
        time.sleep(min(POLL_S, left_s))


def unconfirmed(store: StateDirectory) -> PlanRefused | None:
    """Return why nothing may be applied now, with the remedy; None when nothing awaits confirmation.

    Raises:
        StateError: the snapshot cannot be read.
    """
    from kernelbal.errors import awaits_confirmation
    from kernelbal.store.boot import boot_clock_s

    snapshot = store.load_snapshot()
    if snapshot is None:
        return None
    return awaits_confirmation(snapshot.deadline_at - boot_clock_s(), watched=store.watched)


def arm(session: Session, prepared: PreparedRound, confirm_s: float, state_dir: Path) -> None:
    """Record what to come back to and start the process that does so; called before the first change.

    On return the process watches: from here on whatever ends this command, it goes back.

    Raises:
        StateError: the record cannot be written, or the process does not start; then nothing awaits
            confirmation.
    """
    from kernelbal.cli.output import say
    from kernelbal.errors import StateError
    from kernelbal.plan.kinds import DIRECTOR
    from kernelbal.plan.kinds.services import adopt, adopted_services
    from kernelbal.plan.planning import kept_state
    from kernelbal.store.boot import boot_clock_s

    adopted = adopted_services(prepared.plan)
    state = kept_state(DIRECTOR, prepared.observed, adopt(prepared.ownership, adopted))
    session.store.save_snapshot(state, boot_clock_s() + confirm_s, adopted)
    try:
        _start_watching(session.store, state_dir)
    except StateError:
        session.store.discard_snapshot()
        raise
    say(f"rolled back in {format_duration(confirm_s)} unless `kernelbal confirm` is run")


def _start_watching(store: StateDirectory, state_dir: Path) -> None:
    """Start the process that rolls back, and wait until it watches; it outlives the login that ran this."""
    import subprocess
    import sys
    import time

    from kernelbal.errors import StateError

    command = [sys.executable, "-m", "kernelbal", "rollback", "--wait", "--state-dir", str(state_dir)]
    log_file = state_dir / "rollback.log"
    try:
        with log_file.open("ab") as log:
            watcher = subprocess.Popen(  # noqa: S603 (our own interpreter and arguments)
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
    except OSError as error:
        message = f"cannot start the process that would roll back, and nothing was changed: {error.strerror}"
        raise StateError(message, f"free memory or disk space, or check {state_dir}") from error
    give_up_at = time.monotonic() + PATIENCE_S
    while watcher.poll() is None and time.monotonic() < give_up_at:
        if store.watched:
            return
        time.sleep(START_POLL_S)
    watcher.kill()
    message = "the process that would roll back did not start, and nothing was changed"
    raise StateError(message, f"{log_file} says why")
