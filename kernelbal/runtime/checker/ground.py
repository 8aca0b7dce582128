"""What all drivers of probes share: the poller, deadlines, and what becomes of a probe after its run."""

from __future__ import annotations

import errno
import math
import select
import socket
from collections.abc import Callable
from random import Random
from typing import Final

from kernelbal.health.checks.dialogue import Verdict
from kernelbal.health.checks.table import ProbeMeans
from kernelbal.health.hysteresis import judged, stopped
from kernelbal.health.schedule import PAUSE_S, Entry, Schedule, Wheel
from kernelbal.health.wire import Notice
from kernelbal.model.health import Probe, ProbeState
from kernelbal.runtime.checker import words
from kernelbal.runtime.checker.outbox import Outbox
from kernelbal.runtime.checker.sockets import SocketAddress, prepare, socket_address

Handler = Callable[[int], None]
"""Takes the events of a descriptor."""

READ_BYTES: Final = 64 * 1024
"""Most that is read from one socket before others have their turn."""


class Task(Entry):
    """A probe with its state.

    Attributes:
        flight: its run, while it runs.
    """

    __slots__ = ("_socket_address", "flight", "means", "probe", "state")

    def __init__(self, probe: Probe, means: ProbeMeans, state: ProbeState) -> None:
        super().__init__(probe.key, probe.timing)
        self.probe = probe
        self.means = means
        self.state = state
        self.flight: Flight | None = None
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


class Flight:
    """One run of a probe."""

    __slots__ = ("deadline_at", "done", "excused", "started_at", "task")

    def __init__(self, task: Task, now: float) -> None:
        self.task = task
        self.started_at = now
        self.deadline_at = now + task.timing.timeout_s
        self.done = False
        self.excused = False

    def expire(self, now: float) -> None:
        """Its time is up."""
        raise NotImplementedError

    def close(self) -> None:
        """Give back what it holds; the run is over, or of no interest any more."""
        raise NotImplementedError


class Ground:
    """Everything that a driver needs; also counts what is in flight.

    Attributes:
        now: when the current round of events began, in seconds on the boot clock.
        live: runs that are under way.
    """

    def __init__(self, outbox: Outbox, poller: select.epoll, random: Random) -> None:
        self.outbox = outbox
        self.schedule: Schedule[Task] = Schedule()
        self.now = 0.0
        self.live = 0
        self._random = random.random
        self._poller = poller
        self._handlers: dict[int, Handler] = {}
        self._deadlines: Wheel[Flight] = Wheel()

    def watch(self, descriptor: int, events: int, handler: Handler) -> None:
        """Have a handler called at events of a descriptor."""
        self._handlers[descriptor] = handler
        self._poller.register(descriptor, events)

    def change(self, descriptor: int, events: int) -> None:
        """Wait for other events."""
        self._poller.modify(descriptor, events)

    def rewatch(self, descriptor: int, events: int, handler: Handler) -> None:
        """Wait for other events of a descriptor, and have another handler called."""
        self._handlers[descriptor] = handler
        self._poller.modify(descriptor, events)

    def unwatch(self, descriptor: int) -> None:
        """Forget a descriptor that is about to be closed, which takes it from the poller too."""
        self._handlers.pop(descriptor, None)

    def dispatch(self, events: list[tuple[int, int]]) -> None:
        """Call the handlers; one that another has meanwhile removed is left out."""
        for descriptor, mask in events:
            handler = self._handlers.get(descriptor)
            if handler is not None:
                handler(mask)

    def begin(self, flight: Flight) -> None:
        """Note that a run began, and when its time is up."""
        self.begin_soon(flight)
        self.set_deadline(flight)

    def begin_soon(self, flight: Flight) -> None:
        """Note that a run began which is looked at in the next tick anyway."""
        self.live += 1
        flight.task.flight = flight

    def set_deadline(self, flight: Flight) -> None:
        """Have a run end when its time is up."""
        self._deadlines.add(math.ceil(flight.deadline_at / self.schedule.tick_s), flight)

    def finish(self, flight: Flight, verdict: Verdict, took_s: float | None) -> None:
        """Take the result of a run."""
        self._end(flight)
        task = flight.task
        if task.gone:
            return
        old = task.state
        new = task.state = judged(old, verdict, self.now, took_s, task.timing)
        if new.health is not old.health or new.reading != old.reading:
            self.outbox.urgent[task.key] = new
        else:
            self.outbox.usual[task.key] = new
        self.plan_again(task)

    def fail(self, flight: Flight, reason: str) -> None:
        """Take the failure of a run."""
        self.finish(flight, Verdict(False, reason), None)

    def give_up(self, flight: Flight, notice: Notice) -> None:
        """End a run that says nothing of the real server: it does not count."""
        self._end(flight)
        self.skip(flight.task, notice)

    def cancel(self, flight: Flight) -> None:
        """End a run that is of no interest any more."""
        self._end(flight)
        flight.close()

    def skip(self, task: Task, notice: Notice) -> None:
        """Leave a probe out that cannot run; its state stays, and it has its next turn."""
        if task.gone:
            return
        self.outbox.tell(notice, self.now)
        state = stopped(task.state, f"not probed: {notice.message}")
        if state != task.state:
            task.state = self.outbox.usual[task.key] = state
        self.plan_again(task)

    def starve(self, task: Task, number: int) -> None:
        """Leave a probe out because this machine ran out of something."""
        self.skip(task, words.starvation(number))

    def plan_again(self, task: Task) -> None:
        """Let a probe have its next turn."""
        task.advance(self.now, self._random())
        self.schedule.plan(task)

    def _end(self, flight: Flight) -> None:
        flight.done = True
        flight.task.flight = None
        self.live -= 1

    def expire(self) -> None:
        """End runs whose time is up; after a pause they get it once more, as answers may lie unread."""
        if not self.live:
            self._deadlines.clear()
            return
        tick_s = self.schedule.tick_s
        late = []
        while slot := self._deadlines.pop(math.floor(self.now / tick_s)):
            tick, flights = slot
            for flight in flights:
                if flight.done:
                    continue
                if self.now - tick * tick_s > PAUSE_S and not flight.excused:
                    late.append(flight)
                else:
                    flight.expire(self.now)
        for flight in late:
            flight.excused = True
            flight.deadline_at = self.now + flight.task.timing.timeout_s
            self._deadlines.add(math.ceil(flight.deadline_at / tick_s), flight)

    def next_deadline_at(self) -> float | None:
        """Return when something may have to be ended, or None."""
        tick = self._deadlines.next_tick() if self.live else None
        return None if tick is None else tick * self.schedule.tick_s

    def use_schedule(self, schedule: Schedule[Task]) -> None:
        """Use another schedule, which may have another tick."""
        flights = []
        while slot := self._deadlines.pop(2**62):
            flights += [flight for flight in slot[1] if not flight.done]
        self.schedule = schedule
        for flight in flights:
            self._deadlines.add(math.ceil(flight.deadline_at / schedule.tick_s), flight)
