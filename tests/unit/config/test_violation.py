"""How violations name keys and repeat values."""

import pytest

from kernelbal.config.violation import Path, key_path, shown


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ((), ""),
        (("networks",), "networks"),
        (("virtual_services", 0, "ports", 1), "virtual_services[0].ports[1]"),
        ((3, "a\nb"), r"[3].a\nb"),
    ],
)
def test_key_path(path: Path, text: str) -> None:
    assert key_path(path) == text


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
    ],
)
def test_shown_value_is_short_and_one_line(value: object, text: str) -> None:
    assert shown(value) == text
