"""The messages between the director and its checker."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernelbal.model.address import parse_address
from kernelbal.model.bounds import MAX_TEXT
from kernelbal.model.choices import Encryption
from kernelbal.model.event import Topic
from kernelbal.model.health import (
    AgentReading,
    AgentRequest,
    Health,
    Probe,
    ProbeState,
    Target,
    Timing,
)
from kernelbal.model.site.check import HttpCheck, ProbeProtocol, SmtpCheck, TcpCheck, TextAgent, TlsSettings
from kernelbal.runtime.checker import wire
from kernelbal.runtime.checker.wire import (
    MAX_NOTICES,
    PROBE_PAGES,
    PROBES_PER_PAGE,
    REPORT_PAGES,
    STATES_PER_PAGE,
    CheckerReport,
    Notice,
    ProbeSet,
    ProbeSetReader,
    ReportReader,
    probe_pages,
    report_pages,
)
from kernelbal.store.codec import Malformed

V4, V6 = parse_address("10.0.0.11"), parse_address("fe80::1")
TIMING = Timing(9.0, 4.0, 1, 3, 0.45)
PROTOCOLS: list[ProbeProtocol] = [
    TcpCheck(),
    HttpCheck(path="/health", headers={"X": "y"}, expect=(200, "3xx")),
    SmtpCheck(encryption=Encryption.STARTTLS, tls=TlsSettings(verify=True, ca_file="/etc/ca.pem")),
    TextAgent(port=9000),
]
FINITE = st.floats(allow_nan=False, allow_infinity=False, width=32)
READINGS = st.builds(
    AgentReading,
    st.none() | FINITE,
    st.none() | st.sampled_from(AgentRequest),
    st.none() | st.integers(0, 2**31),
    st.text(max_size=20),
)
STATES = st.builds(
    ProbeState,
    st.sampled_from(Health),
    FINITE,
    st.text(max_size=50),
    st.none() | FINITE,
    st.none() | FINITE,
    st.integers(0, 100),
    st.text(max_size=50),
    st.none() | READINGS,
)


def probe(key: str, protocol: ProbeProtocol = PROTOCOLS[0]) -> Probe:
    return Probe(key, protocol, Target(V4, 80, "web", V4), TIMING)


def sets_of(frames: list[bytes]) -> list[ProbeSet]:
    reader = ProbeSetReader()
    return [found for frame in frames if (found := reader.take(PROBE_PAGES.decode(frame))) is not None]


def reports_of(frames: list[bytes]) -> list[CheckerReport]:
    reader = ReportReader()
    return [found for frame in frames if (found := reader.take(REPORT_PAGES.decode(frame))) is not None]


def sent(probes: dict[str, Probe], states: dict[str, ProbeState] | None = None) -> list[bytes]:
    return [PROBE_PAGES.encode(page) for page in probe_pages(probes, states or {})]


def reported(report: CheckerReport) -> list[bytes]:
    return [REPORT_PAGES.encode(page) for page in report_pages(report)]


def test_a_set_comes_back_as_it_was() -> None:
    target = Target(
        V6, 443, "www.example.net", V4, parse_address("10.0.0.1"), 0x4B000001, through=True, hops=2
    )
    probes = {
        f"k{number}": Probe(f"k{number}", protocol, target, TIMING, "text" if number == 3 else "")
        for number, protocol in enumerate(PROTOCOLS)
    }
    states = {"k0": ProbeState(Health.UP, 1.5, "", 2.5, 0.001), "other": ProbeState()}
    assert sets_of(sent(probes, states)) == [ProbeSet(probes, {"k0": states["k0"]})]


def test_each_definition_stands_in_the_set_once() -> None:
    probes = {f"k{n}": probe(f"k{n}", HttpCheck(path="/health")) for n in range(100)}
    (frame,) = sent(probes)
    assert frame.count(b"/health") == 1
    assert sets_of([frame])[0].probes == probes


@pytest.mark.parametrize("count", [0, PROBES_PER_PAGE, PROBES_PER_PAGE * 2 + 1])
def test_a_set_is_complete_with_its_last_page(count: int) -> None:
    probes = {f"k{n}": probe(f"k{n}", PROTOCOLS[n % 2]) for n in range(count)}
    frames = sent(probes)
    assert len(frames) == max(1, -(-count // PROBES_PER_PAGE))
    assert sets_of(frames) == [ProbeSet(probes, {})]


def test_a_reader_starts_anew_with_each_set() -> None:
    first, second = {"a": probe("a")}, {"b": probe("b", PROTOCOLS[1])}
    assert [each.probes for each in sets_of([*sent(first), *sent(second)])] == [first, second]


@given(st.dictionaries(st.text(max_size=20), STATES, max_size=4))
def test_a_report_comes_back_as_it_was(states: dict[str, ProbeState]) -> None:
    notices = (Notice(Topic.CHECKER_STARVED, "out of file descriptors", "raise LimitNOFILE"),)
    report = CheckerReport(12.25, states, notices, 0.004, 5000)
    assert reports_of(reported(report)) == [report]


def test_a_long_report_comes_in_pages() -> None:
    states = {f"k{n}": ProbeState(Health.DOWN, 5.0, "connection refused") for n in range(STATES_PER_PAGE + 1)}
    frames = reported(CheckerReport(12.25, states))
    assert len(frames) == 2
    assert reports_of(frames) == [CheckerReport(12.25, states)]


def test_long_texts_and_many_notices_are_cut() -> None:
    notices = tuple(Notice(Topic.CHECKER_LATE, "x" * 5000) for _ in range(MAX_NOTICES + 5))
    state = ProbeState(reason="y" * 5000, warning="w" * 5000, reading=AgentReading(text="z" * 5000))
    (report,) = reports_of(reported(CheckerReport(1.0, {"k": state}, notices)))
    found = report.states["k"]
    assert found.reading is not None
    assert len(report.notices) == MAX_NOTICES
    texts = (report.notices[0].message, found.reason, found.warning, found.reading.text)
    assert {len(text) for text in texts} == {MAX_TEXT}


def test_more_probes_than_there_may_be_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "MAX_PROBES", 3)
    with pytest.raises(Malformed, match="more than 3 probes"):
        sets_of(sent({f"k{n}": probe(f"k{n}") for n in range(4)}))
    with pytest.raises(Malformed, match="more than 3 probes"):
        reports_of(reported(CheckerReport(1.0, {f"k{n}": ProbeState() for n in range(4)})))


@pytest.mark.parametrize(
    ("state", "complaint"),
    [
        (["sick", 1, "", None, None], "Invalid enum value 'sick' - at `$.states[...][0]`"),
        (["up", "1", "", None, None], "Expected `float`, got `str` - at `$.states[...][1]`"),
        (["up", 1, "", None, None, True], "Expected `int`, got `bool`"),
        (["up", 1, "", None, None, 0, "", None, "", 9], "length 9"),
        (["up", 1, "x" * (MAX_TEXT + 1)], "length <= 1000"),
    ],
)
def test_a_malformed_report_is_refused(state: list[object], complaint: str) -> None:
    with pytest.raises(Malformed) as caught:
        REPORT_PAGES.decode(json.dumps({"states": {"k": state}, "summary": None}).encode())
    assert complaint in caught.value.message


ROW = ["k", 0, ["10.0.0.11", 80, "", "10.0.0.11", "", 0, False, 0], [9, 4, 1, 3, 0], ""]


def row(target: list[object]) -> list[object]:
    return [*ROW[:2], target, *ROW[3:]]


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"definitions": [["carrier pigeon", {}]]}, "no check `carrier pigeon`"),
        ({"definitions": [["http", {"path": 5}]]}, "path"),
        ({"definitions": []}, "no check definition 0"),
        ({"probes": [row(["0a00", 80, "", "10.0.0.11", "", 0, False, 0])]}, "`0a00` is not an IP address"),
        (
            {"probes": [row(["10.0.0.11", True, "", "10.0.0.11", "", 0, False, 0])]},
            "Expected `int`, got `bool`",
        ),
        ({"probes": [row(["10.0.0.11", 65536, "", "10.0.0.11", "", 0, False, 0])]}, "<= 65535"),
        ({"probes": {}}, "Expected `array`"),
        ({"probes": [ROW] * (PROBES_PER_PAGE + 1)}, "length <= 500"),
        ({"extra": 1}, "unknown field `extra`"),
    ],
)
def test_a_malformed_set_is_refused(change: dict[str, object], complaint: str) -> None:
    (frame,) = sent({"k": probe("k")})
    with pytest.raises(Malformed) as caught:
        sets_of([json.dumps(json.loads(frame) | change).encode()])
    assert complaint in caught.value.message
