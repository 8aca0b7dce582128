"""keepalived is started for its checker alone and ended with all its processes."""

import subprocess
import time
from pathlib import Path

import pytest

from bench import keepalived
from bench.keepalived import command, running_keepalived
from bench.measured import family_of


def test_only_its_checker_runs_and_its_files_are_its_own(tmp_path: Path) -> None:
    argv = command(tmp_path)
    assert {"--check", "--dont-fork", "--no-syslog"} <= set(argv)
    assert sum(str(tmp_path) in word for word in argv) == 4


def test_it_ends_with_its_children_and_cannot_clear_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = f"trap 'touch {tmp_path}/cleared' TERM; sleep 60 & echo started; wait"
    monkeypatch.setattr(keepalived, "command", lambda _files: ["sh", "-c", text])
    with running_keepalived(tmp_path, tmp_path / "output") as started:
        give_up_at = time.monotonic() + 5
        while len(pids := family_of(started.pid).pids) < 2:
            assert time.monotonic() < give_up_at
            time.sleep(0.01)
    states = [subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True) for pid in pids]
    assert all(state.stdout.strip()[:1] in (b"", b"Z") for state in states)
    assert not (tmp_path / "cleared").exists()
    assert (tmp_path / "output").read_text() == "started\n"
