"""The process that holds a lab."""

import os
import signal
from pathlib import Path

import pytest

from kernelbal.lab import holder, process
from kernelbal.lab.errors import GuestFailed


def test_process_is_known_by_its_start() -> None:
    own = holder.started_ticks(os.getpid())
    assert own == holder.started_ticks(os.getpid())
    assert own is not None
    assert own > (holder.started_ticks(1) or 0)


def test_ended_process_has_no_start() -> None:
    started = process.start(["true"])
    os.waitid(os.P_PID, started.pid, os.WEXITED | os.WNOWAIT)  # ended, and not yet waited for
    assert holder.started_ticks(started.pid) is None
    process.stop(started)
    assert holder.started_ticks(started.pid) is None


def test_end_takes_the_whole_group(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    script = f"sleep 1000 & echo $! >/dev/fd/{writing}; wait"
    pid = holder.start(["sh", "-c", script], tmp_path, os.environ, [writing])
    os.close(writing)
    child = int(os.read(reading, 100))
    assert holder.started_ticks(child) is not None
    holder.end(pid)
    assert os.read(reading, 1) == b""  # nobody holds the other side any more
    assert holder.started_ticks(pid) is None
    os.close(reading)


def test_end_of_nobody_is_no_error() -> None:
    started = process.start(["true"], new_session=True)
    process.stop(started)
    holder.end(started.pid)


def test_lab_that_fails_is_quoted(tmp_path: Path) -> None:
    pid = holder.start(["sh", "-c", "echo no memory left; exit 1"], tmp_path, os.environ)
    with pytest.raises(GuestFailed, match="no memory left"):
        holder.await_ready("uml", "two-arm", pid, tmp_path, [], 10.0)


def test_lab_that_is_late_is_ended(tmp_path: Path) -> None:
    pid = holder.start(["sleep", "1000"], tmp_path, os.environ)
    with pytest.raises(GuestFailed):
        holder.await_ready("uml", "two-arm", pid, tmp_path, [], 0.1)
    assert holder.started_ticks(pid) is None


def test_ready_lab_is_described(tmp_path: Path) -> None:
    ready = tmp_path / holder.READY_FILE
    pid = holder.start(["sh", "-c", f"echo ready >{ready}; sleep 1000"], tmp_path, os.environ)
    made = holder.await_ready("uml", "two-arm", pid, tmp_path, ["c0"], 10.0)
    assert (made.backend, made.topology, made.pid, made.consoles) == ("uml", "two-arm", pid, ("c0",))
    assert made.started_ticks == holder.started_ticks(pid)
    os.kill(pid, signal.SIGTERM)
    os.waitpid(pid, 0)


def test_pipes_come_in_pairs(tmp_path: Path) -> None:
    names = holder.make_pipes(tmp_path)
    assert len(names) == holder.CONSOLES
    assert all(Path(f"{name}.in").is_fifo() and Path(f"{name}.out").is_fifo() for name in names)


def test_agent_is_told_where_to_serve() -> None:
    command = holder.agent_command("one-arm", Path("/x"), holder.console_options(["/dev/tty3", "/dev/tty4"]))
    assert " ".join(command[1:]) == (
        "-m kernelbal.lab.agent --topology one-arm --ready /x/ready --console /dev/tty3 --console /dev/tty4"
    )
