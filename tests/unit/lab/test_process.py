"""Starting, awaiting and ending programs."""

import os
import signal
import subprocess
import time

import pytest

from kernelbal.lab import process
from kernelbal.lab.errors import LabError


def test_output_and_input() -> None:
    assert process.run(["cat"], stdin="hello").stdout == "hello"


def test_failure_is_an_error_with_the_programs_words() -> None:
    with pytest.raises(LabError, match=r"`sh -c echo why >&2; exit 3` exited with 3: why"):
        process.run(["sh", "-c", "echo why >&2; exit 3"])


def test_failure_may_be_wanted() -> None:
    assert process.run(["false"], check=False).returncode == 1


def test_missing_program_is_an_error() -> None:
    with pytest.raises(LabError, match="cannot run no-such-program: No such file"):
        process.run(["no-such-program"])
    with pytest.raises(LabError, match="cannot run no-such-program"):
        process.start(["no-such-program"])


def test_program_without_end_is_an_error() -> None:
    with pytest.raises(LabError, match=r"did not end within 0\.1 s"):
        process.run(["sleep", "60"], timeout_s=0.1)


def test_wait_ends_with_the_program() -> None:
    started = process.start(["sh", "-c", "exit 4"])
    assert process.wait(started, 10.0, None)
    assert started.returncode == 4


def test_wait_gives_up_in_time() -> None:
    started = process.start(["sleep", "60"])
    assert not process.wait(started, 0.05, None)
    process.stop(started)


def test_wait_is_stopped_by_a_descriptor() -> None:
    reading, writing = os.pipe()
    started = process.start(["sleep", "60"])
    os.write(writing, b"x")
    assert not process.wait(started, None, reading)
    process.stop(started)
    os.close(reading)
    os.close(writing)


def test_stop_is_polite_first() -> None:
    started = process.start(["sleep", "60"])
    assert process.stop(started) == -signal.SIGTERM


def test_stop_is_firm_at_last() -> None:
    stubborn = process.start(
        ["sh", "-c", "trap '' TERM; echo; while :; do sleep 1; done"], stdout=subprocess.PIPE
    )
    assert stubborn.stdout is not None
    stubborn.stdout.readline()  # the trap is set
    assert process.stop(stubborn, grace_s=0.1) == -signal.SIGKILL


def test_stop_of_one_that_ended_returns_its_status() -> None:
    started = process.start(["sh", "-c", "exit 6"])
    began_at = time.monotonic()
    started.wait()
    assert process.stop(started) == 6
    assert time.monotonic() - began_at < process.STOP_GRACE_S
