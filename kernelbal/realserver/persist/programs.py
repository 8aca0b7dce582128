"""Runs programs of the host: some only look, others are made to read what has changed."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from typing import Final

ANSWER_LIMIT_S: Final = 10.0
"""For those that only look."""
CHANGE_LIMIT_S: Final = 90.0
"""For those that wait for others, as `systemctl start` does; as long as systemd waits for most units."""


def answer(command: Sequence[str]) -> str:
    """Run a program and return what it prints; empty when it fails, hangs or is not there."""
    try:
        done = _run(command, ANSWER_LIMIT_S)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""


def failure(command: Sequence[str]) -> str:
    """Run a program and return in one line why it failed; empty when it did not."""
    try:
        done = _run(command, CHANGE_LIMIT_S)
    except OSError as error:
        why = error.strerror or str(error)
    except subprocess.TimeoutExpired:
        why = f"no end after {CHANGE_LIMIT_S:g} s"
    else:
        if done.returncode == 0:
            return ""
        why = " ".join(done.stderr.split()) or f"exit code {done.returncode}"
    return f"`{' '.join(command)}` failed: {why}"


def first_failure(commands: Sequence[Sequence[str]]) -> str:
    """Run programs up to the first that fails, and return why it did; empty when none does."""
    return next(filter(None, map(failure, commands)), "")


def _run(command: Sequence[str], limit_s: float) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - no shell, and the words are our own
        command,
        capture_output=True,
        text=True,
        timeout=limit_s,
        check=False,
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"},
    )
