"""Texts of others, made safe to show."""

import unicodedata

import pytest

from kernelbal.model.text import MOST_CHARACTERS, lines, one_line


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("", ""),
        ("plain \\ [bold] `x` Grüße 日本", "plain \\ [bold] `x` Grüße 日本"),
        ("a\nb\r\tc", r"a\nb\r\tc"),
        ("\x1b[2J\x1b]0;x\x07", r"\x1b[2J\x1b]0;x\x07"),
        ("\x9b31m\x85", r"\x9b31m\x85"),
        ("\u202e\u2066\u200b\ufeff", r"\u202e\u2066\u200b\ufeff"),
        ("a\u2028b\u2029", r"a\u2028b\u2029"),
        ("a\u00a0b\u3000c", "a b c"),
        ("\u115f\u3164\ufe0f\U000e0100", r"\u115f\u3164\ufe0f\U000e0100"),
        ("\U000e0041\ue000\uffff", r"\U000e0041\ue000\uffff"),
        (b"\xff\x80".decode(errors="surrogateescape"), r"\xff\x80"),
        ("\ud800", r"\ud800"),
    ],
)
def test_what_is_not_plain_is_an_escape(text: str, shown: str) -> None:
    assert one_line(text) == shown
    assert one_line(shown) == shown


def test_no_character_drives_a_terminal() -> None:
    for code in range(0x110000):
        for shown in one_line(chr(code)):
            assert unicodedata.category(shown)[0] != "C", hex(code)
            assert shown == " " or unicodedata.category(shown)[0] != "Z", hex(code)


def test_length_is_bounded() -> None:
    assert one_line("x" * 10, 10) == "x" * 10
    assert one_line("x" * 11, 10) == "x" * 7 + "..."
    assert one_line("\x1b" * 5, 10) == r"\x1b\x1..."
    assert len(one_line("\x1b" * 10_000_000)) == MOST_CHARACTERS


def test_lines_keep_their_ends_only() -> None:
    assert lines("table x {\n\tchain \x1b[1m\r\n}") == "table x {\n    chain \\x1b[1m\\r\n}"
    assert lines("x" * 100_000) == "x" * 100_000
    assert lines("\x1b" * 5000) == r"\x1b" * 5000
