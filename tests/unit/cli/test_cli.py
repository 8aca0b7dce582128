"""What commands print: data, talk, colour, tables and progress."""

import io
import json
from pathlib import Path

import pytest
from msgspec import structs

from kernelbal.cli.director_view import print_status
from kernelbal.cli.output import coloured, folded, print_error, put, put_json, say, warn
from kernelbal.cli.progress import FEW, StatusLine, progress_bar
from kernelbal.cli.table import SERVER_COLUMNS, fold_title, print_servers, print_table
from kernelbal.errors import ConfigError, PlanRefused, Problem, Span
from tests.support.fake_control import director_status, down_server_status, server_status, service_status

# --- output ---


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


def test_text_of_others_does_nothing_to_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    for write in (put, say, warn):
        write("a\x1b[2J\x9b1m\u202e\r\x1b[32mok\x1b[0m\nb\x1b]0;x\x07")
    out, err = capsys.readouterr()
    shown = "a\\x1b[2J\\x9b1m\\u202e\\r\x1b[32mok\x1b[0m\nb\\x1b]0;x\\x07\n"
    assert (out, err) == (shown, f"{shown}warning: {shown}")


def test_cell_of_a_table_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("name", "why"), [("web", "x\nforged  serving")])
    assert capsys.readouterr().out == "name  why\nweb   x\\nforged  serving\n"


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


# --- tables: aligned columns in a pipe; those of real servers are never wider than the terminal ---


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


REASON = (
    "http [2001:db8:1:2::12]:8080 /health: the server certificate expired on 2026-01-01, and nobody cared"
)
UP = ("10.0.0.11", "serving", "2h5m", "100", "7", "12", "0.5", "1k", "2M", "")
DOWN = ("web-12 [2001:db8::12]:8080", "down", "9s", "0/100", "0", "0", "", "", "", REASON)


def look_at(monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    """Make standard output a terminal without colours."""
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("NO_COLOR", "1")


def test_pipe_gets_one_line_per_real_server(capsys: pytest.CaptureFixture[str]) -> None:
    print_servers(SERVER_COLUMNS, [("web", [UP, DOWN])])
    assert capsys.readouterr().out.splitlines() == [
        "",
        "web",
        "real server                 state    since  weight  active  inactive  conn/s  in B/s  out B/s  why",
        "10.0.0.11                   serving  2h5m      100       7        12     0.5      1k       2M",
        f"web-12 [2001:db8::12]:8080  down     9s      0/100       0         0{' ' * 27}{REASON}",
    ]


def test_narrow_terminal_gets_reasons_below_and_no_rates(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    look_at(monkeypatch, 80)
    print_servers(SERVER_COLUMNS, [("", [UP, DOWN])])
    assert capsys.readouterr().out.splitlines() == [
        "real server                 state    since  weight  active  inactive",
        "10.0.0.11                   serving  2h5m      100       7        12",
        "web-12 [2001:db8::12]:8080  down     9s      0/100       0         0",
        "    http [2001:db8:1:2::12]:8080 /health: the server certificate expired on",
        "    2026-01-01, and nobody cared",
    ]


@pytest.mark.parametrize("width", [80, 100, 120, 200])
def test_nothing_is_wider_than_the_terminal(
    width: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    look_at(monkeypatch, width)
    sick = structs.replace(down_server_status("2001:db8:aaaa:bbbb::12"), reason=REASON)
    web = service_status(servers=[server_status(), sick])
    ipv6 = structs.replace(web, address="2001:db8:1:2:3::10", ports="80, 443, 8000-8010")
    print_status(director_status([web, ipv6]))
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= width
    assert REASON in " ".join(" ".join(lines).split())
    assert any("conn/s" in line for line in lines) == (width > 80)


def test_state_is_coloured_on_a_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("COLUMNS", "80")
    print_servers(SERVER_COLUMNS, [("", [UP, DOWN])])
    out = capsys.readouterr().out
    assert "\x1b[32mserving\x1b[0m" in out
    assert "\x1b[31mdown   \x1b[0m" in out, "the colour covers the padding, so that columns stay aligned"


def test_long_title_breaks_before_how_the_service_stands() -> None:
    title = "web  2001:db8::10 tcp 80  nat wlc  serving since 2h, 1 of 2 usable, quorum 1"
    assert fold_title(title, None) == fold_title(title, 80) == title
    assert fold_title(title, 60).splitlines() == [
        "web  2001:db8::10 tcp 80  nat wlc",
        "  serving since 2h, 1 of 2 usable, quorum 1",
    ]


# --- progress on standard error: a bar in a terminal, a line per topic in a pipe ---


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
