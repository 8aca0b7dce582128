"""Starting programs: the one place in the lab that does, so that the rules are the same everywhere.

Arguments are always a list, never a shell string, and output is text in UTF-8.
"""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
from typing import TYPE_CHECKING

from kernelbal.lab.errors import LabError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from typing import IO

Completed = subprocess.CompletedProcess[str]
STOP_GRACE_S = 10.0
"""How long a program may take to end after SIGTERM before it gets SIGKILL."""


def run(
    argv: Sequence[str],
    *,
    check: bool = True,
    timeout_s: float = 60.0,
    stdin: str | None = None,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> Completed:
    """Run a program to its end and return its output.

    Raises:
        LabError: it cannot be started, outlives `timeout_s`, or (with `check`) exits other than 0.
    """
    try:
        done = subprocess.run(  # noqa: S603 - the caller's own program and arguments, without a shell
            argv,
            input=stdin if stdin is not None else "",
            capture_output=True,
            text=True,
            timeout=timeout_s,
            cwd=cwd,
            env=env,
            check=False,
        )
    except OSError as error:
        raise LabError(f"cannot run {argv[0]}: {error.strerror}") from error
    except subprocess.TimeoutExpired as error:
        raise LabError(f"`{' '.join(argv)}` did not end within {timeout_s:g} s") from error
    if check and done.returncode != 0:
        said = (done.stderr or done.stdout).strip()
        raise LabError(f"`{' '.join(argv)}` exited with {done.returncode}: {said}")
    return done


def start(
    argv: Sequence[str],
    *,
    stdin: int | IO[str] = subprocess.DEVNULL,
    stdout: int | IO[str] | None = None,
    stderr: int | IO[str] | None = None,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    pass_fds: Sequence[int] = (),
    new_session: bool = False,
) -> subprocess.Popen[str]:
    """Start a program and return at once; whoever starts it also calls `stop`.

    Raises:
        LabError: it cannot be started.
    """
    try:
        return subprocess.Popen(  # noqa: S603 - the caller's own program and arguments, without a shell
            argv,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            text=True,
            cwd=cwd,
            env=env,
            pass_fds=pass_fds,
            start_new_session=new_session,
        )
    except OSError as error:
        raise LabError(f"cannot run {argv[0]}: {error.strerror}") from error


def wait(process: subprocess.Popen[str], timeout_s: float | None, stop_descriptor: int | None) -> bool:
    """Wait for a program's end; return False when time is up or `stop_descriptor` is readable first."""
    ended = os.pidfd_open(process.pid)
    try:
        poller = select.poll()
        poller.register(ended, select.POLLIN)
        if stop_descriptor is not None:
            poller.register(stop_descriptor, select.POLLIN)
        ready = [descriptor for descriptor, _ in poller.poll(None if timeout_s is None else timeout_s * 1000)]
    finally:
        os.close(ended)
    if ended not in ready:
        return False
    process.wait()
    return True


def stop(process: subprocess.Popen[str], grace_s: float = STOP_GRACE_S) -> int:
    """End a program that `start` started, politely first, and return its exit status."""
    if process.poll() is None:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(grace_s)
    if process.poll() is None:
        process.kill()
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream is not None:
            stream.close()
    return process.wait()
