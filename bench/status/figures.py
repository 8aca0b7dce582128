"""What readers and reloads cost, and whether the targets are met."""

from __future__ import annotations

from typing import Final, NamedTuple


class Figures(NamedTuple):
    """Figures of one run.

    Attributes:
        hold_status_ms: longest hold of the event loop while the status is read.
        hold_metrics_ms: while the metrics are read.
        hold_readers_ms: while 100 read the metrics at once.
        hold_reload_ms: while documents come into force, and status and metrics are read.
        one_service_ms: median time of an answer about one virtual service.
        one_service_cpu_ms: the processor time that it takes.
        computations_of_100: computations for 100 readers at once.
        cpu_s_of_1: processor time of the director for one reader of the metrics.
        cpu_s_of_100: for 100 at once; most of it is sending.
    """

    hold_status_ms: float | None
    hold_metrics_ms: float | None
    hold_readers_ms: float | None
    hold_reload_ms: float | None
    one_service_ms: float | None
    one_service_cpu_ms: float | None
    computations_of_100: float | None
    cpu_s_of_1: float | None
    cpu_s_of_100: float | None


TARGETS: Final = Figures(
    hold_status_ms=50,
    hold_metrics_ms=50,
    hold_readers_ms=50,
    hold_reload_ms=50,
    one_service_ms=5,
    one_service_cpu_ms=None,
    computations_of_100=1,
    cpu_s_of_1=None,
    cpu_s_of_100=None,
)
"""The most that each figure may be; None where there is no target."""


def missed(figures: Figures) -> tuple[str, ...]:
    """Return a line for each target that is missed."""
    return tuple(
        f"{name}: {value:.3g}, at most {limit:g} allowed"
        for name, value, limit in zip(Figures._fields, figures, TARGETS, strict=True)
        if value is not None and limit is not None and value > limit
    )
