"""Progress on standard error: a bar in a terminal, a line per topic in a pipe."""

import pytest

from kernelbal.cli.progress import FEW, progress_bar, status_line


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
    with status_line() as show:
        show("a, 2 s left", ["a"])
        show("a, 1 s left", ["a"])
        show("b, 9 s left", ["b"])
    assert capsys.readouterr() == ("", "a, 2 s left\nb, 9 s left\n")


def test_terminal_gets_one_changing_line_as_it_is_written(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    in_terminal(monkeypatch)
    with status_line() as show:
        show("draining [fd00::11]:80", None)
    out, err = capsys.readouterr()
    assert out == ""
    assert "draining [fd00::11]:80" in err
