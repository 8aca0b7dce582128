"""The checker's loop: waits for the next tick, collects results, starts what is due, reports."""

from __future__ import annotations

import gc
import select
import socket
import time
from collections import deque
from random import Random
from typing import Final

from kernelbal.health.checks.table import method_of
from kernelbal.health.schedule import Schedule, tick_length
from kernelbal.model.event import Topic
from kernelbal.model.health import Probe, ProbeState
from kernelbal.runtime.checker import limits
from kernelbal.runtime.checker.drivers import Drivers
from kernelbal.runtime.checker.outbox import Outbox
from kernelbal.runtime.checker.reactor import ProbeTask, Reactor
from kernelbal.runtime.checker.wire import PROBE_PAGES, Notice, ProbeSet, ProbeSetReader
from kernelbal.runtime.parent import ParentLink

IDLE_WAIT_S: Final = 1.0
"""Longest wait; bounds how late the loop notices that it was stopped for a while."""
LATE_WINDOW_S: Final = 10.0
LATE_S: Final = 0.5
"""Lateness of 1 in 100 probes from which it is reported."""
GARBAGE_THRESHOLD: Final = 20_000
"""Allocations between garbage collections; runs of probes leave hardly any cycles."""


class Lateness:
    """How late probes started, over the last few seconds."""

    def __init__(self) -> None:
        self._ticks: deque[tuple[float, float, int]] = deque()

    def add(self, now: float, late_s: float, probes: int) -> None:
        """Record that `probes` runs started `late_s` late."""
        self._ticks.append((now, late_s, probes))
        while self._ticks[0][0] < now - LATE_WINDOW_S:
            self._ticks.popleft()

    def p99_s(self) -> float:
        """Return the 99th percentile of lateness."""
        left = sum(probes for _, _, probes in self._ticks) // 100
        for late_s, probes in sorted(((late, count) for _, late, count in self._ticks), reverse=True):
            left -= probes
            if left < 0:
                return late_s
        return 0.0


class ProbeLoop:
    """Runs probes until the director closes the connection."""

    def __init__(self, connection: socket.socket, random: Random, mark: memoryview) -> None:
        self._connection = connection
        self._poller = select.epoll()
        self._link = ParentLink(connection, self._watch_writable)
        self._outbox = Outbox(self._link)
        self.reactor = Reactor(self._outbox, self._poller, random, mark)
        self.drivers = Drivers(self.reactor)
        self._tasks: dict[str, ProbeTask] = {}
        self._sets = ProbeSetReader()
        self._lateness = Lateness()
        self._next_tick_at = 0.0
        self._late_p99_s = 0.0
        self._waits_to_write = False
        self.reactor.watch(connection.fileno(), select.EPOLLIN, self._receive)

    def run(self) -> None:
        """Run until the director is gone.

        Raises:
            Malformed: it sent what cannot be read.
        """
        try:
            while not self._link.ended:
                events = self._poller.poll(self._wait_s())
                self.reactor.now = time.clock_gettime(time.CLOCK_BOOTTIME)
                self.reactor.dispatch(events)
                self._tick()
        except ConnectionError:
            return
        finally:
            self.close()

    def close(self) -> None:
        """End all runs, and close everything but the connection."""
        for task in self._tasks.values():
            if task.run is not None:
                self.reactor.cancel(task.run)
        self.drivers.close()
        self._poller.close()

    def _wait_s(self) -> float:
        reactor = self.reactor
        now = reactor.now
        until = min(now + IDLE_WAIT_S, self._outbox.next_at)
        for at in (reactor.schedule.next_at(), reactor.next_deadline_at()):
            if at is not None and at < until:
                until = at
        if self.drivers.connect.fresh or self.drivers.connect.slow or until < self._next_tick_at:
            until = self._next_tick_at  # between ticks only events of descriptors are handled
        return max(until - time.clock_gettime(time.CLOCK_BOOTTIME), 0.0)

    def _tick(self) -> None:
        """Do what is due, once per tick."""
        reactor = self.reactor
        now = reactor.now
        if now >= self._next_tick_at:
            tick_s = reactor.schedule.tick_s
            self._next_tick_at = (now // tick_s + 1) * tick_s
            self.drivers.connect.collect()
            reactor.expire()
            late_s, tasks = reactor.schedule.due(now)
            if tasks:
                self.drivers.start(tasks)
                took_s = time.clock_gettime(time.CLOCK_BOOTTIME) - now
                self._lateness.add(now, late_s + took_s, len(tasks))
        self._outbox.flush(now, self._measure_lateness, len(self._tasks))

    def _measure_lateness(self) -> float:
        late_s = self._lateness.p99_s()
        if late_s > LATE_S:
            message = f"probes start late: 1 in 100 by {late_s:.2f} s or more"
            hint = "give this machine more processor time, or raise `interval`"
            self._outbox.notify(Notice(Topic.CHECKER_LATE, message, hint), self.reactor.now)
        return late_s

    def _watch_writable(self, writable: bool) -> None:
        if writable != self._waits_to_write:
            self._waits_to_write = writable
            events = select.EPOLLIN | select.EPOLLOUT if writable else select.EPOLLIN
            self.reactor.change(self._connection.fileno(), events)

    def _receive(self, mask: int) -> None:
        """Read what the director sends."""
        if mask & select.EPOLLOUT:
            self._link.write()
        if not mask & ~select.EPOLLOUT:
            return
        for frame in self._link.read():
            found = self._sets.take(PROBE_PAGES.decode(frame))
            if found is not None:
                self.replace(found)

    def replace(self, probe_set: ProbeSet) -> None:
        """Replace the set of probes; known ones keep their state and their slots."""
        known, self._tasks = self._tasks, {}
        for key, probe in probe_set.probes.items():
            task = known.pop(key, None)
            if task is None:
                task = self._new_task(probe, probe_set.states.get(key, ProbeState()))
            if task is not None:
                self._tasks[key] = task
        for task in known.values():
            task.gone = True
            if task.run is not None:
                self.reactor.cancel(task.run)
        self.drivers.prepare(self._tasks.values())
        self._plan()
        limits.raise_descriptors(len(self._tasks))
        gc.collect()
        gc.freeze()  # thousands of probes that stay need not be traversed again
        gc.set_threshold(GARBAGE_THRESHOLD)

    def _new_task(self, probe: Probe, state: ProbeState) -> ProbeTask | None:
        try:
            return ProbeTask(probe, method_of(probe), state)
        except Exception as error:  # noqa: BLE001 - whatever a definition leads to, all others are probed
            notice = Notice(Topic.CHECKER_UNABLE, f"invalid check: {error}")
            self._outbox.notify(notice, self.reactor.now, notice.message)
            self._outbox.urgent[probe.key] = state._replace(unable=notice.message)
            return None

    def _plan(self) -> None:
        """Put all probes that do not run just now into a schedule of the right tick."""
        now = self.reactor.now
        schedule: Schedule[ProbeTask] = Schedule(tick_length(task.timing for task in self._tasks.values()))
        waiting = [task for task in self._tasks.values() if task.run is None]
        new = [task for task in waiting if task.start_at == 0.0]
        for task in new:
            task.begin(now, len(new))
        for task in waiting:
            schedule.plan(task)
        self.reactor.use_schedule(schedule)
        self._next_tick_at = 0.0
