"""Progress on standard error: a bar in a terminal, a line per topic in a pipe."""

import pytest

from kernelbal.cli.progress import FEW, StatusLine, progress_bar


def in_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let standard error, as it is captured now, say that it is a terminal."""
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")


def test_pipe_gets_no_bar(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bar("applying", FEW) as update:
        assert update is None
    assert capsys.readouterr() == ("", "")


def test_few_actions_get_no_bar(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    in_terminal(monkeypatch)
    with progress_bar("applying", FEW - 1) as update:
        assert update is None
    assert capsys.readouterr() == ("", "")


def test_many_actions_get_a_bar(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    in_terminal(monkeypatch)
    with progress_bar("applying", FEW) as update:
        assert update is not None
        update(FEW // 2, FEW)
        update(FEW, FEW)
    out, err = capsys.readouterr()
    assert out == ""
    assert "applying" in err
    assert "100%" in err


def test_pipe_gets_one_line_per_topic(capsys: pytest.CaptureFixture[str]) -> None:
    """A countdown is one topic: a log needs no line per second."""
    with StatusLine() as line:
        line.show("a, 2 s left", ["a"])
        line.show("a, 1 s left", ["a"])
        line.show("b, 9 s left", ["b"])
        line.show("c")
        line.show("d")
    assert capsys.readouterr() == ("", "a, 2 s left\nb, 9 s left\nc\nd\n")


def test_terminal_gets_one_changing_line_that_never_wraps(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    in_terminal(monkeypatch)
    monkeypatch.setenv("COLUMNS", "12")
    with StatusLine() as line:
        line.show("one", "topic")
        line.show("[fd00::11]:80 drains", "topic")
    assert capsys.readouterr() == ("", "\r\x1b[Kone\r\x1b[K[fd00::11]:\r\x1b[K")
