"""Programs that are measured: real time, processor time and memory of a child process."""

from __future__ import annotations

import os
import select
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from kernelbal.lab import process
from kernelbal.lab.errors import LabError

_PROC: Final = Path("/proc")
_TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")
_AFTER_NAME: Final = 3
"""Number in `proc(5)` of the first field of `stat` behind the program's name, which may hold spaces."""
_PARENT: Final = 4 - _AFTER_NAME
_TIMES: Final = slice(14 - _AFTER_NAME, 16 - _AFTER_NAME)


class Usage(NamedTuple):
    """What a program took.

    Attributes:
        status: exit status; negative for a signal.
        wall_s: real time from the start of the process to its end.
        cpu_s: processor time in user and kernel mode.
        peak_rss_mib: largest resident set. Linux lets a process begin with that of its parent, so whoever
            measures must stay small.
    """

    status: int
    wall_s: float
    cpu_s: float
    peak_rss_mib: float


def run_measured(argv: Sequence[str], output: Path, limit_s: float, stdin: Path | None = None) -> Usage:
    """Run a program in the calling thread's network namespace.

    Args:
        argv: the program and its arguments.
        output: file for what it prints, errors too.
        limit_s: seconds after which it is ended.
        stdin: file that it reads; nothing by default.

    Raises:
        LabError: it cannot be started, or outlives its limit.
    """
    with (
        output.open("w", encoding="utf-8") as out,
        (stdin or Path(os.devnull)).open(encoding="utf-8") as given,
    ):
        began_at = time.perf_counter()
        started = process.start(argv, stdin=given, stdout=out, stderr=subprocess.STDOUT)
        ended = _await_end(started.pid, limit_s)
        wall_s = time.perf_counter() - began_at
    if not ended:
        process.stop(started)
        raise LabError(f"`{' '.join(argv)}` did not end within {limit_s:g} s")
    _, status, used = os.wait4(started.pid, 0)
    started.returncode = os.waitstatus_to_exitcode(status)
    return Usage(started.returncode, wall_s, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)


def _await_end(pid: int, limit_s: float) -> bool:
    """Wait without reaping: the one who reaps gets the usage."""
    descriptor = os.pidfd_open(pid)
    try:
        poller = select.poll()
        poller.register(descriptor, select.POLLIN)
        return bool(poller.poll(limit_s * 1000))
    finally:
        os.close(descriptor)


class Family(NamedTuple):
    """A running process and its children.

    Attributes:
        pids: the parent first.
        cpu_s: processor time of all of them so far, in steps of a clock tick (10 ms).
        peak_rss_mib: largest resident set of one of them.
    """

    pids: tuple[int, ...]
    cpu_s: float
    peak_rss_mib: float


def family_of(parent: int) -> Family:
    """Return a running process and its children."""
    pids, ticks, peak_kib = [], 0, 0
    for path in _PROC.iterdir():
        fields = _stat(path) if path.name.isdigit() else None
        if fields is not None and parent in (int(path.name), int(fields[_PARENT])):
            pids.append(int(path.name))
            ticks += sum(map(int, fields[_TIMES]))
            peak_kib = max(peak_kib, _peak_rss_kib(path))
    return Family(tuple(sorted(pids, key=lambda pid: pid != parent)), ticks / _TICKS_PER_S, peak_kib / 1024)


def _stat(path: Path) -> list[str] | None:
    text = _text(path / "stat")
    return text.rpartition(")")[2].split() if text else None


def _peak_rss_kib(path: Path) -> int:
    lines = _text(path / "status").splitlines()
    return next((int(line.split()[1]) for line in lines if line.startswith("VmHWM:")), 0)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return ""  # it has ended
