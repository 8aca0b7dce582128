"""The contenders: each checks the same targets in a fresh network namespace, and is measured doing it."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, NamedTuple, TypeAlias

from bench.health.samples import Contender, HealthSample
from bench.health.workload import INTERVAL_S, keepalived_conf
from bench.keepalived import running_keepalived
from bench.measured import family_of
from kernelbal.lab import process
from kernelbal.lab.errors import LabError

START_S: Final = 2 * INTERVAL_S + 2
"""From the start of a contender to the window: every target was checked twice."""
TOLERANCE: Final = 0.05
"""By how much the number of checks may differ from what is due."""


class Trial(NamedTuple):
    """One turn of one contender.

    Attributes:
        repeat: from 1 on.
        window_s: how long it is measured.
        files: directory for documents.
    """

    targets: int
    repeat: int
    window_s: float
    files: Path


class Asked:
    """A program that answers a line with a line."""

    def __init__(self, started: subprocess.Popen[str]) -> None:
        self.started = started

    def read(self) -> str:
        """Return the next line.

        Raises:
            LabError: it ended.
        """
        line = self.started.stdout.readline() if self.started.stdout else ""
        if not line:
            raise LabError(f"`{self.started.args!s}` ended")
        return line

    def ask(self) -> str:
        """Return the answer to a line."""
        if self.started.stdin is not None:
            self.started.stdin.write("\n")
            self.started.stdin.flush()
        return self.read()


@contextlib.contextmanager
def _asked(*argv: str) -> Iterator[Asked]:
    started = process.start([sys.executable, "-m", *argv], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        yield Asked(started)
    finally:
        if started.stdin is not None:
            started.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            started.wait(10)
        process.stop(started)


Cost: TypeAlias = Callable[[], tuple[float, float | None, float]]
"""Returns processor time of the checking process, of the director if there is one, and the peak in MiB."""


def keepalived(trial: Trial) -> HealthSample:
    """Measure keepalived; its checker and its idle parent count."""
    with _asked("bench.health.listener") as listener:
        port = int(listener.read())
        text = keepalived_conf(trial.targets, port)
        (trial.files / "keepalived.conf").write_text(text, encoding="utf-8")
        with running_keepalived(trial.files, trial.files / "output") as started:

            def cost() -> tuple[float, float | None, float]:
                family = family_of(started.pid)
                return family.cpu_s, None, family.peak_rss_mib

            return _measure(Contender.KEEPALIVED, trial, listener, cost)


def kernelbal(trial: Trial) -> HealthSample:
    """Measure kernelbal's checker, which reports to the supervisor that the daemon has."""
    with _asked("bench.health.listener") as listener:
        port = listener.read().strip()
        with _asked("bench.health.director", str(trial.targets), port) as director:

            def cost() -> tuple[float, float | None, float]:
                pid = json.loads(director.ask())[0]
                checker = family_of(pid)
                return (
                    checker.cpu_s,
                    family_of(director.started.pid).cpu_s - checker.cpu_s,
                    checker.peak_rss_mib,
                )

            sample = _measure(Contender.KERNELBAL, trial, listener, cost)
            _, late_s, up, lost = json.loads(director.ask())
    fault = sample.fault
    if up != trial.targets or lost:
        fault = f"{up} of {trial.targets} targets are up, and {lost} checkers were lost"
    return sample._replace(late_p99_s=late_s, fault=fault)


def _measure(contender: Contender, trial: Trial, listener: Asked, cost: Cost) -> HealthSample:
    time.sleep(START_S)
    checks, began_at = int(listener.ask()), time.monotonic()
    cpu_s, director_s, _ = cost()
    time.sleep(trial.window_s)
    checks, window_s = int(listener.ask()) - checks, time.monotonic() - began_at
    end_cpu_s, end_director_s, peak_rss_mib = cost()
    due = trial.targets * window_s / INTERVAL_S
    wrong = abs(checks - due) > TOLERANCE * due
    return HealthSample(
        contender,
        trial.targets,
        trial.repeat,
        window_s,
        checks,
        end_cpu_s - cpu_s,
        None if end_director_s is None or director_s is None else end_director_s - director_s,
        None,
        peak_rss_mib,
        f"{checks} checks in {window_s:.1f} s, {due:.0f} were due" if wrong else "",
    )


Contestant: TypeAlias = Callable[[Trial], HealthSample]
"""Measures one contender."""
CONTENDERS: Final[tuple[Contestant, ...]] = (keepalived, kernelbal)
