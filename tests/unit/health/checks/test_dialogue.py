"""What dialogues share."""

import pytest

from kernelbal.health.checks.dialogue import compiled, shown


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", '""'),
        (b"220 hello\r\n", '"220 hello"'),
        (b"a\x00\x1b[31mb", '"a..[31mb"'),
        ("é".encode(), '"é"'),
        (b"\xff", '"\ufffd"'),
        (b"x" * 61, '"' + "x" * 60 + '..."'),
    ],
)
def test_what_came_in_is_shown_short_and_printable(data: bytes, text: str) -> None:
    assert shown(data) == text


def test_expressions_are_checked() -> None:
    assert compiled("a.b").search("a\nb")
    with pytest.raises(ValueError, match="invalid regular expression"):
        compiled(b"[")
