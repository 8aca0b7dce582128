"""Which driver runs which probe."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from kernelbal.health.checks.dialogue import GOOD
from kernelbal.health.checks.table import ProbeTransport
from kernelbal.runtime.checker import datagram, stream
from kernelbal.runtime.checker.connect import ConnectDriver
from kernelbal.runtime.checker.echo import EchoDriver
from kernelbal.runtime.checker.reactor import ProbeRun, ProbeTask, Reactor
from kernelbal.runtime.checker.script import ScriptDriver
from kernelbal.runtime.checker.tls import TlsContexts


class Drivers:
    """All drivers.

    Attributes:
        connect: that of TCP connects, whose results are collected once per tick.
        echo: that of echo requests.
        script: that of scripts.
    """

    def __init__(self, reactor: Reactor) -> None:
        self.reactor = reactor
        self.connect: Final = ConnectDriver(reactor)
        self._contexts = TlsContexts()
        self.echo = EchoDriver(reactor)
        self.script = ScriptDriver(reactor)
        self._starts: dict[ProbeTransport, Callable[[ProbeTask], None]] = {
            ProbeTransport.NONE: self._pass,
            ProbeTransport.CONNECT: self.connect.start,
            ProbeTransport.STREAM: lambda task: stream.start(reactor, self._contexts, task),
            ProbeTransport.DATAGRAM: lambda task: datagram.start(reactor, task),
            ProbeTransport.ICMP: self.echo.start,
            ProbeTransport.SCRIPT: self.script.start,
        }

    def start(self, tasks: Sequence[ProbeTask]) -> None:
        """Begin runs."""
        for task in tasks:
            self.reactor.guard(task, self._starts[task.method.transport], task)

    def prepare(self, tasks: Iterable[ProbeTask]) -> None:
        """Get ready for a new set of probes."""
        self._contexts.clear()
        if any(task.method.tls for task in tasks):
            # Loaded now, as it takes long enough to delay probes.
            import cryptography.x509  # noqa: F401 - for its side effect alone

    def close(self) -> None:
        """Close what is shared; no run is under way."""
        self.connect.close()
        self.echo.close()

    def _pass(self, task: ProbeTask) -> None:
        run = ProbeRun(task, self.reactor.now)
        self.reactor.begin(run)
        self.reactor.finish(run, GOOD, None)
