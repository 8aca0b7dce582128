"""What the samples say: medians, ratios within the run, and whether the targets are met."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final, NamedTuple

from bench.apply.samples import Measure, Sample
from bench.apply.workload import Workload


@dataclass(frozen=True, slots=True)
class ApplyRow:
    """All samples of one measure with one workload, in the order of their repeats."""

    measure: Measure
    services: int
    samples: tuple[Sample, ...]

    @property
    def real_servers(self) -> int:
        """How many the workload has; 0 where it does not matter."""
        return Workload(self.services).real_servers

    @property
    def fault(self) -> str:
        """Why the row does not count; empty if it does. One failed repeat spoils it."""
        return next((sample.fault for sample in self.samples if sample.fault), "")

    @property
    def wall_s(self) -> float:
        """Median of the real time."""
        return median(sample.wall_s for sample in self.samples)

    @property
    def spread_s(self) -> tuple[float, float]:
        """Shortest and longest real time."""
        times = [sample.wall_s for sample in self.samples]
        return min(times), max(times)

    @property
    def drift(self) -> float | None:
        """Last repeat divided by the first; far from 1 when repeats leave something behind."""
        first_s, last_s = self.samples[0].wall_s, self.samples[-1].wall_s
        return last_s / first_s if first_s else None

    @property
    def cpu_s(self) -> float | None:
        """Median of the processor time, where it is known."""
        known = [sample.cpu_s for sample in self.samples if sample.cpu_s is not None]
        return median(known) if known else None

    @property
    def peak_rss_mib(self) -> float | None:
        """Largest resident set of any repeat, where it is known."""
        return max((s.peak_rss_mib for s in self.samples if s.peak_rss_mib is not None), default=None)


def rows_of(samples: Iterable[Sample]) -> tuple[ApplyRow, ...]:
    """Return the samples by workload, the smallest first, and measure."""
    found: dict[tuple[int, Measure], list[Sample]] = {}
    for sample in samples:
        found.setdefault((sample.services, sample.measure), []).append(sample)
    order = list(Measure)
    keys = sorted(found, key=lambda key: (key[0], order.index(key[1])))
    return tuple(ApplyRow(measure, services, tuple(found[services, measure])) for services, measure in keys)


class ApplyFigures(NamedTuple):
    """The figures that have targets, of the largest workload; None where a row is missing or failed.

    Attributes:
        netlink_vs_keepalived: programming by our driver, as a share of keepalived's start.
        netlink_vs_ipvsadm: the same as a share of `ipvsadm -R`.
        apply_vs_ipvsadm: a whole `kernelbal apply` as a share of `ipvsadm -R`.
        change_one_vs_ipvsadm: a second one that changes one weight.
        peak_rss_mb: largest resident set of both, in MiB.
        help_ms: `kernelbal --help`.
    """

    netlink_vs_keepalived: float | None
    netlink_vs_ipvsadm: float | None
    apply_vs_ipvsadm: float | None
    change_one_vs_ipvsadm: float | None
    peak_rss_mb: float | None
    help_ms: float | None


TARGETS: Final = ApplyFigures(
    netlink_vs_keepalived=0.15,
    netlink_vs_ipvsadm=0.05,
    apply_vs_ipvsadm=0.6,
    change_one_vs_ipvsadm=0.3,
    peak_rss_mb=187,
    help_ms=150,
)
"""The most that each figure may be, at 100,000 real servers."""


def judge(rows: Sequence[ApplyRow]) -> ApplyFigures:
    """Return the figures of the largest workload."""
    largest = max((row.services for row in rows), default=0)
    good = {row.measure: row for row in rows if not row.fault and row.services in (0, largest)}

    def share(of: Measure, by: Measure) -> float | None:
        return good[of].wall_s / good[by].wall_s if of in good and by in good else None

    return ApplyFigures(
        share(Measure.NETLINK_PROGRAM, Measure.KEEPALIVED_START),
        share(Measure.NETLINK_PROGRAM, Measure.IPVSADM_RESTORE),
        share(Measure.APPLY, Measure.IPVSADM_RESTORE),
        share(Measure.APPLY_CHANGE_ONE, Measure.IPVSADM_RESTORE),
        _peak(good.get(Measure.APPLY), good.get(Measure.APPLY_CHANGE_ONE)),
        good[Measure.HELP].wall_s * 1000 if Measure.HELP in good else None,
    )


def _peak(*rows: ApplyRow | None) -> float | None:
    peaks = [row.peak_rss_mib for row in rows if row is not None and row.peak_rss_mib is not None]
    return max(peaks) if len(peaks) == len(rows) else None
