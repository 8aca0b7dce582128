"""What a child process took is measured, and a program that does not end is ended."""

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from bench.measured import family_of, run_measured
from kernelbal.lab.errors import LabError


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def test_status_output_and_input(tmp_path: Path) -> None:
    given = tmp_path / "given"
    given.write_text("hello\n")
    output = tmp_path / "output"
    usage = run_measured(["sh", "-c", "cat; echo oops >&2; exit 3"], output, 10, given)
    assert usage.status == 3
    assert output.read_text() == "hello\noops\n"


def test_memory_of_the_child_and_not_of_earlier_ones(tmp_path: Path) -> None:
    # A process begins with the resident set of its parent, which is this test run: stay clear of that.
    mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024 + 64
    large = run_measured(
        python(f"b = bytearray({mib} << 20); b[::4096] = b'x' * len(b[::4096])"), tmp_path / "output", 30
    )
    small = run_measured(["true"], tmp_path / "output", 10)
    assert mib < large.peak_rss_mib < mib + 100
    assert small.peak_rss_mib < mib


def test_processor_time_is_no_more_than_real_time_of_one_thread(tmp_path: Path) -> None:
    usage = run_measured(python("sum(range(3_000_000))"), tmp_path / "output", 30)
    assert 0 < usage.cpu_s <= usage.wall_s + 0.05


def test_a_program_that_does_not_end_is_ended(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    with pytest.raises(LabError, match=r"did not end within 0\.3 s"):
        run_measured(["sh", "-c", f"echo $$ >{pid_file}; exec sleep 60"], tmp_path / "output", 0.3)
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid_file.read_text()), 0)


def test_a_program_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="cannot run /no/such"):
        run_measured(["/no/such"], tmp_path / "output", 1)


def test_a_family_is_a_process_and_its_children() -> None:
    with subprocess.Popen(
        ["sh", "-c", "sleep 60 & echo $!; wait"], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        found = family_of(parent.pid)
        os.kill(child, 9)
    assert found.pids == (parent.pid, child)
    assert found.peak_rss_mib > 0


def test_a_process_that_has_gone_has_no_family() -> None:
    gone = subprocess.Popen(["true"])
    gone.wait()
    assert family_of(gone.pid).pids == ()
