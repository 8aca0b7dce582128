"""Probes run once, by the real checker, against loopback."""

import socket
import sys
from collections.abc import Iterator
from dataclasses import replace

import pytest

from kernelbal.errors import KernelError
from kernelbal.model.address import parse_address
from kernelbal.model.health import Health, Probe, Target, Timing
from kernelbal.model.site.check import TcpCheck
from kernelbal.runtime.verify.probing import probe_once

LOOPBACK = parse_address("127.0.0.1")


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as made:
        yield made


def probe(key: str, port: int) -> Probe:
    return Probe(key, TcpCheck(), Target(LOOPBACK, port, "127.0.0.1", LOOPBACK), Timing(0.5, 0.2, 1, 1))


def closed_port() -> int:
    with socket.socket() as made:
        made.bind(("127.0.0.1", 0))
        return int(made.getsockname()[1])


def test_each_probe_has_its_result(listener: socket.socket) -> None:
    steps: list[tuple[int, int]] = []
    probes = {"a": probe("a", listener.getsockname()[1]), "b": probe("b", closed_port())}
    states = probe_once(probes, lambda done, total: steps.append((done, total)))
    assert (states["a"].health, states["a"].reason) == (Health.UP, "")
    assert (states["b"].health, states["b"].reason) == (Health.DOWN, "connection refused")
    assert steps[-1] == (2, 2)


def test_a_failure_has_a_second_try(listener: socket.socket) -> None:
    """A checker that says `down` once and then `up`."""
    script = (
        "import socket, sys\n"
        "from kernelbal.runtime.checker.wire import *\n"
        "from kernelbal.model.health import *\n"
        "s = socket.socket(fileno=int(sys.argv[-1].partition('=')[2]))\n"
        "for at, health in ((1.0, Health.DOWN), (2.0, Health.UP)):\n"
        "    state = ProbeState(health, at, '', at)\n"
        "    report = CheckerReport(at, {'a': state})\n"
        "    [s.sendall(REPORT_PAGES.encode(p) + b'\\n') for p in report_pages(report)]\n"
        "s.recv(1 << 20); s.recv(1)"
    )
    states = probe_once({"a": probe("a", 1)}, command=(sys.executable, "-c", script))
    assert states["a"].health is Health.UP


def test_nothing_to_probe_starts_nothing() -> None:
    assert probe_once({}, command=("/no/such/program",)) == {}


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (("/no/such/program",), "cannot be started"),
        ((sys.executable, "-c", "pass"), "the checker ended"),
        (
            (
                sys.executable,
                "-c",
                "import socket, sys; s = socket.socket(fileno=int(sys.argv[-1].partition('=')[2])); "
                "s.sendall(b'nonsense\\n'); s.recv(1 << 20); s.recv(1)",
            ),
            "JSON is malformed",
        ),
    ],
)
def test_a_checker_that_is_lost_is_told(command: tuple[str, ...], message: str) -> None:
    with pytest.raises(KernelError, match=message):
        probe_once({"a": probe("a", 1)}, command=command)


def test_a_checker_without_results_leaves_them_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kernelbal.runtime.verify.probing.SPARE_S", 0.0)
    monkeypatch.setattr("kernelbal.runtime.verify.probing.PROGRESS_S", 0.05)
    quick = replace(probe("a", 1), timing=Timing(0.05, 0.05, 1, 1))
    script = (
        "import socket, sys; s = socket.socket(fileno=int(sys.argv[-1].partition('=')[2]))\n"
        "while s.recv(9): pass"
    )
    states = probe_once({"a": quick}, command=(sys.executable, "-c", script))
    assert states["a"].health is Health.UNKNOWN
