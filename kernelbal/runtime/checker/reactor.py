"""The reactor of the probe loop: descriptors, deadlines, and results of runs."""

from __future__ import annotations

import contextlib
import errno
import math
import select
import socket
from collections.abc import Callable
from random import Random
from typing import Final, TypeVar

from kernelbal.health.checks.dialogue import ProbeResult
from kernelbal.health.checks.table import ProbeMethod
from kernelbal.health.hysteresis import next_state, not_probed
from kernelbal.health.schedule import PAUSE_S, Schedule, ScheduleEntry, TimingWheel
from kernelbal.model.event import Topic
from kernelbal.model.health import Probe, ProbeState
from kernelbal.runtime.checker import reasons
from kernelbal.runtime.checker.budget import CallOverrun, mark_of
from kernelbal.runtime.checker.outbox import Outbox
from kernelbal.runtime.checker.sockets import SocketAddress, prepare, socket_address
from kernelbal.runtime.checker.wire import Notice

T = TypeVar("T")
EventHandler = Callable[[int], None]
"""Handles the events of a descriptor."""

_BUG: Final = "other checks go on; please report this"
LATE_SHARE: Final = 0.25
"""Lateness from which it was a pause for a run, as a share of its timeout; `PAUSE_S` is one for any."""
READ_BYTES: Final = 64 * 1024
"""Most that is read from one socket before others are served."""


class ProbeTask(ScheduleEntry):
    """A probe with its state and its place in the schedule.

    Attributes:
        mark: of the probe, for the parent.
        run: the run under way, or None.
    """

    __slots__ = ("_socket_address", "mark", "method", "probe", "run", "state")

    def __init__(self, probe: Probe, method: ProbeMethod, state: ProbeState) -> None:
        super().__init__(probe.key, probe.timing)
        self.probe = probe
        self.method = method
        self.state = state
        self.mark = mark_of(probe.key)
        self.run: ProbeRun | None = None
        self._socket_address: SocketAddress | None = None

    def connect(self, sock: socket.SocketType) -> int:
        """Begin to connect a new socket to the target, and return the error number, 0 once connected.

        Raises:
            Obstacle: this machine does not allow it.
        """
        target = self.probe.target
        address = self._socket_address
        if address is None:
            address = self._socket_address = socket_address(target.address, target.port)
        try:
            if target.mark or target.source:
                prepare(sock, target)
            return sock.connect_ex(address)
        except OSError as error:
            return error.errno or errno.EINVAL


class ProbeRun:
    """One run of a probe."""

    __slots__ = ("deadline_at", "done", "extended", "started_at", "task")

    def __init__(self, task: ProbeTask, now: float) -> None:
        self.task = task
        self.started_at = now
        self.deadline_at = now + task.timing.timeout_s
        self.done = False
        self.extended = False

    def expire(self, now: float) -> None:
        """Take the deadline."""
        raise NotImplementedError

    def close(self) -> None:
        """Release its resources; the run is over or cancelled."""
        raise NotImplementedError


class Reactor:
    """What every driver of probes works with.

    Attributes:
        now: when the current round of events began, in seconds on the boot clock.
        running: number of runs under way.
    """

    def __init__(self, outbox: Outbox, poller: select.epoll, random: Random, mark: memoryview) -> None:
        self.outbox = outbox
        self.schedule: Schedule[ProbeTask] = Schedule()
        self.now = 0.0
        self.running = 0
        self._random = random.random
        self._mark = mark
        self._poller = poller
        self._watched: dict[int, tuple[EventHandler, ProbeRun | None]] = {}
        self._deadlines: TimingWheel[ProbeRun] = TimingWheel()

    def watch(self, descriptor: int, events: int, handler: EventHandler, run: ProbeRun | None = None) -> None:
        """Register a handler for events of a descriptor; an error in it is one of its run, if it has one."""
        self._watched[descriptor] = handler, run
        self._poller.register(descriptor, events)

    def change(self, descriptor: int, events: int) -> None:
        """Wait for other events."""
        self._poller.modify(descriptor, events)

    def rewatch(self, descriptor: int, events: int, handler: EventHandler, run: ProbeRun) -> None:
        """Wait for other events of a descriptor, with another handler."""
        self._watched[descriptor] = handler, run
        self._poller.modify(descriptor, events)

    def unwatch(self, descriptor: int) -> None:
        """Forget a descriptor that is about to be closed; closing removes it from the poller."""
        self._watched.pop(descriptor, None)

    def dispatch(self, events: list[tuple[int, int]]) -> None:
        """Call the handlers, except those that an earlier one has removed."""
        for descriptor, mask in events:
            watched = self._watched.get(descriptor)
            if watched is None:
                continue
            handler, run = watched
            if run is None:
                handler(mask)
            else:
                self.guard(run.task, handler, mask)

    def guard(self, task: ProbeTask | None, call: Callable[[T], None], argument: T) -> None:
        """Call what works for one probe: an error in it is a failure of this probe, and of no other.

        One that takes too much processor time is cut off, and the probe is not run again until the director
        says so.

        Args:
            task: the probe; None while it is not known which one it is for.
            call: what to call.
            argument: its argument.
        """
        mark = self._mark
        if task is not None:
            mark[0] = task.mark
        try:
            call(argument)
            mark[0] = 0
        except Exception as error:  # noqa: BLE001 - whatever a reply leads to, all other probes go on
            mark[0] = 0
            self._take_error(task, error)
        except CallOverrun:
            mark[0] = 0
            self._cut_off(task)

    def _take_error(self, task: ProbeTask | None, error: Exception) -> None:
        """Close the run and count it as failed, unless its result was taken already."""
        reason = f"error in the check: {type(error).__name__}: {error}"
        what, key = ("a reply", "") if task is None else (task.probe.described, task.key)
        self.outbox.notify(Notice(Topic.CHECKER_ERROR, f"{what}: {reason}", _BUG), self.now, key)
        if task is None:
            return
        if task.run is not None:
            self.cancel(task.run)
        if not task.planned:
            self._take_result(task, ProbeResult(False, reason), None)

    def _cut_off(self, task: ProbeTask | None) -> None:
        """Close the run of a probe that took too long, and leave the rest to the director."""
        if task is None:
            return
        if task.run is not None:
            self.cancel(task.run)
        if not task.gone:
            task.state = task.state._replace(unable=reasons.OVERRUN)
            self.outbox.cut_off(task.key, task.state)

    def _close(self, run: ProbeRun) -> None:
        """Close a run; what it fails to close ends with its last reference, which is dropped here."""
        with contextlib.suppress(Exception):
            run.close()
            return
        for descriptor in [each for each, (_, owner) in self._watched.items() if owner is run]:
            self.unwatch(descriptor)

    def begin(self, run: ProbeRun) -> None:
        """Register a run with its deadline."""
        self.begin_untimed(run)
        self.set_deadline(run)

    def begin_untimed(self, run: ProbeRun) -> None:
        """Register a run that is collected in the next tick, and so needs no deadline yet."""
        self.running += 1
        run.task.run = run

    def set_deadline(self, run: ProbeRun) -> None:
        """Expire a run at its deadline."""
        self._deadlines.add(math.ceil(run.deadline_at / self.schedule.tick_s), run)

    def finish(self, run: ProbeRun, result: ProbeResult, took_s: float | None) -> None:
        """Take the result of a run."""
        self._end(run)
        self._take_result(run.task, result, took_s)

    def _take_result(self, task: ProbeTask, result: ProbeResult, took_s: float | None) -> None:
        if task.gone:
            return
        old = task.state
        new = task.state = next_state(old, result, self.now, took_s, task.timing)
        # What counts towards another health is sent at once: should this process end, the next one counts on.
        if new.health is not old.health or new.streak or old.unable or new.reading != old.reading:
            self.outbox.urgent[task.key] = new
        else:
            self.outbox.usual[task.key] = new
        self.reschedule(task)

    def fail(self, run: ProbeRun, reason: str) -> None:
        """Take the failure of a run."""
        self.finish(run, ProbeResult(False, reason), None)

    def discard(self, run: ProbeRun, notice: Notice) -> None:
        """End a run that says nothing about the real server; the state does not change."""
        self._end(run)
        self.skip(run.task, notice)

    def cancel(self, run: ProbeRun) -> None:
        """End a run whose result is not needed any more."""
        self._end(run)
        self._close(run)

    def skip(self, task: ProbeTask, notice: Notice) -> None:
        """Skip a run that cannot be made; the state says why, and the next run is scheduled."""
        if task.gone:
            return
        if notice.topic is Topic.CHECKER_UNABLE:
            self.outbox.notify(notice, self.now, notice.message)
            state = task.state._replace(unable=notice.message)
        else:
            self.outbox.notify(notice, self.now)
            state = not_probed(task.state, f"not probed: {notice.message}")
        if state != task.state:
            task.state = self.outbox.urgent[task.key] = state
        self.reschedule(task)

    def starve(self, task: ProbeTask, number: int) -> None:
        """Skip a run because this machine is out of a resource."""
        self.skip(task, reasons.out_of_resources(number))

    def reschedule(self, task: ProbeTask) -> None:
        """Schedule the next run of a probe."""
        task.advance(self.now, self._random())
        self.schedule.plan(task)

    def _end(self, run: ProbeRun) -> None:
        run.done = True
        run.task.run = None
        self.running -= 1

    def expire(self) -> None:
        """Expire runs; after a pause they get their timeout once more, as answers may lie unread."""
        if not self.running:
            self._deadlines.clear()
            return
        tick_s = self.schedule.tick_s
        late = []
        while slot := self._deadlines.pop(math.floor(self.now / tick_s)):
            tick, runs = slot
            for run in runs:
                if run.done:
                    continue
                pause_s = min(PAUSE_S, LATE_SHARE * run.task.timing.timeout_s)
                if self.now - tick * tick_s > pause_s and not run.extended:
                    late.append(run)
                else:
                    self.guard(run.task, run.expire, self.now)
        for run in late:
            run.extended = True
            run.deadline_at = self.now + run.task.timing.timeout_s
            self._deadlines.add(math.ceil(run.deadline_at / tick_s), run)

    def next_deadline_at(self) -> float | None:
        """Return the earliest deadline, or None."""
        tick = self._deadlines.next_tick() if self.running else None
        return None if tick is None else tick * self.schedule.tick_s

    def use_schedule(self, schedule: Schedule[ProbeTask]) -> None:
        """Replace the schedule, which may have another tick."""
        runs = []
        while slot := self._deadlines.pop(2**62):
            runs += [run for run in slot[1] if not run.done]
        self.schedule = schedule
        for run in runs:
            self._deadlines.add(math.ceil(run.deadline_at / schedule.tick_s), run)
