"""Tables: aligned columns, in a pipe and in a terminal."""

import pytest

from kernelbal.cli.table import print_table

HEADER = ("real server", "weight", "share", "note")
ROWS = [("10.0.0.11:80", "5", "0.5", ""), ("[fd00::11]:80", "100", "", "3 left")]


def test_pipe_gets_aligned_columns_and_numbers_at_the_right(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(HEADER, ROWS)
    assert capsys.readouterr().out == (
        "real server    weight  share  note\n"
        "10.0.0.11:80        5    0.5\n"
        "[fd00::11]:80     100         3 left\n"
    )


def test_title_stands_above(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("a",), [], "all of it")
    assert capsys.readouterr().out == "all of it\na\n"


def test_row_with_a_cell_too_few_is_a_fault() -> None:
    with pytest.raises(ValueError, match="zip"):
        print_table(("a", "b"), [("1",)])


def test_terminal_gets_the_same_and_brackets_survive(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An address is never broken, however narrow the terminal; it is copied from there."""
    print_table(HEADER, ROWS, "[title]")
    in_a_pipe = capsys.readouterr().out
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "20")
    print_table(HEADER, ROWS, "[title]")
    assert capsys.readouterr().out == in_a_pipe
    assert "[title]\n" in in_a_pipe
