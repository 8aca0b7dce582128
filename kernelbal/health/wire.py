"""What the director and its checker tell each other: JSON documents, one a line, over a socket pair.

The director sends everything that is to be probed, with the states to start from; a new set replaces the
old one. The checker sends reports. Both may be long, so that each is cut into lines of bounded size, of which
the last says so. Each distinct protocol stands in a set once, and probes refer to it by its number: thousands
of probes usually ask the same.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final, NamedTuple, NoReturn, TypeVar

from kernelbal.errors import KernelbalError
from kernelbal.model.address import Address
from kernelbal.model.event import Topic
from kernelbal.model.health import (
    AgentReading,
    AgentRequest,
    Health,
    Probe,
    ProbeState,
    ProbeStates,
    Target,
    Timing,
)
from kernelbal.model.site.check import KINDS, HttpAgent, ProbeProtocol, TextAgent

MAX_LINE_BYTES: Final = 4 * 1024 * 1024
"""Longest line that is read."""
MAX_PROBES: Final = 200_000
"""Most probes of a set, and most states of a report."""
PROBES_PER_LINE: Final = 500
STATES_PER_LINE: Final = 2000
MAX_NOTICES: Final = 100
"""Most notices of a report; further ones are left out."""
MAX_TEXT: Final = 1000
"""Longest reason, warning or message, in characters; the rest is cut off."""

_PROTOCOLS: Final[dict[str, type[ProbeProtocol]]] = {
    **KINDS,
    HttpAgent.kind: HttpAgent,
    TextAgent.kind: TextAgent,
}

_WORDS: Final = {health: health.value for health in Health}
_USUAL: Final[list[Any]] = [0, "", None]
"""Streak, warning and reading of most states."""

T = TypeVar("T")
Row = list[Any]


class WireError(KernelbalError):
    """A line is not what this module writes; the connection is of no use any more."""

    def __init__(self, message: str) -> None:
        super().__init__(f"between director and checker: {message}", "both must be of the same release")


class Notice(NamedTuple):
    """What operators should know of the checker itself.

    Attributes:
        topic: such as `CHECKER_STARVED`.
        message: one sentence, lower case, without a full stop.
        hint: the remedy, or empty.
    """

    topic: Topic
    message: str
    hint: str = ""


class ProbeSet(NamedTuple):
    """Everything that is to be probed, by key, and states to start from."""

    probes: dict[str, Probe]
    states: dict[str, ProbeState]


@dataclass(frozen=True, slots=True)
class Report:
    """What the checker found since its last report.

    Attributes:
        at: when, in seconds on the boot clock.
        states: of probes that ran or changed since the last report.
        notices: what operators should know of the checker itself.
        late_p99_s: by how much 99 of 100 probes at most began too late, over the last few seconds.
        probes: how many probes the checker has.
    """

    at: float
    states: dict[str, ProbeState] = field(default_factory=dict)
    notices: tuple[Notice, ...] = ()
    late_p99_s: float = 0.0
    probes: int = 0


class Lines:
    """Cuts a stream into lines."""

    def __init__(self, limit: int = MAX_LINE_BYTES) -> None:
        self._limit = limit
        self._rest = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """Take what arrived, and return the lines that are complete, without their ends.

        Raises:
            WireError: a line is longer than the limit.
        """
        scan_from = len(self._rest)
        self._rest += data
        if self._rest.find(b"\n", scan_from) < 0:
            lines = []
        else:
            *lines, rest = bytes(self._rest).split(b"\n")
            self._rest = bytearray(rest)
        if len(self._rest) > self._limit or any(len(line) > self._limit for line in lines):
            raise WireError(f"a line has more than {self._limit} bytes")
        return lines


def encode_probes(probes: Mapping[str, Probe], states: ProbeStates) -> Iterator[bytes]:
    """Yield the lines of a set; states of other probes are left out."""
    protocols = _ProtocolTable()
    left = iter(probes.values())
    remaining = len(probes)
    while True:
        batch = list(islice(left, PROBES_PER_LINE))
        remaining -= len(batch)
        rows = [_probe_row(probe, protocols.number(probe.protocol)) for probe in batch]
        yield _line(
            {
                "probes": rows,
                "protocols": protocols.take_new(),
                "states": {p.key: state_row(states[p.key]) for p in batch if p.key in states},
                "last": remaining == 0,
            }
        )
        if not remaining:
            return


class _ProtocolTable:
    """Numbers distinct protocols in the order in which they come."""

    def __init__(self) -> None:
        self._by_identity: dict[int, tuple[ProbeProtocol, int]] = {}
        self._by_text: dict[str, int] = {}
        self._new: list[Row] = []

    def number(self, protocol: ProbeProtocol) -> int:
        known = self._by_identity.get(id(protocol))
        if known is None:
            row = [protocol.kind, protocol.model_dump(mode="json", exclude_defaults=True)]
            text = json.dumps(row, sort_keys=True)
            if text not in self._by_text:
                self._by_text[text] = len(self._by_text)
                self._new.append(row)
            known = protocol, self._by_text[text]  # holding it keeps its identity its own
            self._by_identity[id(protocol)] = known
        return known[1]

    def take_new(self) -> list[Row]:
        new, self._new = self._new, []
        return new


class ProbeSetReader:
    """Puts the lines of sets together."""

    def __init__(self) -> None:
        self._begin()

    def _begin(self) -> None:
        self._protocols: list[ProbeProtocol] = []
        self._set = ProbeSet({}, {})

    def feed(self, line: bytes) -> ProbeSet | None:
        """Take a line; return the set when it is complete.

        Raises:
            WireError: it is no line of a set.
        """
        return _checked(line, self._take)

    def _take(self, document: dict[str, Any]) -> ProbeSet | None:
        self._protocols += map(_protocol, _list(document["protocols"]))
        for row in _list(document["probes"]):
            probe = _probe(row, self._protocols)
            self._set.probes[probe.key] = probe
        for key, row in _dict(document["states"]).items():
            self._set.states[key] = state_of(row)
        _bounded(max(len(self._set.probes), len(self._set.states)))
        if not document["last"]:
            return None
        complete = self._set
        self._begin()
        return complete


def encode_report(report: Report) -> Iterator[bytes]:
    """Yield the lines of a report."""
    left = iter(report.states.items())
    remaining = len(report.states)
    while True:
        batch = {key: state_row(state) for key, state in islice(left, STATES_PER_LINE)}
        remaining -= len(batch)
        document: dict[str, Any] = {"states": batch, "last": remaining == 0}
        if not remaining:
            document["at"] = report.at
            document["late"] = report.late_p99_s
            document["probes"] = report.probes
            document["notices"] = [
                [notice.topic.value, _cut(notice.message), _cut(notice.hint)]
                for notice in report.notices[:MAX_NOTICES]
            ]
        yield _line(document)
        if not remaining:
            return


class ReportReader:
    """Puts the lines of reports together."""

    def __init__(self) -> None:
        self._states: dict[str, ProbeState] = {}

    def feed(self, line: bytes) -> Report | None:
        """Take a line; return the report when it is complete.

        Raises:
            WireError: it is no line of a report.
        """
        return _checked(line, self._take)

    def _take(self, document: dict[str, Any]) -> Report | None:
        for key, row in _dict(document["states"]).items():
            self._states[key] = state_of(row)
        _bounded(len(self._states))
        if not document["last"]:
            return None
        states, self._states = self._states, {}
        notices = tuple(
            Notice(Topic(topic), _text(message), _text(hint))
            for topic, message, hint in _list(document["notices"])[:MAX_NOTICES]
        )
        return Report(
            _number(document["at"]),
            states,
            notices,
            _number(document["late"]),
            _whole(document["probes"]),
        )


def state_row(state: ProbeState) -> Row:
    """Return a state as a list of plain values; what is usual at its end is left out."""
    health, since_at, reason, last_at, response_s, streak, warning, reading = state
    row: Row = [_WORDS[health], since_at, reason and _cut(reason), last_at, response_s]
    if streak or warning or reading is not None:
        row += [streak, _cut(warning)]
    if reading is not None:
        weight, request, max_connections, text = reading
        row.append([weight, None if request is None else request.value, max_connections, _cut(text)])
    return row


def state_of(row: object) -> ProbeState:
    """Return the state that `state_row` made a row of.

    Raises:
        ValueError: or TypeError: it is no such row.
    """
    health, since_at, reason, last_at, response_s, *rest = _list(row)
    if len(rest) > len(_USUAL):
        raise ValueError(f"a state has {len(rest) + 5} values")
    streak, warning, reading = rest + _USUAL[len(rest) :]
    return ProbeState(
        Health(health),
        _number(since_at),
        _text(reason),
        _optional(_number, last_at),
        _optional(_number, response_s),
        _whole(streak),
        _text(warning),
        _optional(_reading, reading),
    )


def _reading(row: object) -> AgentReading:
    weight, request, max_connections, text = _list(row)
    return AgentReading(
        _optional(_number, weight),
        None if request is None else AgentRequest(request),
        _optional(_whole, max_connections),
        _text(text),
    )


def _probe_row(probe: Probe, protocol: int) -> Row:
    address, port, host, server, source, mark, through, hops = probe.target
    where = [address.hex(), port, host, server.hex(), source.hex(), mark, through, hops]
    return [probe.key, protocol, where, list(probe.timing), probe.agent]


def _probe(row: object, protocols: list[ProbeProtocol]) -> Probe:
    key, protocol, where, timing, agent = _list(row)
    address, port, host, server, source, mark, through, hops = _list(where)
    interval_s, timeout_s, rise, fall, jitter_s = _list(timing)
    if not 0 <= _whole(protocol) < len(protocols):
        raise ValueError(f"there is no protocol {protocol}")
    return Probe(
        _text(key),
        protocols[protocol],
        Target(
            _address(address),
            _whole(port),
            _text(host),
            _address(server),
            _address(source),
            _whole(mark),
            bool(through),
            _whole(hops),
        ),
        Timing(_number(interval_s), _number(timeout_s), _whole(rise), _whole(fall), _number(jitter_s)),
        _text(agent),
    )


def _protocol(row: object) -> ProbeProtocol:
    kind, settings = _list(row)
    if kind not in _PROTOCOLS:
        raise ValueError(f"there is no protocol `{_cut(str(kind))}`")
    return _PROTOCOLS[kind].model_validate(settings)


def _address(text: object) -> Address:
    address = Address(bytes.fromhex(_text(text)))
    if len(address) not in (0, 4, 16):
        raise ValueError(f"{len(address)} bytes are no address")
    return address


def _line(document: dict[str, Any]) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode() + b"\n"


def _checked(line: bytes, take: Callable[[dict[str, Any]], T]) -> T:
    if len(line) > MAX_LINE_BYTES:
        raise WireError(f"a line has more than {MAX_LINE_BYTES} bytes")
    try:
        return take(_dict(json.loads(line, parse_constant=_refuse)))
    except KeyError as error:
        raise WireError(f"a line lacks {error}") from error
    except (ValueError, TypeError, RecursionError) as error:
        raise WireError(_cut(f"a line is malformed: {error}")) from error


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"`{constant}` is no number")


def _bounded(count: int) -> None:
    if count > MAX_PROBES:
        raise ValueError(f"more than {MAX_PROBES} probes")


def _optional(take: Callable[[object], T], value: object) -> T | None:
    return None if value is None else take(value)


def _list(value: object) -> Row:
    if not isinstance(value, list):
        raise TypeError("a list is wanted")
    return value


def _dict(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TypeError("an object is wanted")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("text is wanted")
    return value


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError("a number is wanted")
    return float(value)


def _whole(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError("a whole number is wanted")
    return value


def _cut(text: str) -> str:
    return text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 3] + "..."
