"""An error in one probe's code is that probe's failure: the checker and every other probe go on."""

import os
import pwd
import socket
from collections.abc import Callable, Iterator

import pytest

from kernelbal.health.checks.dialogue import ProbeResult
from kernelbal.health.checks.table import method_of
from kernelbal.health.schedule import Schedule
from kernelbal.model.event import Topic
from kernelbal.model.health import Health, ProbeState, Timing
from kernelbal.model.site.check import (
    DnsCheck,
    FtpCheck,
    HttpAgent,
    HttpCheck,
    HttpsCheck,
    IcmpCheck,
    ImapCheck,
    LdapCheck,
    NoCheck,
    Pop3Check,
    ProbeProtocol,
    RadiusCheck,
    RdpCheck,
    ScriptCheck,
    SmtpCheck,
    SshCheck,
    TcpCheck,
    TextAgent,
    TlsCheck,
    UdpCheck,
)
from kernelbal.runtime.checker.connect import ConnectDriver
from kernelbal.runtime.checker.datagram import DatagramRun
from kernelbal.runtime.checker.drivers import Drivers
from kernelbal.runtime.checker.echo import EchoDriver, EchoSocket
from kernelbal.runtime.checker.reactor import ProbeRun, ProbeTask, Reactor
from kernelbal.runtime.checker.script import ScriptDriver, ScriptRun
from kernelbal.runtime.checker.stream import StreamRun
from tests.unit.runtime.checker.desk import LIMIT_S, Desk, free_port, probe, serving

OWN_NAME = pwd.getpwuid(os.geteuid()).pw_name
DIES_AT = 110.0
SCRIPT = ScriptCheck(argv=("/bin/true",), user=OWN_NAME, allow_root=True)
STREAMS: tuple[ProbeProtocol, ...] = (
    TlsCheck(),
    HttpCheck(),
    HttpsCheck(),
    DnsCheck(query="example.net", transport="tcp"),
    SshCheck(),
    FtpCheck(),
    SmtpCheck(),
    ImapCheck(),
    Pop3Check(),
    LdapCheck(),
    RdpCheck(),
    HttpAgent(port=80, path="/load"),
    TextAgent(port=80),
)
DATAGRAMS: tuple[ProbeProtocol, ...] = (
    DnsCheck(query="example.net"),
    UdpCheck(send="x"),
    RadiusCheck(secret="secret"),
)
OFTEN = Timing(0.02, LIMIT_S, rise=1, fall=1)
"""On a busy machine a run may take long, and must not time out instead."""
TIMES_OUT = Timing(0.02, 0.1, rise=1, fall=1)
RUNS = 10
"""So many runs with an error leave more than a few descriptors, if they leave any."""
CALLS: tuple[tuple[type, str, tuple[ProbeProtocol, ...]], ...] = (
    (Drivers, "_pass", (NoCheck(),)),
    (ConnectDriver, "start", (TcpCheck(),)),
    (ConnectDriver, "_inspect", (TcpCheck(),)),
    (StreamRun, "connect", STREAMS),
    (StreamRun, "_connected", STREAMS),
    (StreamRun, "_ready", (SshCheck(),)),
    (StreamRun, "expire", (SshCheck(),)),
    (DatagramRun, "begin", DATAGRAMS),
    (DatagramRun, "_ready", DATAGRAMS),
    (EchoDriver, "start", (IcmpCheck(),)),
    (EchoSocket, "_match", (IcmpCheck(),)),
    (ScriptDriver, "start", (SCRIPT,)),
    (ScriptRun, "_ended", (SCRIPT,)),
)


def refusing(
    original: Callable[..., object], kinds: tuple[type[ProbeProtocol], ...]
) -> Callable[..., object]:
    """Return a method that raises for probes of some kinds and works for all others."""

    def call(self: object, *arguments: object) -> object:
        inner = [part for many in arguments if isinstance(many, tuple) for part in many]
        for each in (self, *arguments, *inner):
            task = each.task if isinstance(each, ProbeRun) else each
            if isinstance(task, ProbeTask) and isinstance(task.probe.protocol, kinds):
                raise RuntimeError("odd reply")
        return original(self, *arguments)

    return call


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """A server that begins to greet as SSH does, and then says nothing."""

    def greet(connection: socket.socket) -> None:
        connection.sendall(b"SSH")
        connection.recv(1)

    with serving(greet) as port:
        yield port


@pytest.fixture(autouse=True)
def frequent_reports(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kernelbal.runtime.checker.outbox.EVERY_S", 0.02)


def task(key: str, timing: Timing) -> ProbeTask:
    expected = probe(TcpCheck(), 80, key=key, timing=timing)
    return ProbeTask(expected, method_of(expected), ProbeState())


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.parametrize(
    ("owner", "call", "protocols"), CALLS, ids=[f"{owner.__name__}.{call}" for owner, call, _ in CALLS]
)
def test_an_error_fails_its_own_probe_and_frees_what_it_held(
    owner: type, call: str, protocols: tuple[ProbeProtocol, ...], port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    kinds = tuple({type(protocol) for protocol in protocols})
    monkeypatch.setattr(owner, call, refusing(getattr(owner, call), kinds))
    at = 0 if protocols[0].kind in ("icmp", "none") else port
    timing = TIMES_OUT if call == "expire" else OFTEN
    odd = [probe(each, at, key=f"odd{n}", timing=timing) for n, each in enumerate(protocols)]
    good = probe(UdpCheck(send="x", expect="y"), free_port(), key="good", timing=OFTEN)
    if isinstance(protocols[0], UdpCheck | DnsCheck):
        good = probe(TcpCheck(), free_port(), key="good", timing=OFTEN)
    with Desk() as desk:
        desk.send(*odd, good)
        desk.until(lambda: len(desk.states) == len(odd) + 1)
        held = descriptors()
        seen = len(desk.reports)
        desk.until(lambda: sum(odd[0].key in report.states for report in desk.reports[seen:]) >= RUNS)
        desk.until(lambda: descriptors() <= held + 2)
    for each in odd:
        state = desk.states[each.key]
        assert (state.health, state.reason) == (Health.DOWN, "error in the check: RuntimeError: odd reply")
    assert {notice.topic for notice in desk.notices} == {Topic.CHECKER_ERROR}
    assert {notice.message.split()[1] for notice in desk.notices} == {each.kind for each in protocols}
    assert len(desk.notices) == len(odd), "one for each probe"
    assert desk.states["good"].reason in ("port unreachable", "connection refused")


def test_an_echo_message_that_cannot_be_read_is_nobodys_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreadable(*_: object) -> None:
        raise RuntimeError("odd message")

    monkeypatch.setattr("kernelbal.runtime.checker.echo.read_echo", unreadable)
    with Desk() as desk:
        assert desk.result(probe(IcmpCheck())).reason.startswith("timeout")
    assert [notice.message for notice in desk.notices] == [
        "a reply: error in the check: RuntimeError: odd message"
    ]


# Its socket is closed by its last reference, which Python warns of.
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_run_that_cannot_be_closed_is_let_go(monkeypatch: pytest.MonkeyPatch, port: int) -> None:
    def refuse(*_: object) -> None:
        raise RuntimeError("odd end")

    monkeypatch.setattr(StreamRun, "close", refuse)
    with Desk() as desk:
        desk.send(probe(SshCheck(), port, timing=TIMES_OUT))
        desk.until(lambda: "probe" in desk.states)
        held = descriptors()
        desk.until(lambda: sum("probe" in report.states for report in desk.reports) >= RUNS)
        desk.until(lambda: descriptors() <= held + 2)
    assert desk.states["probe"].reason == "error in the check: RuntimeError: odd end"


def test_999_others_are_found_down_as_fast_beside_errors(reactor: Reactor) -> None:
    """In virtual time: each runs in its slots, whatever 20 others raise in theirs."""
    timing = Timing(2.0, 0.5, 1, 3)

    def start(task: ProbeTask) -> None:
        if task.key.startswith("odd"):
            raise RuntimeError("odd reply")
        reactor.begin(run := ProbeRun(task, reactor.now))
        reactor.finish(run, ProbeResult(reactor.now < DIES_AT, "connection refused"), None)

    def detected(odd: int) -> dict[str, float]:
        schedule = Schedule[ProbeTask](0.02)
        others = [task(f"k{n}", timing) for n in range(999)]
        for each in (tasks := [*others, *(task(f"odd{n}", timing) for n in range(odd))]):
            each.begin(100.0, len(tasks))
            schedule.plan(each)
        reactor.use_schedule(schedule)
        for tick in range(1000):
            reactor.now = 100.0 + tick * schedule.tick_s
            for each in schedule.due(reactor.now).entries:
                reactor.guard(each, start, each)
        return {each.key: each.state.since_at for each in others if each.state.health is Health.DOWN}

    beside = detected(odd=20)
    assert beside == pytest.approx(detected(odd=0), abs=timing.interval_s * 0.1)
    assert len(beside) == 999
    assert max(beside.values()) <= DIES_AT + timing.fall * timing.interval_s
