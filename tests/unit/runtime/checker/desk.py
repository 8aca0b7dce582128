"""A checker at work in a thread, and real servers on loopback for it to probe."""

from __future__ import annotations

import contextlib
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Self

from kernelbal.model.address import Address, parse_address
from kernelbal.model.event import Topic
from kernelbal.model.health import Health, Probe, ProbeState, Target, Timing
from kernelbal.model.site.check import ProbeProtocol
from kernelbal.runtime.checker.loop import ProbeLoop
from kernelbal.runtime.checker.wire import CheckerReport, Notice
from tests.support.checker_link import CheckerLink, states_of

HERE = parse_address("127.0.0.1")
NOWHERE = Address(b"")
FAST = Timing(0.2, 0.3, rise=1, fall=1)
LIMIT_S = 30.0
BUSY = (Topic.CHECKER_LATE,)
"""Notices of a machine that is busy."""
Handler = Callable[[socket.socket], None]


def probe(
    protocol: ProbeProtocol,
    port: int = 0,
    *,
    key: str = "probe",
    timing: Timing = FAST,
    address: Address = HERE,
    source: Address = NOWHERE,
    mark: int = 0,
) -> Probe:
    """Return a probe of something on this machine."""
    target = Target(address, port, "www.example.net", address, source, mark)
    return Probe(key, protocol, target, timing)


class Desk:
    """The director's end of a checker that runs in a thread."""

    def __init__(self) -> None:
        self.ours, self._theirs = socket.socketpair()
        self._theirs.setblocking(False)
        self.checker = ProbeLoop(self._theirs, random.Random(1), memoryview(bytearray(8)).cast("Q"))
        self._thread = threading.Thread(target=self.checker.run)
        self._link = CheckerLink(self.ours)
        self.reports: list[CheckerReport] = []
        self.states: dict[str, ProbeState] = {}

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, _: object, trace: TracebackType | None) -> None:
        self.ours.close()
        self._thread.join(LIMIT_S)
        self._theirs.close()
        assert not self._thread.is_alive(), "the checker outlives its director"

    @property
    def notices(self) -> list[Notice]:
        """What operators should know, but for the time that a busy machine takes."""
        return [each for report in self.reports for each in report.notices if each.topic not in BUSY]

    def send(self, *probes: Probe, states: dict[str, ProbeState] | None = None) -> None:
        """Have these probed."""
        self._link.send({each.key: each for each in probes}, states)

    def read(self) -> None:
        """Take what comes next."""
        self.ours.settimeout(LIMIT_S)
        found = self._link.read()
        self.reports += found
        self.states |= states_of(found)

    def until(self, holds: Callable[[], bool]) -> None:
        """Read reports until something holds."""
        give_up_at = time.monotonic() + LIMIT_S
        while not holds():
            assert time.monotonic() < give_up_at, f"still {self.states} {self.notices}"
            self.read()

    def is_in(self, key: str, health: Health) -> bool:
        """Whether the last state of a probe says so."""
        return self.states.get(key, ProbeState()).health is health

    def result(self, expected: Probe) -> ProbeState:
        """Have one thing probed and return the state after the first result."""
        self.send(expected)
        self.until(lambda: not self.is_in(expected.key, Health.UNKNOWN))
        return self.states[expected.key]


@contextlib.contextmanager
def serving(handler: Handler, host: str = "127.0.0.1") -> Iterator[int]:
    """Accept connections in a thread, hand each to `handler` and close it; yields the port."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as listening:
        listening.bind((host, 0))
        listening.listen(128)

        def serve() -> None:
            while True:
                try:
                    connection = listening.accept()[0]
                except OSError:
                    return
                with connection, contextlib.suppress(OSError):
                    connection.settimeout(LIMIT_S)
                    handler(connection)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listening.getsockname()[1]
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            thread.join(LIMIT_S)


def found(
    protocol: ProbeProtocol, handler: Handler, timing: Timing = FAST, host: str = "127.0.0.1"
) -> ProbeState:
    """Have a server that behaves like this probed once and return the state."""
    with serving(handler, host) as port, Desk() as desk:
        return desk.result(probe(protocol, port, timing=timing, address=parse_address(host)))


def free_port() -> int:
    """Return a port on which nobody listens just now."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return int(bound.getsockname()[1])
