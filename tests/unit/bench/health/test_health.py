"""The benchmark of health checks: its workload, processes, samples and figures."""

import json
import re
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bench.health.samples import Contender, HealthSample
from bench.health.verdict import TARGETS, HealthFigures, judge, rows_of
from bench.health.workload import INTERVAL_S, SERVERS_PER_SERVICE, keepalived_conf, probes
from bench.samples import missed
from kernelbal.model.address import format_address
from tests.unit.runtime.checker.desk import serving

# --- the director's side of the benchmark: a real checker, and what it found ---


def test_targets_come_up_and_the_checker_ends_with_it() -> None:
    with (
        serving(lambda connection: None, "0.0.0.0") as port,
        subprocess.Popen(
            [sys.executable, "-m", "bench.health.director", "5", str(port)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as started,
    ):
        assert started.stdin is not None
        assert started.stdout is not None
        give_up_at = time.monotonic() + 60
        while True:
            started.stdin.write("\n")
            started.stdin.flush()
            pid, late_s, up, lost = json.loads(started.stdout.readline())
            if up == 5:
                break
            assert time.monotonic() < give_up_at
            time.sleep(0.02)
        assert lost == 0
        assert late_s < 1
        assert pid != started.pid
        started.stdin.close()
        started.wait(10)
        assert not Path(f"/proc/{pid}").exists()


# --- the listener counts what it accepts ---


def test_connections_are_counted() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "bench.health.listener"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as started:
        assert started.stdin is not None
        assert started.stdout is not None
        port = int(started.stdout.readline())
        for number in range(1, 4):
            with socket.create_connection((f"127.1.0.{number}", port)) as connection:
                assert connection.recv(1) == b""
            started.stdin.write("\n")
            started.stdin.flush()
            assert int(started.stdout.readline()) == number
        started.stdin.close()
        assert started.wait(5) == 0


# --- samples of health checks as lines ---


SAMPLES = [
    HealthSample(Contender.KEEPALIVED, 1000, 1, 20.0, 4000, 1.2),
    HealthSample(Contender.KERNELBAL, 5000, 2, 20.0, 20000, 2.0, 0.2, 0.01, 40.0, "1 of 2 targets are up"),
]


def test_the_cost_of_a_thousand_checks() -> None:
    assert SAMPLES[0].cpu_s_per_1000 == pytest.approx(0.3)
    assert SAMPLES[0]._replace(checks=0).cpu_s_per_1000 == 0


# --- ratios between contenders, and targets ---


def samples(ours: float = 0.1, theirs: float = 0.4, fault: str = "") -> list[HealthSample]:
    """Three repeats of both contenders; the middle one is the median."""
    return [
        HealthSample(contender, targets, repeat, 20.0, 1000, cost * factor, director, late, 30.0, fault)
        for targets in (5000, 1000)
        for repeat, factor in enumerate((1.0, 0.5, 9.0), 1)
        for contender, cost, director, late in (
            (Contender.KERNELBAL, ours, 0.01, 0.001 * repeat),
            (Contender.KEEPALIVED, theirs, None, None),
        )
    ]


def test_rows_are_in_order_with_their_medians() -> None:
    rows = rows_of(samples())
    assert [(row.targets, row.contender.value) for row in rows] == [
        (1000, "keepalived"),
        (1000, "kernelbal"),
        (5000, "keepalived"),
        (5000, "kernelbal"),
    ]
    ours = rows[1]
    assert ours.cpu_s_per_1000 == pytest.approx(0.1)
    assert ours.spread_s == pytest.approx((0.05, 0.9))
    assert ours.director_s_per_1000 == pytest.approx(0.01)
    assert ours.late_p99_ms == pytest.approx(3)
    assert ours.checks == 3000
    assert (rows[0].director_s_per_1000, rows[0].late_p99_ms) == (None, None)


def test_a_contender_that_failed_gives_no_figure() -> None:
    verdict = judge(rows_of(samples(fault="too few checks")))
    assert verdict == HealthFigures(None, None, None)
    assert len(missed(verdict, TARGETS)) == 2


# --- both contenders check the same targets ---


def test_every_target_is_checked_once_by_each() -> None:
    wanted = probes(1234, 8080)
    ours = sorted(format_address(probe.target.address) for probe in wanted.values())
    text = keepalived_conf(1234, 8080)
    assert sorted(re.findall(r"real_server (\S+) 8080", text)) == ours
    assert len(set(ours)) == 1234
    assert text.count("TCP_CHECK") == 1234
    assert text.count("virtual_server ") == -(-1234 // SERVERS_PER_SERVICE)
    assert text.count("{") == text.count("}")
    assert all(address.startswith("127.1.") for address in ours)


def test_both_check_equally_often() -> None:
    assert {probe.timing.interval_s for probe in probes(3, 80).values()} == {INTERVAL_S}
    assert f"delay_loop {INTERVAL_S:g}\n" in keepalived_conf(3, 80)
