"""Probes run once, by the real checker, against loopback."""

import sys

import pytest

from kernelbal.errors import KernelError
from kernelbal.model.health import Health, Probe, Timing
from kernelbal.model.site.check import TcpCheck
from kernelbal.runtime.verify.probing import probe_once
from tests.unit.runtime.checker.desk import free_port, serving
from tests.unit.runtime.checker.desk import probe as probe_of

CHILD = "import socket, sys; s = socket.socket(fileno=int(sys.argv[-2].partition('=')[2]))\n"
"""How a program that stands for the checker begins."""


def probe(key: str, port: int, timing: Timing = Timing(0.5, 0.2, 1, 1)) -> Probe:  # noqa: B008 - constant
    return probe_of(TcpCheck(), port, key=key, timing=timing)


def python(text: str) -> tuple[str, ...]:
    return (sys.executable, "-c", text)


def test_each_probe_has_its_result() -> None:
    steps: list[tuple[int, int]] = []
    with serving(lambda connection: None) as port:
        probes = {"a": probe("a", port), "b": probe("b", free_port())}
        states = probe_once(probes, lambda done, total: steps.append((done, total)))
    assert (states["a"].health, states["a"].reason) == (Health.UP, "")
    assert (states["b"].health, states["b"].reason) == (Health.DOWN, "connection refused")
    assert steps[-1] == (2, 2)


def test_a_failure_has_a_second_try() -> None:
    """A checker that says `down` once and then `up`."""
    script = (
        "from kernelbal.runtime.checker.wire import *\n"
        "from kernelbal.model.health import *\n"
        "for at, health in ((1.0, Health.DOWN), (2.0, Health.UP)):\n"
        "    state = ProbeState(health, at, '', at)\n"
        "    report = CheckerReport(at, {'a': state})\n"
        "    [s.sendall(REPORT_PAGES.encode(p) + b'\\n') for p in report_pages(report)]\n"
        "s.recv(1 << 20); s.recv(1)"
    )
    states = probe_once({"a": probe("a", 1)}, command=python(CHILD + script))
    assert states["a"].health is Health.UP


def test_nothing_to_probe_starts_nothing() -> None:
    assert probe_once({}, command=("/no/such/program",)) == {}


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (("/no/such/program",), "cannot be started"),
        (python("pass"), "the checker ended"),
        (python(CHILD + "s.sendall(b'nonsense\\n'); s.recv(1 << 20); s.recv(1)"), "JSON is malformed"),
    ],
)
def test_a_checker_that_is_lost_is_told(command: tuple[str, ...], message: str) -> None:
    with pytest.raises(KernelError, match=message):
        probe_once({"a": probe("a", 1)}, command=command)


def test_a_checker_without_results_leaves_them_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kernelbal.runtime.verify.probing.SPARE_S", 0.0)
    monkeypatch.setattr("kernelbal.runtime.verify.probing.PROGRESS_S", 0.05)
    quick = probe("a", 1, Timing(0.05, 0.05, 1, 1))
    states = probe_once({"a": quick}, command=python(CHILD + "while s.recv(9): pass"))
    assert states["a"].health is Health.UNKNOWN
