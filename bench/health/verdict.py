"""What the samples of health checks say: medians, ratios within the run, and whether the targets are met."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final, NamedTuple

from bench.health.samples import Contender, HealthSample


@dataclass(frozen=True, slots=True)
class HealthRow:
    """All samples of one contender with one number of targets, in the order of their repeats."""

    contender: Contender
    targets: int
    samples: tuple[HealthSample, ...]

    @property
    def fault(self) -> str:
        """Why the row does not count; empty if it does. One failed repeat spoils it."""
        return next((sample.fault for sample in self.samples if sample.fault), "")

    @property
    def cpu_s_per_1000(self) -> float:
        """Median of the processor time of 1,000 checks."""
        return median(sample.cpu_s_per_1000 for sample in self.samples)

    @property
    def spread_s(self) -> tuple[float, float]:
        """Least and most processor time of 1,000 checks."""
        found = [sample.cpu_s_per_1000 for sample in self.samples]
        return min(found), max(found)

    @property
    def director_s_per_1000(self) -> float | None:
        """Median of the director's processor time of 1,000 checks, where there is one."""
        found = [1000 * s.director_cpu_s / s.checks for s in self.samples if s.director_cpu_s is not None]
        return median(found) if found else None

    @property
    def checks(self) -> int:
        """How many were counted, in all repeats."""
        return sum(sample.checks for sample in self.samples)

    @property
    def late_p99_ms(self) -> float | None:
        """Worst lateness of any repeat, where it is known."""
        return max((1000 * s.late_p99_s for s in self.samples if s.late_p99_s is not None), default=None)

    @property
    def peak_rss_mib(self) -> float:
        """Largest resident set of any repeat."""
        return max(sample.peak_rss_mib for sample in self.samples)


def rows_of(samples: Iterable[HealthSample]) -> tuple[HealthRow, ...]:
    """Return the samples by number of targets, the smallest first, and contender."""
    found: dict[tuple[int, Contender], list[HealthSample]] = {}
    for sample in samples:
        found.setdefault((sample.targets, sample.contender), []).append(sample)
    order = list(Contender)
    keys = sorted(found, key=lambda key: (key[0], order.index(key[1])))
    return tuple(
        HealthRow(contender, targets, tuple(found[targets, contender])) for targets, contender in keys
    )


class HealthFigures(NamedTuple):
    """The figures that have targets; None where a row is missing or failed.

    Attributes:
        cpu_vs_keepalived_1000: processor time of kernelbal's checker with 1,000 targets, as a share of
            keepalived's.
        cpu_vs_keepalived_5000: the same with 5,000.
        late_p99_ms: by how many milliseconds 99 of 100 checks at most began too late, in the worst repeat.
    """

    cpu_vs_keepalived_1000: float | None
    cpu_vs_keepalived_5000: float | None
    late_p99_ms: float | None


TARGETS: Final = HealthFigures(cpu_vs_keepalived_1000=0.8, cpu_vs_keepalived_5000=0.8, late_p99_ms=None)
"""The most that each figure may be; None where it is only reported."""


def judge(rows: Sequence[HealthRow]) -> HealthFigures:
    """Return the figures."""
    good = {(row.targets, row.contender): row for row in rows if not row.fault}

    def share(targets: int) -> float | None:
        ours, theirs = good.get((targets, Contender.KERNELBAL)), good.get((targets, Contender.KEEPALIVED))
        if ours is None or theirs is None or not theirs.cpu_s_per_1000:
            return None
        return ours.cpu_s_per_1000 / theirs.cpu_s_per_1000

    late = [row.late_p99_ms for row in good.values() if row.late_p99_ms is not None]
    return HealthFigures(share(1000), share(5000), max(late, default=None))
