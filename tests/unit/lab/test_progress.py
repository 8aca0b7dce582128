"""Progress for a person who waits."""

import io
import time

import pytest

from kernelbal.lab.progress import Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Clock:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr(time, "monotonic", lambda: self.now)


def test_file_gets_a_line_per_stage_and_half_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, out = Clock(monkeypatch), io.StringIO()
    progress = Progress(out)
    progress.stage("compiling")
    for _ in range(70):
        clock.now += 1
        progress.update(f"compiled after {clock.now - 1000:.0f}")
    assert out.getvalue().splitlines() == [
        "[ 0:00] compiling",
        "[ 0:30] compiled after 30",
        "[ 1:00] compiled after 60",
    ]


def test_terminal_renews_its_line(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, out = Clock(monkeypatch), Terminal()
    progress = Progress(out)
    clock.now += 1
    progress.update("a")
    clock.now += 1
    progress.update("b")
    progress.stage("done")
    assert out.getvalue() == "\r\033[K[ 0:01] a\r\033[K[ 0:02] b\r\033[K[ 0:02] done\n"
