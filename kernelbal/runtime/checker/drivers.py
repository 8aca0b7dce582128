"""Which driver runs which probe."""

from __future__ import annotations

from collections.abc import Iterable

from kernelbal.health.checks.table import Transport
from kernelbal.runtime.checker.connect import Connects
from kernelbal.runtime.checker.ground import Ground, Task


class Drivers:
    """All drivers.

    Attributes:
        connects: that of TCP connects, whose results are collected once per tick.
    """

    def __init__(self, ground: Ground) -> None:
        self.ground = ground
        self.connects = Connects(ground)

    def start(self, task: Task) -> None:
        """Begin a run."""
        if task.means.transport is Transport.CONNECT:
            self.connects.start(task)

    def prepare(self, tasks: Iterable[Task]) -> None:
        """Get ready for a new set of probes."""

    def close(self) -> None:
        """Close what is shared."""
        self.connects.close()
