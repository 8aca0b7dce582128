"""Values of other load balancers: what each converter takes, and what it refuses to guess."""

import pytest

from kernelbal.config import converters
from kernelbal.config.converters import Converter, NoEquivalent, choice, folded
from kernelbal.config.document import Data

CHOICE = choice({"nat": "masq", "dsr": "gate"}, {"bypass": "leave it out"})


@pytest.mark.parametrize(
    ("converter", "value", "ours"),
    [
        (converters.SECONDS, 600, "10m"),
        (converters.SECONDS, "0.5", "500ms"),
        (converters.SECONDS, "9s", "9s"),
        (converters.MILLISECONDS, 2000, "2s"),
        (converters.MILLISECONDS, "2s", "2s"),
        (converters.RETRIES, 1, 2),
        (converters.WHOLE, "7", 7),
        (converters.ADDRESS, "[2001:db8::1]", "2001:db8::1"),
        (converters.ENDPOINT, "10.0.0.9 80", {"address": "10.0.0.9", "port": 80}),
        (converters.ENDPOINT, "[2001:db8::9]:80", {"address": "2001:db8::9", "port": 80}),
        (converters.ENDPOINT, "2001:db8::9", {"address": "2001:db8::9"}),
        (converters.PORTS, "8000-8010", "8000-8010"),
        (converters.PORTS, 0, "all"),
        (converters.PREFIX, "255.255.240.0", 20),
        (converters.PREFIX, 64, 64),
        (converters.URL_PATH, "HEAD /up HTTP/1.0", "/up"),
        (converters.STATUSES, "200, 2xx", [200, "2xx"]),
        (CHOICE, "Masq", "nat"),
        (CHOICE, "dsr", "dsr"),
    ],
)
def test_value_is_converted(converter: Converter, value: Data, ours: Data) -> None:
    assert converter.convert is not None
    assert converter.convert(value) == ours


@pytest.mark.parametrize(
    ("converter", "value"),
    [
        (converters.SECONDS, True),
        (converters.SECONDS, "soon"),
        (converters.MILLISECONDS, 0.1),
        (converters.WHOLE, "-1"),
        (converters.WHOLE, 1.5),
        (converters.ADDRESS, "www.example.net"),
        (converters.PREFIX, "255.0.255.0"),
        (converters.PREFIX, "0.0.0.0"),
        (converters.URL_PATH, "GET"),
        (converters.LINE, "a\nb"),
        (converters.SHARED, "192.0.2.1 dev eth0"),
        (converters.TIMEOUTS, "tcp"),
        (CHOICE, "nut"),
        (CHOICE, ["nat"]),
    ],
)
def test_nothing_is_guessed(converter: Converter, value: Data) -> None:
    assert converter.convert is not None
    with pytest.raises(ValueError, match=r"."):
        converter.convert(value)


def test_word_without_equivalent_says_what_to_do() -> None:
    assert CHOICE.convert is not None
    with pytest.raises(NoEquivalent, match="leave it out"):
        CHOICE.convert("bypass")


def test_spelling_makes_no_difference() -> None:
    assert folded("Round-Robin") == folded("round robin") == "round_robin"
    assert len(folded("x" * 10_000_000)) == 64
