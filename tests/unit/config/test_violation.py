"""How violations repeat values."""

import pytest

from kernelbal.config.violation import shown


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        (True, "true"),
        (False, "false"),
        (1, "1"),
        (1.5, "1.5"),
        ("a", "a"),
        ("a\n\tb\x1b[31m\u2028\x7f", r"a\n\tb\x1b[31m\u2028\x7f"),
        ("x" * 60, "x" * 60),
        ("x" * 61, "x" * 57 + "..."),
        ("x" * 10_000_000, "x" * 57 + "..."),
        ("curl https://me:pw@hooks.example.net/T1?x=1 -s", "curl https://... -s"),
    ],
)
def test_shown_value_is_short_and_one_line(value: object, text: str) -> None:
    assert shown(value) == text
