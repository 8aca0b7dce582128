"""The checker's loop: waits for the next tick, collects results, starts what is due, reports."""

from __future__ import annotations

import gc
import select
import socket
import time
from collections import deque
from random import Random
from typing import Final

from kernelbal.health.checks.table import plan_of
from kernelbal.health.schedule import Schedule, tick_length
from kernelbal.health.wire import Lines, Notice, ProbeSet, ProbeSetReader
from kernelbal.model.event import Topic
from kernelbal.model.health import Probe, ProbeState
from kernelbal.runtime.checker import limits
from kernelbal.runtime.checker.drivers import Drivers
from kernelbal.runtime.checker.ground import Ground, Task
from kernelbal.runtime.checker.outbox import Outbox

IDLE_WAIT_S: Final = 1.0
"""Longest wait; with it the loop also notices that it was stopped for a while."""
LATE_WINDOW_S: Final = 10.0
LATE_S: Final = 0.5
"""Lateness of 1 in 100 probes from which operators are told."""
GARBAGE_THRESHOLD: Final = 20_000
"""New objects after which cycles among them are looked for; runs of probes leave hardly any."""
_READ_BYTES: Final = 256 * 1024


class Lateness:
    """By how much probes began too late, over the last few seconds."""

    def __init__(self) -> None:
        self._ticks: deque[tuple[float, float, int]] = deque()

    def add(self, now: float, late_s: float, probes: int) -> None:
        """Note that so many probes began so late."""
        self._ticks.append((now, late_s, probes))
        while self._ticks[0][0] < now - LATE_WINDOW_S:
            self._ticks.popleft()

    def p99_s(self) -> float:
        """Return by how much 99 of 100 probes at most were late."""
        left = sum(probes for _, _, probes in self._ticks) // 100
        for late_s, probes in sorted(((late, count) for _, late, count in self._ticks), reverse=True):
            left -= probes
            if left < 0:
                return late_s
        return 0.0


class Checker:
    """Runs probes until the director closes the connection."""

    def __init__(self, connection: socket.socket, random: Random) -> None:
        self._connection = connection
        self._poller = select.epoll()
        self._outbox = Outbox(connection, self._watch_writable)
        self.ground = Ground(self._outbox, self._poller, random)
        self.drivers = Drivers(self.ground)
        self._tasks: dict[str, Task] = {}
        self._lines, self._sets = Lines(), ProbeSetReader()
        self._lateness = Lateness()
        self._next_tick_at = 0.0
        self._late_p99_s = 0.0
        self._waits_to_write = False
        self._ended = False
        self.ground.watch(connection.fileno(), select.EPOLLIN, self._hear)

    def run(self) -> None:
        """Run until the director is gone.

        Raises:
            WireError: it sent what cannot be read.
        """
        try:
            while not self._ended:
                events = self._poller.poll(self._wait_s())
                self.ground.now = time.clock_gettime(time.CLOCK_BOOTTIME)
                self.ground.dispatch(events)
                self._tick()
        except ConnectionError:
            return
        finally:
            for task in self._tasks.values():
                if task.flight is not None:
                    self.ground.cancel(task.flight)
            self.drivers.close()
            self._poller.close()

    def _wait_s(self) -> float:
        ground = self.ground
        now = ground.now
        until = min(now + IDLE_WAIT_S, self._outbox.next_at)
        for at in (ground.schedule.next_at(), ground.next_deadline_at()):
            if at is not None and at < until:
                until = at
        if self.drivers.connects.fresh or self.drivers.connects.slow or until < self._next_tick_at:
            until = self._next_tick_at  # nothing but events of descriptors is dealt with between ticks
        return max(until - time.clock_gettime(time.CLOCK_BOOTTIME), 0.0)

    def _tick(self) -> None:
        """Do what is due, unless this tick has had its turn."""
        ground = self.ground
        now = ground.now
        if now >= self._next_tick_at:
            tick_s = ground.schedule.tick_s
            self._next_tick_at = (now // tick_s + 1) * tick_s
            self.drivers.connects.collect()
            ground.expire()
            late_s, tasks = ground.schedule.due(now)
            if tasks:
                self.drivers.start(tasks)
                took_s = time.clock_gettime(time.CLOCK_BOOTTIME) - now
                self._lateness.add(now, late_s + took_s, len(tasks))
        self._outbox.flush(now, self._measure_lateness, len(self._tasks))

    def _measure_lateness(self) -> float:
        late_s = self._lateness.p99_s()
        if late_s > LATE_S:
            message = f"probes begin late: 1 in 100 by {late_s:.2f} s or more"
            hint = "give this machine more processor time, or check less often"
            self._outbox.tell(Notice(Topic.CHECKER_LATE, message, hint), self.ground.now)
        return late_s

    def _watch_writable(self, wanted: bool) -> None:
        if wanted != self._waits_to_write:
            self._waits_to_write = wanted
            events = select.EPOLLIN | select.EPOLLOUT if wanted else select.EPOLLIN
            self.ground.change(self._connection.fileno(), events)

    def _hear(self, mask: int) -> None:
        """Take what the director sends."""
        if mask & select.EPOLLOUT:
            self._outbox.write()
        if not mask & ~select.EPOLLOUT:
            return
        try:
            data = self._connection.recv(_READ_BYTES)
        except BlockingIOError:
            return
        if not data:
            self._ended = True
        for line in self._lines.feed(data):
            found = self._sets.feed(line)
            if found is not None:
                self.replace(found)

    def replace(self, wanted: ProbeSet) -> None:
        """Probe another set from now on; known probes keep their state and their slots."""
        known, self._tasks = self._tasks, {}
        for key, probe in wanted.probes.items():
            task = known.pop(key, None)
            if task is None:
                task = self._new_task(probe, wanted.states.get(key, ProbeState()))
            if task is not None:
                self._tasks[key] = task
        for task in known.values():
            task.gone = True
            if task.flight is not None:
                self.ground.cancel(task.flight)
        self.drivers.prepare(self._tasks.values())
        self._plan()
        limits.raise_descriptors(len(self._tasks))
        gc.collect()
        gc.freeze()  # thousands of probes that stay need not be looked at again and again
        gc.set_threshold(GARBAGE_THRESHOLD)

    def _new_task(self, probe: Probe, state: ProbeState) -> Task | None:
        try:
            return Task(probe, plan_of(probe), state)
        except ValueError as error:
            notice = Notice(Topic.CHECKER_UNABLE, f"a check cannot be used: {error}")
            self._outbox.tell(notice, self.ground.now)
            self._outbox.usual[probe.key] = state._replace(reason=f"not probed: {notice.message}")
            return None

    def _plan(self) -> None:
        """Put all probes that do not run just now into a schedule of the right tick."""
        now = self.ground.now
        schedule: Schedule[Task] = Schedule(tick_length(task.timing for task in self._tasks.values()))
        waiting = [task for task in self._tasks.values() if task.flight is None]
        new = [task for task in waiting if task.start_at == 0.0]
        for task in new:
            task.begin(now, len(new))
        for task in waiting:
            schedule.plan(task)
        self.ground.use_schedule(schedule)
        self._next_tick_at = 0.0
