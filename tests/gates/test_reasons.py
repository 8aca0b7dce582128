"""Exception lists refuse entries without a reason."""

from pathlib import Path

import pytest

from tests.reasons import parse_reasons, read_reasons

TESTS = Path(__file__).parents[1]


def test_entry_has_pattern_and_reason() -> None:
    assert parse_reasons("# why\n\ntests/a.py::test_b[x: y]: needs KVM\n") == {
        "tests/a.py::test_b[x: y]": "needs KVM"
    }


@pytest.mark.parametrize(
    "line", ["tests/a.py", "tests/a.py:", "tests/a.py: ", ": needs KVM", "a: one\na: two"]
)
def test_entry_without_reason_or_given_twice_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match="exception"):
        parse_reasons(line)


@pytest.mark.parametrize("name", ["allowed_skips.txt", "gates/unmirrored.txt"])
def test_lists_are_well_formed(name: str) -> None:
    read_reasons(TESTS / name)
