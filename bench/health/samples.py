"""What is measured of health checks."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple


class Contender(Enum):
    """Who checks."""

    KEEPALIVED = "keepalived"
    KERNELBAL = "kernelbal"


class HealthSample(NamedTuple):
    """One contender with one number of targets, over one window of time.

    Attributes:
        targets: how many are checked, each every `workload.INTERVAL_S`.
        repeat: from 1 on.
        window_s: how long it was measured.
        checks: connections that the targets' listener accepted meanwhile.
        cpu_s: processor time of the checking process in the window.
        director_cpu_s: processor time of whoever takes its reports; None where that is the same process.
        late_p99_s: by how much 99 of 100 checks at most began too late; None where it does not say.
        peak_rss_mib: largest resident set of the checking process.
        fault: why it does not count; empty if it does.
    """

    contender: Contender
    targets: int
    repeat: int
    window_s: float
    checks: int
    cpu_s: float
    director_cpu_s: float | None = None
    late_p99_s: float | None = None
    peak_rss_mib: float = 0.0
    fault: str = ""

    @property
    def cpu_s_per_1000(self) -> float:
        """Processor time of 1,000 checks."""
        return 1000 * self.cpu_s / self.checks if self.checks else 0.0
