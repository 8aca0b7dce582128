"""The director's side of the benchmark: a real checker, and what it found."""

import json
import subprocess
import sys
import time
from pathlib import Path

from tests.unit.runtime.checker.desk import serving


def test_targets_come_up_and_the_checker_ends_with_it() -> None:
    with (
        serving(lambda connection: None, "0.0.0.0") as port,
        subprocess.Popen(
            [sys.executable, "-m", "bench.health.director", "5", str(port)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as started,
    ):
        assert started.stdin is not None
        assert started.stdout is not None
        give_up_at = time.monotonic() + 10
        while True:
            started.stdin.write("\n")
            started.stdin.flush()
            pid, late_s, up, lost = json.loads(started.stdout.readline())
            if up == 5:
                break
            assert time.monotonic() < give_up_at
            time.sleep(0.02)
        assert lost == 0
        assert late_s < 1
        assert pid != started.pid
        started.stdin.close()
        started.wait(10)
        assert not Path(f"/proc/{pid}").exists()
