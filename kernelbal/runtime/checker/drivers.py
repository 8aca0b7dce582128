"""Which driver runs which probe."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from kernelbal.health.checks.dialogue import GOOD
from kernelbal.health.checks.table import Transport
from kernelbal.runtime.checker import datagram, stream
from kernelbal.runtime.checker.connect import Connects
from kernelbal.runtime.checker.echo import Echoes
from kernelbal.runtime.checker.ground import Flight, Ground, Task
from kernelbal.runtime.checker.program import Programs
from kernelbal.runtime.checker.tls import Contexts


class Drivers:
    """All drivers.

    Attributes:
        connects: that of TCP connects, whose results are collected once per tick.
        echoes: that of echo requests.
        programs: that of scripts.
    """

    def __init__(self, ground: Ground) -> None:
        self.ground = ground
        self.connects: Final = Connects(ground)
        self._contexts = Contexts()
        self.echoes = Echoes(ground)
        self.programs = Programs(ground)
        self._starts: dict[Transport, Callable[[Task], None]] = {
            Transport.NONE: self._pass,
            Transport.CONNECT: self.connects.start,
            Transport.STREAM: lambda task: stream.start(ground, self._contexts, task),
            Transport.DATAGRAM: lambda task: datagram.start(ground, task),
            Transport.ICMP: self.echoes.start,
            Transport.SCRIPT: self.programs.start,
        }

    def start(self, tasks: Sequence[Task]) -> None:
        """Begin runs."""
        for task in tasks:
            self._starts[task.means.transport](task)

    def prepare(self, tasks: Iterable[Task]) -> None:
        """Get ready for a new set of probes."""
        self._contexts.clear()
        if any(task.means.tls for task in tasks):
            # Loaded now, as it takes so long that probes would begin late.
            import cryptography.x509  # noqa: F401 - for its side effect alone

    def close(self) -> None:
        """Close what is shared; no run is under way any more."""
        self.connects.close()
        self.echoes.close()

    def _pass(self, task: Task) -> None:
        flight = Flight(task, self.ground.now)
        self.ground.begin(flight)
        self.ground.finish(flight, GOOD, None)
