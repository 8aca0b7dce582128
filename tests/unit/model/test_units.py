"""Durations, ports and counts as people write them."""

import pytest

from kernelbal.model.units import PortRange, age, counted, format_duration, parse_duration, parse_ports


@pytest.mark.parametrize(
    ("text", "seconds", "shortest"),
    [
        ("300ms", 0.3, "300ms"),
        ("1000ms", 1.0, "1s"),
        ("9s", 9.0, "9s"),
        ("1.5s", 1.5, "1500ms"),
        ("90s", 90.0, "90s"),
        ("5m", 300.0, "5m"),
        ("1.5h", 5400.0, "90m"),
        ("2d", 172800.0, "2d"),
        ("3650d", 315360000.0, "3650d"),
        ("0m", 0.0, "0s"),
    ],
)
def test_duration(text: str, seconds: float, shortest: str) -> None:
    assert parse_duration(text) == seconds
    assert format_duration(seconds) == shortest


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "not a duration"),
        ("5", "not a duration"),
        ("m", "not a duration"),
        ("5 m", "not a duration"),
        ("-5m", "not a duration"),
        ("5M", "not a duration"),
        ("1h30m", "not a duration"),
        ("1e3s", "not a duration"),
        (".5s", "not a duration"),
        ("\u0665s", "not a duration"),
        ("9" * 13 + "s", "not a duration"),
        ("3651d", "longer than ten years"),
        ("0.5ms", "finer than a millisecond"),
        ("1.0001s", "finer than a millisecond"),
    ],
)
def test_what_is_no_duration(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_duration(text)


@pytest.mark.parametrize(
    ("value", "ports", "text"),
    [
        (80, PortRange(80, 80), "80"),
        ("443", PortRange(443, 443), "443"),
        ("1-65535", PortRange(1, 65535), "1-65535"),
        ("90-90", PortRange(90, 90), "90"),
    ],
)
def test_ports(value: int | str, ports: PortRange, text: str) -> None:
    assert parse_ports(value) == ports
    assert str(ports) == text


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (0, "outside the ports"),
        (65536, "outside the ports"),
        (-1, "not a port"),
        ("80-", "not a port"),
        ("-80", "not a port"),
        ("80-90-100", "not a port"),
        ("80 - 90", "not a port"),
        ("http", "not a port"),
        ("\u0665", "not a port"),
        ("", "not a port"),
        ("0-80", "outside the ports"),
        ("80-65536", "outside the ports"),
        ("90-80", "is reversed; write `80-90`"),
    ],
)
def test_what_is_no_port(value: int | str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_ports(value)


@pytest.mark.parametrize(("count", "text"), [(0, "0 changes"), (1, "1 change"), (2, "2 changes")])
def test_count_and_noun_agree(count: int, text: str) -> None:
    assert counted(count, "change") == text


def test_a_plural_may_be_given() -> None:
    assert [counted(count, "address", "addresses") for count in (1, 2)] == ["1 address", "2 addresses"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "never"), (0, "0s"), (0.9, "0s"), (59.9, "59s"), (60, "1m"), (3725, "1h2m"), (90000, "1d1h")],
)
def test_age_has_two_units_at_most(seconds: float | None, text: str) -> None:
    assert age(seconds) == text
