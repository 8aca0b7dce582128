"""Boots a fresh kernel, runs the benchmark in it and collects the samples.

`kernelbal --help` needs no kernel and is timed on the machine itself.
"""

from __future__ import annotations

import compileall
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bench.apply.samples import Measure, Sample
from bench.health.samples import HealthSample
from bench.measured import run_measured
from bench.samples import decode
from kernelbal.lab.backends.base import GuestCommand, StandardStreams
from kernelbal.lab.errors import GuestFailed, LabError

if TYPE_CHECKING:
    from kernelbal.lab.backends.base import Backend

ROOT: Final = Path(__file__).resolve().parents[1]
NEEDED_PROGRAMS: Final = ("ip", "ipvsadm", "keepalived")
MEMORY_MIB: Final = 2048
BASE_LIMIT_S: Final = 120.0
LIMIT_PER_SERVICE_S: Final = 0.05
"""Ten times what a repeat takes per service on an idle machine, for all contenders together."""
HELP_LIMIT_S: Final = 30.0
HEALTH_EXTRA_S: Final = 30.0
"""Seconds that a contender may take beyond its measured window: start, first checks, end."""


def measure(backend: Backend, services: Sequence[int], repeats: int) -> tuple[Sample, ...]:
    """Measure in a fresh kernel of a back end; progress goes to standard error.

    Raises:
        LabError: a contender's program is not installed, or the guest failed or took too long.
    """
    argv = ("bench.apply", f"--repeat={repeats}", *map(str, services))
    limit_s = BASE_LIMIT_S + LIMIT_PER_SERVICE_S * repeats * sum(services)
    return tuple(decode(Sample, line) for line in run_in_guest(backend, argv, limit_s))


def measure_health(
    backend: Backend, targets: Sequence[int], repeats: int, window_s: float
) -> tuple[HealthSample, ...]:
    """Measure health checks in a fresh kernel of a back end; progress goes to standard error.

    Raises:
        LabError: a contender's program is not installed, or the guest failed or took too long.
    """
    argv = ("bench.health", f"--repeat={repeats}", f"--seconds={window_s}", *map(str, targets))
    limit_s = BASE_LIMIT_S + repeats * sum(3 * (window_s + HEALTH_EXTRA_S) for _ in targets)
    return tuple(decode(HealthSample, line) for line in run_in_guest(backend, argv, limit_s))


def run_in_guest(backend: Backend, argv: Sequence[str], limit_s: float) -> list[str]:
    """Run a module in a fresh kernel of a back end, and return the lines that it prints.

    Args:
        backend: where.
        argv: name of the module and its arguments.
        limit_s: seconds of real time after which it is ended.

    Raises:
        LabError: a contender's program is not installed, or the guest failed or took too long.
    """
    _require_programs()
    compile_package()
    command = GuestCommand(
        argv=(sys.executable, "-m", *argv), cwd=ROOT, timeout_s=limit_s, memory_mib=MEMORY_MIB
    )
    with tempfile.TemporaryFile("w+", encoding="utf-8") as output:
        status = backend.run(command, StandardStreams(stdout=output.fileno()))
        output.seek(0)
        lines = list(output)
    if status != 0:
        raise GuestFailed(f"the benchmark broke off in the guest, with exit status {status}")
    return lines


def measure_help(repeats: int) -> Iterator[Sample]:
    """Time `kernelbal --help` on this machine, as someone who types it."""
    compile_package()
    argv = [sys.executable, "-m", "kernelbal", "--help"]
    with tempfile.TemporaryDirectory() as directory:
        for repeat in range(repeats + 1):
            usage = run_measured(argv, Path(directory) / "output", HELP_LIMIT_S)
            fault = f"exit status {usage.status}" if usage.status else ""
            if repeat:  # the one before the first brings the files into memory
                yield Sample(Measure.HELP, 0, repeat, usage.wall_s, usage.cpu_s, usage.peak_rss_mib, fault)


def compile_package() -> None:
    """Write the byte code: a guest cannot, and would compile everything anew for each process."""
    for package in ("kernelbal", "bench"):
        compileall.compile_dir(ROOT / package, quiet=2)


def _require_programs() -> None:
    path = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/sbin"))
    lacking = [name for name in NEEDED_PROGRAMS if shutil.which(name, path=path) is None]
    if lacking:
        raise LabError(f"not installed: {', '.join(lacking)}", "scripts/setup test installs them")
