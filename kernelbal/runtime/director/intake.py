"""What comes in: reports of the checker, notices of the kernel, replaced files, signals."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Iterator
from pathlib import Path

from kernelbal.kernel.inotify import DirectoryWatch
from kernelbal.kernel.watch import KernelChange, KernelWatch, Subscription
from kernelbal.model.event import Event, Severity, Topic
from kernelbal.model.health import Health, ProbeState
from kernelbal.runtime.checker.wire import CheckerReport
from kernelbal.runtime.director.context import DirectorContext, DirectorState
from kernelbal.runtime.director.loop import Loop
from kernelbal.runtime.director.pacer import Cause
from kernelbal.runtime.director.reload import Reloads


class Intake:
    """Takes in what happens, and passes it on to the loop and to reloads."""

    def __init__(self, context: DirectorContext, state: DirectorState, loop: Loop, reloads: Reloads) -> None:
        self._context = context
        self._state = state
        self._loop = loop
        self._reloads = reloads

    def take_report(self, report: CheckerReport) -> None:
        """Take in what the checker found."""
        state, reporter = self._state, self._context.reporter
        probes = state.force.documents.probes.probes
        if not state.checker_up and (report.probes or not probes):
            state.checker_up = True
            message = f"the checker runs {report.probes} probes"
            reporter.report(Topic.CHECKER_STARTED, message, Severity.INFO)
        changed = False
        for key, found in report.states.items():
            if key in probes:
                changed = _matters(state.states.get(key), found) or changed
                state.states[key] = found
        for notice in report.notices:
            hint = f" (hint: {notice.hint})" if notice.hint else ""
            reporter.emit(Event(notice.topic, Severity.WARNING, notice.message + hint))
        state.late_p99_s, state.probing = report.late_p99_s, report.probes
        if changed:
            self._context.saver.health_changed()
            if self._loop.ready.is_set():
                self._loop.note(Cause.PROBES)
        self._loop.wake()

    def lose_checker(self, reason: str) -> None:
        """Take in that the checker ended; every state stays as it was."""
        self._state.checker_up = False
        message = f"{reason}; it is restarted; until then the states of real servers are kept"
        self._context.reporter.report(Topic.CHECKER_LOST, message, Severity.ERROR)

    def take_notice(self, notice: KernelChange) -> None:
        """Take in what the kernel announced."""
        if notice & KernelChange.LOST:
            self._loop.note(Cause.OVERFLOW)
        elif notice:
            self._loop.note(Cause.NOTIFIED)

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """Listen to the kernel, to SIGHUP, and to the directories of the documents, in the running loop."""
        loop = asyncio.get_running_loop()
        paths = self._context.paths
        directories = {path.absolute().parent for path in (paths.site, paths.node)}
        with KernelWatch.open() as kernel, self._watched(directories) as files:
            sources = (*kernel.subscriptions, *((files,) if files is not None else ()))
            for subscription in kernel.subscriptions:
                loop.add_reader(subscription.fileno(), self._read_notices, subscription)
            if files is not None:
                loop.add_reader(files.fileno(), self._read_files, files)
            loop.add_signal_handler(signal.SIGHUP, self._reloads.hang_up)
            try:
                yield
            finally:
                loop.remove_signal_handler(signal.SIGHUP)
                for source in sources:
                    loop.remove_reader(source.fileno())

    def _read_notices(self, subscription: Subscription) -> None:
        self.take_notice(subscription.read())

    def _read_files(self, files: DirectoryWatch) -> None:
        if files.read():
            self._reloads.file_changed()

    @contextlib.contextmanager
    def _watched(self, directories: set[Path]) -> Iterator[DirectoryWatch | None]:
        """Watch directories; where that is impossible, SIGHUP and `kernelbal reload` still work."""
        try:
            watch = DirectoryWatch(directories)
        except OSError as error:
            message = f"changes of the documents are not noticed: {error}; use `kernelbal reload`"
            self._context.reporter.report(Topic.DIRECTOR_STARTED, message, Severity.WARNING)
            yield None
            return
        with watch:
            yield watch


def _matters(old: ProbeState | None, new: ProbeState) -> bool:
    """Return whether a decision may depend on the difference."""
    return old is None or _counts(old) != _counts(new)


def _counts(state: ProbeState) -> tuple[object, ...]:
    """Return what counts of a state; the reason does while it is shown as that of the real server."""
    reason = state.reason if state.health is Health.DOWN else ""
    return state.health, state.reading, state.warning, state.unable, reason
