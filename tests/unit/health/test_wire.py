"""The lines between the director and its checker."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernelbal.health.wire import (
    MAX_NOTICES,
    MAX_TEXT,
    PROBES_PER_LINE,
    STATES_PER_LINE,
    Lines,
    Notice,
    ProbeSet,
    ProbeSetReader,
    Report,
    ReportReader,
    WireError,
    encode_probes,
    encode_report,
    state_of,
    state_row,
)
from kernelbal.model.address import parse_address
from kernelbal.model.choices import Encryption
from kernelbal.model.event import Topic
from kernelbal.model.health import AgentReading, AgentRequest, Health, Probe, ProbeState, Target, Timing
from kernelbal.model.site.check import HttpCheck, ProbeProtocol, SmtpCheck, TcpCheck, TextAgent, TlsSettings

V4, V6 = parse_address("10.0.0.11"), parse_address("fe80::1")
TIMING = Timing(9.0, 4.0, 1, 3, 0.45)


def probe(key: str, protocol: ProbeProtocol | None = None) -> Probe:
    return Probe(key, protocol or TcpCheck(), Target(V4, 80, "web", V4), TIMING)


def read_set(lines: list[bytes]) -> list[ProbeSet]:
    reader = ProbeSetReader()
    return [found for line in lines if (found := reader.feed(line)) is not None]


def read_reports(lines: list[bytes]) -> list[Report]:
    reader = ReportReader()
    return [found for line in lines if (found := reader.feed(line)) is not None]


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


@given(STATES)
def test_a_state_comes_back_as_it_was(state: ProbeState) -> None:
    assert state_of(json.loads(json.dumps(state_row(state)))) == state


PROTOCOLS = [
    TcpCheck(),
    HttpCheck(path="/health", headers={"X": "y"}, expect=(200, "3xx")),
    SmtpCheck(encryption=Encryption.STARTTLS, tls=TlsSettings(verify=True, ca_file="/etc/ca.pem")),
    TextAgent(port=9000),
]


def test_a_set_comes_back_as_it_was() -> None:
    target = Target(
        V6, 443, "www.example.net", V4, parse_address("10.0.0.1"), 0x4B000001, through=True, hops=2
    )
    probes = {
        f"k{number}": Probe(f"k{number}", protocol, target, TIMING, "text" if number == 3 else "")
        for number, protocol in enumerate(PROTOCOLS)
    }
    states = {"k0": ProbeState(Health.UP, 1.5, "", 2.5, 0.001), "other": ProbeState()}
    found = read_set(list(encode_probes(probes, states)))
    assert found == [ProbeSet(probes, {"k0": states["k0"]})]


def test_each_protocol_stands_in_the_set_once() -> None:
    probes = {f"k{n}": probe(f"k{n}", HttpCheck(path="/health")) for n in range(100)}
    (line,) = encode_probes(probes, {})
    assert line.count(b"/health") == 1
    assert read_set([line])[0].probes == probes


def test_a_large_set_comes_in_several_lines_and_is_complete_with_the_last() -> None:
    probes = {f"k{n}": probe(f"k{n}", PROTOCOLS[n % 2]) for n in range(PROBES_PER_LINE * 2 + 1)}
    lines = list(encode_probes(probes, {}))
    assert len(lines) == 3
    assert read_set(lines) == [ProbeSet(probes, {})]


def test_an_empty_set_is_a_set() -> None:
    assert read_set(list(encode_probes({}, {}))) == [ProbeSet({}, {})]


def test_a_reader_starts_anew_with_each_set() -> None:
    first, second = {"a": probe("a")}, {"b": probe("b", PROTOCOLS[1])}
    found = read_set([*encode_probes(first, {}), *encode_probes(second, {})])
    assert [each.probes for each in found] == [first, second]


def test_a_report_comes_back_as_it_was() -> None:
    states = {f"k{n}": ProbeState(Health.DOWN, 5.0, "connection refused") for n in range(STATES_PER_LINE + 1)}
    notices = (Notice(Topic.CHECKER_STARVED, "out of file descriptors", "raise LimitNOFILE"),)
    report = Report(12.25, states, notices, 0.004, 5000)
    lines = list(encode_report(report))
    assert len(lines) == 2
    assert read_reports(lines) == [report]


def test_long_texts_and_many_notices_are_cut() -> None:
    notices = tuple(Notice(Topic.CHECKER_LATE, "x" * 5000) for _ in range(MAX_NOTICES + 5))
    (report,) = read_reports(list(encode_report(Report(1.0, {"k": ProbeState(reason="y" * 5000)}, notices))))
    assert len(report.notices) == MAX_NOTICES
    assert len(report.notices[0].message) == len(report.states["k"].reason) == MAX_TEXT


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        (b"", "malformed"),
        (b"{", "malformed"),
        (b"[]", "an object is wanted"),
        (b"\xff\xfe", "malformed"),
        (b'{"last": true}', "lacks 'states'"),
        (b'{"states": {"k": ["sick", 1, "", null, null]}, "last": true}', "'sick'"),
        (b'{"states": {"k": ["up", NaN, "", null, null]}, "last": true}', "`NaN` is no number"),
        (b'{"states": {"k": ["up", "1", "", null, null]}, "last": true}', "a number is wanted"),
        (b'{"states": {"k": ["up", 1, "", null, null, 0, "", null, 9]}, "last": true}', "has 9 values"),
        (b"[" * 100_000, "malformed"),
    ],
)
def test_a_malformed_report_is_refused(line: bytes, complaint: str) -> None:
    with pytest.raises(WireError, match="between director and checker") as caught:
        ReportReader().feed(line)
    assert complaint in caught.value.message


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"protocols": [["carrier pigeon", {}]]}, "no protocol `carrier pigeon`"),
        ({"protocols": [["http", {"path": 5}]]}, "path"),
        ({"protocols": []}, "there is no protocol 0"),
        ({"probes": [["k", 0, ["0a00", 80, "", "", "", 0, False, 0], [9, 4, 1, 3, 0], ""]]}, "no address"),
        (
            {"probes": [["k", 0, ["", True, "", "", "", 0, False, 0], [9, 4, 1, 3, 0], ""]]},
            "a whole number is wanted",
        ),
        ({"probes": {}}, "a list is wanted"),
    ],
)
def test_a_malformed_set_is_refused(change: dict[str, object], complaint: str) -> None:
    (line,) = encode_probes({"k": probe("k")}, {})
    with pytest.raises(WireError) as caught:
        ProbeSetReader().feed(json.dumps(json.loads(line) | change).encode())
    assert complaint in caught.value.message


@given(st.binary(max_size=200))
def test_readers_raise_nothing_but_their_own_error(line: bytes) -> None:
    for reader in (ReportReader(), ProbeSetReader()):
        with pytest.raises(WireError):
            reader.feed(line)


@given(st.lists(st.binary(max_size=20).filter(lambda b: b"\n" not in b), max_size=10), st.integers(1, 30))
def test_lines_are_the_same_however_they_arrive(lines: list[bytes], portion: int) -> None:
    stream = b"".join(line + b"\n" for line in lines)
    cutter = Lines()
    found: list[bytes] = []
    for start in range(0, len(stream), portion):
        found += cutter.feed(stream[start : start + portion])
    assert found == lines


@pytest.mark.parametrize("data", [b"x" * 11, b"x" * 11 + b"\n"])
def test_a_line_that_is_too_long_is_refused(data: bytes) -> None:
    with pytest.raises(WireError, match="more than 10 bytes"):
        Lines(10).feed(data)
