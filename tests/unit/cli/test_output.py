"""What commands print: data on standard output, talk on standard error, colour only where it is wanted."""

import io
import json
from pathlib import Path

import pytest

from kernelbal.cli.output import coloured, folded, print_error, put, put_json, say, warn
from kernelbal.errors import ConfigError, PlanRefused, Problem, Span


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _colour(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)


def test_data_and_talk_go_their_own_ways(capsys: pytest.CaptureFixture[str]) -> None:
    put("data")
    say("talk")
    assert capsys.readouterr() == ("data\n", "talk\n")


def test_json_document_bears_its_version_first(capsys: pytest.CaptureFixture[str]) -> None:
    put_json({"valid": True})
    out = capsys.readouterr().out
    assert json.loads(out) == {"schema": 1, "valid": True}
    assert out.startswith('{\n  "schema": 1,')


@pytest.mark.parametrize(("word", "code"), [("+", 32), ("~", 33), ("-", 31), ("FAIL", 31), ("ok", 32)])
def test_terminal_gets_colour(word: str, code: int) -> None:
    assert coloured(word, stream=Terminal()) == f"\x1b[{code}m{word}\x1b[0m"


def test_another_text_may_take_the_colour_of_a_word() -> None:
    assert coloured("error", "error:", stream=Terminal()) == "\x1b[31merror:\x1b[0m"


def test_word_without_a_colour_is_left_alone() -> None:
    assert coloured("skipped", stream=Terminal()) == "skipped"


def test_pipe_gets_no_colour() -> None:
    assert coloured("+", stream=io.StringIO()) == "+"


@pytest.mark.parametrize(("value", "plain"), [("1", True), ("0", True), ("", False)])
def test_no_color_is_heeded_unless_empty(value: str, plain: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", value)
    assert (coloured("+", stream=Terminal()) == "+") is plain


def test_colour_of_talk_depends_on_stderr_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """So `kernelbal plan 2>log` on a terminal writes no escape codes into the log."""
    out, err = Terminal(), io.StringIO()
    monkeypatch.setattr("sys.stdout", out)
    monkeypatch.setattr("sys.stderr", err)
    warn("careful")
    print_error(PlanRefused("no"))
    assert err.getvalue() == "warning: careful\nerror: no\n"


def test_warning_has_its_hint(capsys: pytest.CaptureFixture[str]) -> None:
    warn("careful", "look")
    assert capsys.readouterr() == ("", "warning: careful\n  hint: look\n")


def test_error_of_a_document_shows_its_problems(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    span = Span(str(tmp_path / "none.yaml"), 2, 3)
    print_error(ConfigError((Problem("a", "is wrong", span=span), Problem("b", "is missing"))))
    assert capsys.readouterr().err == (
        f"{span}: a: is wrong\n\nb: is missing\n\n2 problems in the configuration\n"
    )


def test_text_folds_without_breaking_an_address() -> None:
    text = "2001:db8:aaaa:bbbb:cccc:dddd:eeee:1 answers-for 2001:db8::10"
    assert folded(text, "  ", "  ", width=40) == [
        "  2001:db8:aaaa:bbbb:cccc:dddd:eeee:1",
        "    answers-for 2001:db8::10",
    ]


@pytest.mark.parametrize(("columns", "widest"), [("20", 60), ("200", 120), ("90", 90)])
def test_text_folds_to_the_terminal(columns: str, widest: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    assert max(map(len, folded("a " * 200))) in (widest, widest - 1)
