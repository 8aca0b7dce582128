"""The checker as a whole, at work on loopback."""

import os
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from kernelbal.model.address import Address
from kernelbal.model.event import Topic
from kernelbal.model.health import Health, Probe, ProbeState, Timing
from kernelbal.model.site.check import DnsCheck, HttpCheck, NoCheck, TcpCheck
from kernelbal.runtime.checker.loop import LATE_WINDOW_S, Lateness
from kernelbal.runtime.checker.wire import CheckerReport
from tests.support.checker_link import CheckerLink
from tests.unit.runtime.checker.desk import LIMIT_S, Desk, free_port, probe, serving

FEW_DESCRIPTORS = 24


class Child:
    """A checker that is a process of its own, as in the daemon."""

    def __init__(self) -> None:
        self.ours, theirs = socket.socketpair()
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "kernelbal.runtime.checker", f"--fd={theirs.fileno()}"],
                pass_fds=(theirs.fileno(),),
            )
        self.ours.settimeout(LIMIT_S)
        self._link = CheckerLink(self.ours)

    def send(self, *probes: Probe) -> None:
        self._link.send({each.key: each for each in probes})

    def reports(self) -> Iterator[CheckerReport]:
        return self._link.reports()

    def end(self) -> int:
        self.ours.close()
        return self.process.wait(LIMIT_S)


@pytest.fixture
def child() -> Iterator[Child]:
    started = Child()
    yield started
    started.end()


def many(port: int, count: int, timing: Timing) -> list[Probe]:
    """Return probes of one listener by many addresses."""
    return [
        probe(
            TcpCheck(),
            port,
            key=f"k{n}",
            timing=timing,
            address=Address(bytes((127, 2, n // 250, n % 250 + 1))),
        )
        for n in range(count)
    ]


def test_a_change_is_reported_at_once_and_everything_else_once_a_second() -> None:
    with serving(lambda connection: None) as port, Desk() as desk:
        began_at = time.monotonic()
        desk.result(probe(TcpCheck(), port, timing=Timing(0.1, 0.1)))
        assert time.monotonic() - began_at < 0.5
        before = len(desk.reports)
        desk.until(lambda: time.monotonic() - began_at > 2.2)
        assert 1 <= len(desk.reports) - before <= 3
        last = desk.reports[-1].states["probe"].last_at
        assert last is not None
        assert desk.reports[-1].at - last < 0.5, "the state was brought up to date"


def test_servers_that_fail_in_the_same_tick_are_one_report() -> None:
    with Desk() as desk:
        timing = Timing(1.0, 0.5, 1, 1)
        probes = many(free_port(), 400, timing)
        desk.send(*probes)
        desk.until(lambda: len(desk.states) == 400)
    reports = [report for report in desk.reports if report.states]
    assert len(reports) < 60, "one for each tick of the 0.4 s over which new probes are spread, at most"
    assert {state.reason for state in desk.states.values()} == {"connection refused"}


def test_no_check_is_always_up() -> None:
    with Desk() as desk:
        assert desk.result(probe(NoCheck())).health is Health.UP


def test_a_state_is_taken_over_and_counted_on() -> None:
    timing = Timing(0.1, 0.1, rise=1, fall=3)
    old = ProbeState(Health.UP, since_at=5.0, streak=1)
    with Desk() as desk:
        desk.send(probe(TcpCheck(), free_port(), timing=timing), states={"probe": old})
        desk.until(lambda: "probe" in desk.states and desk.states["probe"].health is Health.DOWN)
    seen = [report.states["probe"].streak for report in desk.reports if "probe" in report.states]
    assert len(seen) <= 3


def test_a_probe_that_stays_keeps_its_state_when_others_come_and_go() -> None:
    with serving(lambda connection: None) as port, Desk() as desk:
        stays = probe(TcpCheck(), port, key="stays")
        since_at = desk.result(stays).since_at
        desk.send(stays, probe(TcpCheck(), port, key="comes"), states={"stays": ProbeState(Health.DOWN, 1.0)})
        desk.until(lambda: "comes" in desk.states)
        desk.send(stays)
        desk.until(lambda: desk.reports[-1].probes == 1)
        desk.states.clear()
        desk.until(lambda: "stays" in desk.states)
        assert desk.states["stays"].since_at == since_at
        assert "comes" not in desk.states


def test_an_invalid_check_is_reported() -> None:
    with Desk() as desk:
        desk.send(probe(DnsCheck(query="a" * 70 + ".example"), 53))
        desk.until(lambda: bool(desk.notices) and "probe" in desk.states)
    assert desk.notices[0].topic is Topic.CHECKER_UNABLE
    assert desk.states["probe"].health is Health.UNKNOWN
    assert desk.states["probe"].unable.startswith("invalid check: ")


def test_out_of_descriptors_nothing_counts_one_notice_is_sent_and_it_resumes_by_itself(child: Child) -> None:
    limit = resource.prlimit(child.process.pid, resource.RLIMIT_NOFILE)
    with socket.socket() as silent, serving(lambda connection: None) as port:
        silent.bind(("127.0.0.1", 0))
        silent.listen(64)
        hogs = [
            probe(HttpCheck(), silent.getsockname()[1], key=f"hog{n}", timing=Timing(0.8, 0.4, 1, 1))
            for n in range(FEW_DESCRIPTORS)
        ]
        child.send()
        reports = child.reports()
        next(reports)
        resource.prlimit(child.process.pid, resource.RLIMIT_NOFILE, (FEW_DESCRIPTORS, FEW_DESCRIPTORS))
        child.send(*hogs, probe(TcpCheck(), port, key="good", timing=Timing(0.3, 0.2, 1, 1)))
        notices, good = [], 0
        for report in reports:
            notices += report.notices
            good += report.states.get("good", ProbeState()).health is Health.UP
            reasons = {state.reason for state in report.states.values()}
            assert all(not reason or reason.startswith(("timeout", "not probed")) for reason in reasons)
            if notices and good >= 2:
                break
    assert limit[0] > FEW_DESCRIPTORS
    (notice,) = notices
    assert notice.topic is Topic.CHECKER_STARVED
    assert notice.message == "out of file descriptors: probes skipped, states unchanged"


def test_after_a_pause_nothing_is_down_and_nothing_bursts(child: Child) -> None:
    with serving(lambda connection: None, "0.0.0.0") as port:
        probes = many(port, 50, Timing(0.4, 0.2, 1, 1))
        child.send(*probes)
        reports = child.reports()
        seen: dict[str, ProbeState] = {}
        while len(seen) < 50:
            seen.update(next(reports).states)
        os.kill(child.process.pid, signal.SIGSTOP)
        time.sleep(1.3)
        os.kill(child.process.pid, signal.SIGCONT)
        began_at = time.clock_gettime(time.CLOCK_BOOTTIME)
        for report in reports:
            assert {state.health for state in report.states.values()} <= {Health.UP}
            if report.at > began_at + 1.1:
                break


def test_it_ends_when_the_director_closes_the_connection(child: Child) -> None:
    child.send(probe(TcpCheck(), free_port()))
    next(child.reports())
    assert child.end() == 0


def test_it_ends_at_what_it_cannot_read(capfd: pytest.CaptureFixture[str]) -> None:
    child = Child()
    child.ours.sendall(b"hello\n")
    assert child.process.wait(LIMIT_S) == 1
    child.end()
    assert "checker: its parent sent what cannot be read: JSON is malformed" in capfd.readouterr().err


def test_a_director_that_does_not_read_does_not_stop_it() -> None:
    with serving(lambda connection: None, "0.0.0.0") as port, Desk() as desk:
        desk.ours.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        probes = many(port, 200, Timing(0.1, 0.1))
        desk.send(*probes)
        time.sleep(1.5)
        desk.until(lambda: len(desk.states) == 200)
        desk.states.clear()
        desk.until(lambda: len(desk.states) == 200)
        newest = max(state.last_at or 0 for state in desk.states.values())
        assert desk.reports[-1].at - newest < 1.5


def test_lateness_is_that_of_99_in_100_over_a_window() -> None:
    lateness = Lateness()
    assert lateness.p99_s() == 0.0
    lateness.add(0.0, 5.0, 100)
    for tick in range(1, 11):
        lateness.add(LATE_WINDOW_S + tick / 100, 0.001 * tick, 100)
    assert lateness.p99_s() == pytest.approx(0.01)
    lateness.add(LATE_WINDOW_S + 1, 3.0, 5)
    assert lateness.p99_s() == pytest.approx(0.01), "5 of 1005 are less than 1 in 100"
    lateness.add(LATE_WINDOW_S + 1, 3.0, 10)
    assert lateness.p99_s() == pytest.approx(3.0)
