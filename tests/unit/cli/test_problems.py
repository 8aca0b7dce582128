"""How problems are shown."""

from pathlib import Path

import pytest

from kernelbal.cli.problems import MAX_SOURCE_CHARACTERS, problems_text
from kernelbal.config.load import load_node
from kernelbal.errors import ConfigError, Problem, Span
from kernelbal.model.status import problem_document


def shown(tmp_path: Path, text: str, line: int, column: int) -> str:
    """The block of a problem in a file with this text."""
    path = tmp_path / "site.yaml"
    path.write_text(text, encoding="utf-8")
    problem = Problem("a.b", "wrong", span=Span(str(path), line, column))
    return problems_text([problem]).replace(str(path), "site.yaml")


def test_block_names_place_key_and_message_and_points_at_it(tmp_path: Path) -> None:
    assert shown(tmp_path, "a:\n  b: c\n", 2, 6) == (
        "site.yaml:2:6: a.b: wrong\n      2 |   b: c\n        |      ^"
    )


def test_list_of_all_keys_is_left_out_where_the_hint_says_what_to_write() -> None:
    known = "one of the keys `a`, `b`"
    for hint, told in (("write `a: 1`", False), ("did you mean `a`?", True), ("remove it", True)):
        text = problems_text([Problem("c", "unknown key `c`", known, hint)])
        assert (known in text) == told
        assert hint in text
    assert known in problems_text([Problem("c", "found the text `x`", known, "write `a`")])


def test_control_characters_of_the_document_do_not_reach_the_terminal(tmp_path: Path) -> None:
    assert "\x1b" not in shown(tmp_path, "a: '\x1b[31m'\n", 1, 4)
    assert "      1 | a:  b" in shown(tmp_path, "a:\t b\n", 1, 4)


def test_long_line_is_left_out(tmp_path: Path) -> None:
    assert shown(tmp_path, "x" * MAX_SOURCE_CHARACTERS, 1, 1).count("\n") == 2
    assert shown(tmp_path, "x" * (MAX_SOURCE_CHARACTERS + 1), 1, 1) == "site.yaml:1:1: a.b: wrong"


def test_line_with_a_secret_is_left_out(tmp_path: Path) -> None:
    for line in (
        *("radius: {secret: hunter2}", "password: hunter2", 'headers: {Authorization: "hunter2"}'),
        *("passwd: hunter2", "- webhook: https://hooks.example/hunter2", "headers: {X-Auth: hunter2}"),
    ):
        assert shown(tmp_path, f"a: b\n{line}\n", 2, 3) == "site.yaml:2:3: a.b: wrong"


def test_secret_on_a_line_of_its_own_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "site.yaml"
    path.write_text("secret:\n  hunter2\n")
    problem = Problem("check.radius.secret", "wrong", span=Span(str(path), 2, 3))
    assert "hunter2" not in problems_text([problem])


def test_value_of_a_bad_webhook_is_not_repeated() -> None:
    node = b"name: lb1\nnotify: [{webhook: 'ftp://hunter2'}, {webhook: 'http://[hunter2'}]\n"
    with pytest.raises(ConfigError) as refused:
        load_node(node, "node.yaml")
    assert len(refused.value.problems) == 2
    assert "hunter2" not in repr(refused.value.problems)


def test_place_behind_the_end_and_lost_file_are_shown_without_a_line(tmp_path: Path) -> None:
    assert shown(tmp_path, "a\n", 9, 1) == "site.yaml:9:1: a.b: wrong"
    lost = Problem("", "wrong", "right", "fix it", Span("/nonexistent", 1, 1))
    assert problems_text([lost]) == "/nonexistent:1:1: wrong\n  expected: right\n  hint: fix it"


def test_problem_without_a_place() -> None:
    problem = Problem("a", "wrong")
    assert problems_text([problem, problem], "warning: ") == "a: warning: wrong\n\na: warning: wrong"
    assert problem_document(problem).line is None


def test_endless_file_is_not_read() -> None:
    endless = Problem("a", "wrong", span=Span("/dev/zero", 1, 1))
    assert problems_text([endless]) == "/dev/zero:1:1: a: wrong"
