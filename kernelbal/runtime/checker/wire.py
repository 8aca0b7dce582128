"""What the director and its checker send each other: pages of probes, and pages of reports.

The director sends everything that is to be probed, with the states to start from; a new set replaces the old
one. The checker sends reports. Both may be long, so that each comes in pages, of which the last says so. Each
distinct check definition stands in a set once, and probes refer to it by its number: thousands of probes
usually share one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Annotated, Any, Final, NamedTuple

from msgspec import Meta
from pydantic import ValidationError

from kernelbal.model.bounds import MAX_TEXT, Count, Seconds, ShortText
from kernelbal.model.event import Topic
from kernelbal.model.health import Probe, ProbeState, ProbeStates, Target, Timing
from kernelbal.model.site.check import KINDS, HttpAgent, ProbeProtocol, TextAgent
from kernelbal.store.codec import Codec, Malformed

MAX_PROBES: Final = 200_000
"""Most probes of a set, and most states of a report."""
PROBES_PER_PAGE: Final = 500
STATES_PER_PAGE: Final = 2000
MAX_NOTICES: Final = 100
"""Most notices of a report; further ones are left out."""

_MODELS: Final[dict[str, type[ProbeProtocol]]] = {
    **KINDS,
    HttpAgent.kind: HttpAgent,
    TextAgent.kind: TextAgent,
}


class Notice(NamedTuple):
    """What operators should know of the checker itself.

    Attributes:
        topic: such as `CHECKER_STARVED`.
        message: one sentence, lower case, without a full stop.
        hint: the remedy, or empty.
    """

    topic: Topic
    message: ShortText
    hint: ShortText = ""


class ProbeSet(NamedTuple):
    """Everything that is to be probed, by key, and states to start from."""

    probes: dict[str, Probe]
    states: dict[str, ProbeState]


@dataclass(frozen=True, slots=True)
class CheckerReport:
    """What the checker found since its last report.

    Attributes:
        at: when, in seconds on the boot clock.
        states: of probes that ran or changed since the last report.
        notices: what operators should know of the checker itself.
        late_p99_s: by how much 99 of 100 probes at most began too late, over the last few seconds.
        probes: how many probes the checker has.
        cut_off: keys of probes whose run took too much processor time; they are not run any more.
    """

    at: float
    states: dict[str, ProbeState] = field(default_factory=dict)
    notices: tuple[Notice, ...] = ()
    late_p99_s: float = 0.0
    probes: int = 0
    cut_off: tuple[str, ...] = ()


class ProbeRow(NamedTuple):
    """A probe; `definition` counts the definitions of all pages of its set."""

    key: ShortText
    definition: Count
    target: Target
    timing: Timing
    agent: ShortText


class Definition(NamedTuple):
    """A check or agent, as its model in the site file has it."""

    kind: str
    settings: dict[str, Any]


@dataclass(frozen=True, slots=True)
class ProbePage:
    """A part of a set of probes."""

    probes: Annotated[list[ProbeRow], Meta(max_length=PROBES_PER_PAGE)]
    definitions: Annotated[list[Definition], Meta(max_length=PROBES_PER_PAGE)]
    states: Annotated[dict[str, ProbeState], Meta(max_length=PROBES_PER_PAGE)]
    last: bool


class Summary(NamedTuple):
    """What a report says beside states; the last page has it."""

    at: float
    notices: Annotated[tuple[Notice, ...], Meta(max_length=MAX_NOTICES)]
    late_p99_s: Seconds
    probes: Count
    cut_off: Annotated[tuple[ShortText, ...], Meta(max_length=MAX_PROBES)] = ()


@dataclass(frozen=True, slots=True)
class ReportPage:
    """A part of a report; `summary` is None on all pages but the last."""

    states: Annotated[dict[str, ProbeState], Meta(max_length=STATES_PER_PAGE)]
    summary: Summary | None


PROBE_PAGES: Final = Codec(ProbePage)
REPORT_PAGES: Final = Codec(ReportPage)


def probe_pages(probes: Mapping[str, Probe], states: ProbeStates) -> Iterator[ProbePage]:
    """Yield the pages of a set; states of other probes are left out."""
    numbers = _DefinitionNumbers()
    left, last = iter(probes.values()), False
    seen = 0
    while not last:
        batch = list(islice(left, PROBES_PER_PAGE))
        seen += len(batch)
        last = seen == len(probes)
        rows = [ProbeRow(p.key, numbers.of(p.protocol), p.target, p.timing, p.agent) for p in batch]
        yield ProbePage(
            rows, numbers.take_new(), {p.key: states[p.key] for p in batch if p.key in states}, last
        )


class _DefinitionNumbers:
    """Numbers distinct definitions in the order in which they come."""

    def __init__(self) -> None:
        self._numbers: dict[int, int] = {}
        self._known: list[ProbeProtocol] = []  # holding them keeps their identities their own
        self._by_text: dict[str, int] = {}
        self._new: list[Definition] = []

    def of(self, protocol: ProbeProtocol) -> int:
        number = self._numbers.get(id(protocol))
        if number is None:
            text = f"{protocol.kind} {protocol.model_dump_json(exclude_defaults=True)}"
            number = self._by_text.get(text)
            if number is None:
                number = self._by_text[text] = len(self._by_text)
                settings = protocol.model_dump(mode="json", exclude_defaults=True)
                self._new.append(Definition(protocol.kind, settings))
            self._numbers[id(protocol)] = number
            self._known.append(protocol)
        return number

    def take_new(self) -> list[Definition]:
        new, self._new = self._new, []
        return new


class ProbeSetReader:
    """Puts the pages of sets together."""

    def __init__(self) -> None:
        self._begin()

    def _begin(self) -> None:
        self._definitions: list[ProbeProtocol] = []
        self._set = ProbeSet({}, {})

    def take(self, page: ProbePage) -> ProbeSet | None:
        """Take a page; return the set when it is complete.

        Raises:
            Malformed: there is no such check definition, or there are too many probes.
        """
        self._definitions += map(_protocol, page.definitions)
        probes, states = self._set
        for key, number, target, timing, agent in page.probes:
            if number >= len(self._definitions):
                raise Malformed(f"there is no check definition {number}")
            probes[key] = Probe(key, self._definitions[number], target, timing, agent)
        states.update(page.states)
        _check_count(max(len(probes), len(states)))
        if not page.last:
            return None
        complete = self._set
        self._begin()
        return complete


def _protocol(definition: Definition) -> ProbeProtocol:
    model = _MODELS.get(definition.kind)
    if model is None:
        raise Malformed(f"there is no check `{_cut(definition.kind)}`")
    try:
        return model.model_validate(definition.settings)
    except ValidationError as error:
        raise Malformed(_cut(f"check `{definition.kind}`: {error}")) from error


def report_pages(report: CheckerReport) -> Iterator[ReportPage]:
    """Yield the pages of a report; texts that are too long are cut."""
    left = iter(report.states.items())
    remaining = len(report.states)
    while remaining > STATES_PER_PAGE:
        remaining -= STATES_PER_PAGE
        yield ReportPage({key: _short(state) for key, state in islice(left, STATES_PER_PAGE)}, None)
    notices = tuple(
        Notice(topic, _cut(message), _cut(hint)) for topic, message, hint in report.notices[:MAX_NOTICES]
    )
    summary = Summary(report.at, notices, report.late_p99_s, report.probes, report.cut_off)
    yield ReportPage({key: _short(state) for key, state in left}, summary)


class ReportReader:
    """Puts the pages of reports together."""

    def __init__(self) -> None:
        self._states: dict[str, ProbeState] = {}

    def take(self, page: ReportPage) -> CheckerReport | None:
        """Take a page; return the report when it is complete.

        Raises:
            Malformed: it has too many states.
        """
        self._states.update(page.states)
        _check_count(len(self._states))
        if page.summary is None:
            return None
        states, self._states = self._states, {}
        return CheckerReport(states=states, **page.summary._asdict())


def _check_count(probes: int) -> None:
    if probes > MAX_PROBES:
        raise Malformed(f"more than {MAX_PROBES} probes")


def _short(state: ProbeState) -> ProbeState:
    """Return a state whose texts fit; most have none."""
    if not (state.reason or state.warning or state.reading or state.unable):
        return state
    reading = state.reading
    if reading is not None:
        reading = reading._replace(text=_cut(reading.text))
    return state._replace(
        reason=_cut(state.reason), warning=_cut(state.warning), reading=reading, unable=_cut(state.unable)
    )


def _cut(text: str) -> str:
    return text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 3] + "..."
