"""Plain scalars: YAML 1.2's core schema, and what stays text."""

import math

import pytest

from kernelbal.config.scalars import PlainScalars, Scalar, resolve_plain

VALUES: dict[str, Scalar] = {
    "": None,
    "~": None,
    "null": None,
    "true": True,
    "False": False,
    "0": 0,
    "-7": -7,
    "+80": 80,
    "0x1F": 31,
    "0o17": 15,
    "1.5": 1.5,
    ".5": 0.5,
    "-1e3": -1000.0,
    "-.inf": -math.inf,
}

TEXT = (
    "yes", "no", "on", "off", "y", "TrUe", "nUll", "012", "-012", "0777", "22:22", "1_000", "192.0.2.1", "5m",
    "80-90", "2001-12-14", "0b1", "0x", "+", "-", ".", "1e", "\u0661", "\uff19", "1" * 41, "=", "a b",
)  # fmt: skip


@pytest.mark.parametrize(("text", "value"), VALUES.items())
def test_core_schema(text: str, value: Scalar) -> None:
    assert (resolve_plain(text), type(resolve_plain(text))) == (value, type(value))


def test_not_a_number_is_one_of_the_floats() -> None:
    value = resolve_plain(".nan")
    assert isinstance(value, float)
    assert math.isnan(value)


@pytest.mark.parametrize("text", TEXT)
def test_everything_else_is_text(text: str) -> None:
    assert resolve_plain(text) == text


def test_short_scalars_are_remembered_and_long_ones_are_not() -> None:
    scalars = PlainScalars()
    assert (scalars["80"], scalars["2001:db8::1"]) == (80, "2001:db8::1")
    assert dict(scalars) == {"80": 80}
