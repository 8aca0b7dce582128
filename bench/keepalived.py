"""keepalived as a contender: started for its checker alone, ended without a chance to clear up."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

from bench.measured import family_of
from kernelbal.lab import process


@contextlib.contextmanager
def running_keepalived(files: Path, output: Path) -> Iterator[subprocess.Popen[str]]:
    """Run keepalived with `files`/keepalived.conf until the block ends.

    Args:
        files: directory for its process id files too.
        output: file for what it prints.
    """
    with output.open("w", encoding="utf-8") as printed:
        started = process.start(command(files), stdout=printed, stderr=subprocess.STDOUT)
        try:
            yield started
        finally:
            _kill(started)


def command(files: Path) -> list[str]:
    """Return the program and its arguments."""
    return [
        *("keepalived", "--dont-fork", "--check", "--no-syslog", "--dont-respawn"),
        f"--use-file={files}/keepalived.conf",
        f"--pid={files}/parent.pid",
        f"--vrrp_pid={files}/vrrp.pid",
        f"--checkers_pid={files}/check.pid",
    ]


def _kill(started: subprocess.Popen[str]) -> None:
    """End keepalived and its checker without a chance to clear the table, which would take its time.

    Stopped first: the checker gets a signal to clear up when its parent dies.
    """
    pids = family_of(started.pid).pids
    for number in (signal.SIGSTOP, signal.SIGKILL):
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
    started.wait()
