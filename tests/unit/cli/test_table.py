"""Tables: aligned columns in a pipe; those of real servers are never wider than the terminal."""

import pytest

from kernelbal.cli.director_view import print_status
from kernelbal.cli.table import SERVER_COLUMNS, fold_title, print_servers, print_table
from tests.support.fake_control import director_status, down_server_status, server_status, service_status

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
    sick = down_server_status("2001:db8:aaaa:bbbb::12").model_copy(update={"reason": REASON})
    web = service_status(servers=[server_status(), sick])
    ipv6 = web.model_copy(update={"address": "2001:db8:1:2:3::10", "ports": "80, 443, 8000-8010"})
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
