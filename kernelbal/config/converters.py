"""How values of other load balancers become ours.

A converter takes text, a number or a boolean, and returns what a document here would hold. It raises
ValueError with the reason where nothing here means the same; it never guesses.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from ipaddress import IPv4Address
from typing import NamedTuple

from kernelbal.config.document import Data
from kernelbal.model.address import format_address, parse_address
from kernelbal.model.units import format_duration, parse_duration, parse_ports

MAX_WORD_CHARACTERS = 64
"""Of a word that is compared; comparing long texts takes long."""

_NUMBER = re.compile(r"[0-9]{1,12}(\.[0-9]{1,6})?")
_ENDPOINT = re.compile(r"(\[[^]]+\]|[^:\s]+|[0-9A-Fa-f:]+:[0-9A-Fa-f:]*)(?:[:\s]\s*([0-9]+))?")


def folded(text: str) -> str:
    """Return a word without differences of spelling: lower case, `_` for `-` and space."""
    return text[:MAX_WORD_CHARACTERS].lower().replace("-", "_").replace(" ", "_")


class Converter(NamedTuple):
    """How a value is converted.

    Attributes:
        convert: see above; None for a block, which no single value stands for.
        example: a value of ours, to show where there is nothing to convert.
    """

    convert: Callable[[object], Data] | None
    example: Data


class NoEquivalent(ValueError):
    """A word that is known, and that nothing here stands for; the message says what to do instead."""


def choice(words: Mapping[str, str], without: Mapping[str, str] | None = None) -> Converter:
    """Return the converter of a set of words.

    Args:
        words: foreign words by ours, as in `{"nat": "masq masquerade"}`.
        without: what to do instead, by words without equivalent.
    """
    ours = {word: our for our, theirs in words.items() for word in (folded(our), *theirs.split())}
    reasons = {word: reason for theirs, reason in (without or {}).items() for word in theirs.split()}

    def convert(value: object) -> Data:
        word = folded(_text(value))
        if word in reasons:
            raise NoEquivalent(reasons[word])
        if word not in ours:
            raise ValueError("this value is unknown")
        return ours[word]

    return Converter(convert, next(iter(words)))


def as_key(converter: Converter) -> Converter:
    """Return the converter of a word that is a key here: `src` becomes `{source_ip: {}}`."""
    convert = converter.convert or _line
    return Converter(lambda value: {str(convert(value)): {}}, {str(converter.example): {}})


def entry(name: str, example: str) -> Converter:
    """Return the converter of text that becomes the only entry of a mapping: `{outside: eth0}`."""
    return Converter(lambda value: {name: _line(value)}, {name: example})


def switch(on: Data, off: str = "leave it out: it is off unless it is written") -> Converter:
    """Return the converter of a switch: `on` when it is set, alone or with a word such as `yes`."""

    def convert(value: object) -> Data:
        if value is None or folded(str(value)) in {"", "true", "yes", "y", "on", "1"}:
            return on
        raise ValueError(off)

    return Converter(convert, on)


def block(example: Data) -> Converter:
    """Return the converter of a block of settings, or of a list of blocks."""
    return Converter(None, example)


def _text(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError("it is neither text nor a number")
    return str(value).strip()


def _time(unit_s: float) -> Callable[[object], Data]:
    """Convert a time whose bare numbers count units; text may bring its unit along."""

    def convert(value: object) -> Data:
        text = _text(value)
        seconds = float(text) * unit_s if _NUMBER.fullmatch(text) else parse_duration(text)
        duration = format_duration(seconds)
        if abs(parse_duration(duration) - seconds) > 1e-9:
            raise ValueError("it is finer than a millisecond")
        return duration

    return convert


def _whole(add: int = 0) -> Callable[[object], Data]:
    def convert(value: object) -> Data:
        text = _text(value)
        if not (text.isascii() and text.isdigit() and len(text) <= 10):
            raise ValueError("it is no whole number")
        return int(text) + add

    return convert


def _address(value: object) -> Data:
    return format_address(parse_address(_text(value).strip("[]")))


def _endpoint(value: object) -> Data:
    match = _ENDPOINT.fullmatch(_text(value))
    if match is None:
        raise ValueError("it is no address with a port")
    address: dict[str, Data] = {"address": _address(match[1])}
    return {**address, "port": int(match[2])} if match[2] else address


def _ports(value: object) -> Data:
    text = _text(value)
    if text in {"*", "any", "0"}:
        return "all"
    ports = parse_ports(text)
    return ports.low if ports.low == ports.high else str(ports)


def _prefix(value: object) -> Data:
    """Convert a prefix length, or an IPv4 netmask."""
    text = _text(value)
    if text.isascii() and text.isdigit():
        return int(text)
    mask = int.from_bytes(parse_address(text)) if "." in text else 0
    length = 32 - (~mask & 0xFFFFFFFF).bit_length()
    if not length or int(IPv4Address(mask)) != (0xFFFFFFFF << (32 - length)) & 0xFFFFFFFF:
        raise ValueError("it is no netmask")
    return length


def _line(value: object) -> Data:
    text = _text(value)
    if not text or not text.isprintable():
        raise ValueError("it is not one line of text")
    return text


def _url_path(value: object) -> Data:
    """Convert the path of `/health`, `GET /health HTTP/1.0` or `http://host/health`."""
    path = next((word for word in _text(value).split() if word.startswith("/")), "")
    if not path:
        raise ValueError("there is no path in it")
    return path


def _statuses(value: object) -> Data:
    return [int(word) if word.isdigit() else word for word in re.split(r"[\s,]+", _text(value)) if word]


def _shared(value: object) -> Data:
    """Convert entries of keepalived's `virtual_ipaddress`, such as `192.0.2.1/24 dev eth0`."""
    addresses = [_text(item).partition(" ")[0] for item in (value if isinstance(value, list) else [value])]
    if not all("/" in address for address in addresses):
        raise ValueError("an address lacks the prefix length of its subnet")
    return [*addresses]


def _timeouts(value: object) -> Data:
    """Convert `tcp 7200 tcp_fin 120 udp 300`."""
    words = _text(value).replace("tcpfin", "tcp_fin").split()
    return {name: _time(1)(number) for name, number in zip(words[::2], words[1::2], strict=True)}


SECONDS = Converter(_time(1), "5s")
MILLISECONDS = Converter(_time(0.001), "5s")
PERSISTENCE = Converter(_time(1), "5m")
"""Seconds as well; the example is what is usual for it."""
WHOLE = Converter(_whole(), 3)
RETRIES = Converter(_whole(1), 3)
"""Further attempts after the first failure, so that one failure more makes a real server down."""
ADDRESS = Converter(_address, "192.0.2.10")
ENDPOINT = Converter(_endpoint, {"address": "10.0.0.99"})
PORTS = Converter(_ports, 80)
PREFIX = Converter(_prefix, 24)
LINE = Converter(_line, "example.net")
URL_PATH = Converter(_url_path, "/health")
STATUSES = Converter(_statuses, [200])
SHARED = Converter(_shared, ["192.0.2.1/24"])
TIMEOUTS = Converter(_timeouts, {"tcp": "15m", "tcp_fin": "2m", "udp": "5m"})
