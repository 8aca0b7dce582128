"""`make bench-apply`, `make bench-health`: a table, and one JSON object as the last line."""

import json
from collections.abc import Callable, Sequence

import pytest

from bench import outside
from bench.__main__ import app
from bench.apply.samples import Measure, Sample
from bench.apply.workload import MAX_SERVICES
from bench.health.samples import Contender, HealthSample
from kernelbal.cli.app import run
from kernelbal.lab.backends import choose
from tests.support.fake_backend import FakeBackend

SECONDS = {
    Measure.NETLINK_PROGRAM: 0.3,
    Measure.NETLINK_READ: 0.2,
    Measure.IPVSADM_RESTORE: 10.0,
    Measure.IPVSADM_SAVE: 1.0,
    Measure.KEEPALIVED_START: 3.0,
    Measure.APPLY: 4.0,
    Measure.APPLY_CHANGE_ONE: 2.0,
}
Bench = Callable[..., int]


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    """Run the command with made-up measurements."""

    def start(*options: str, fault: str = "", help_s: float = 0.1) -> int:
        def measure(backend: object, services: Sequence[int], repeats: int) -> tuple[Sample, ...]:
            return tuple(
                Sample(kind, size, repeat, wall_s * size / 10000, wall_s, 200.0, fault)
                for size in services
                for repeat in range(1, repeats + 1)
                for kind, wall_s in SECONDS.items()
            )

        monkeypatch.setattr(choose, "choose", lambda wanted: FakeBackend("uml"))
        monkeypatch.setattr(outside, "measure", measure)
        monkeypatch.setattr(
            outside, "measure_help", lambda n: [Sample(Measure.HELP, 0, i + 1, help_s) for i in range(n)]
        )
        return run(["apply", *options], app)

    return start


def test_the_last_line_is_one_json_object(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench() == 0
    lines = capsys.readouterr().out.splitlines()
    document = json.loads(lines[-1])
    assert document.pop("medians_s") == {"help": 0.1, **{kind.value: s for kind, s in SECONDS.items()}}
    assert document == {
        "real_servers": 100000,
        "repeats": 5,
        "netlink_vs_keepalived": 0.1,
        "netlink_vs_ipvsadm": 0.03,
        "apply_vs_ipvsadm": 0.4,
        "change_one_vs_ipvsadm": 0.2,
        "peak_rss_mb": 200.0,
        "help_ms": 100.0,
    }
    assert len(lines) == 1 + 1 + 7 + 7 + 1


def test_the_table_in_a_pipe(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench("--services", "1000", "--repeat", "1") == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()[:-1]]
    assert rows[1] == ["-", "help", *["0.100"] * 3, "1.00", "-", "-"]
    assert rows[4] == ["10,000", "ipvsadm", "restore", *["1.000"] * 3, "1.00", "10.00", "200"]


def test_check_fails_when_a_target_is_missed(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench("--check") == 0
    assert bench("--check", help_s=0.151) == 1
    assert "FAIL help_ms: 151, at most 150 wanted" in capsys.readouterr().err
    assert bench(help_s=0.151) == 0


def test_a_contender_that_failed_fails_the_run(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench("--services", "1000", fault="services and real servers are (1, 1)") == 1
    captured = capsys.readouterr()
    assert "FAIL apply: services and real servers are (1, 1)" in captured.err
    document = json.loads(captured.out.splitlines()[-1])
    assert document["apply_vs_ipvsadm"] is None
    assert document["medians_s"]["apply"] is None


@pytest.mark.parametrize("services", ["0", str(MAX_SERVICES + 1), "many"])
def test_sizes_that_cannot_be(bench: Bench, services: str) -> None:
    assert bench("--services", services) == 64


def test_the_largest_size_can_be(bench: Bench) -> None:
    assert bench("--services", str(MAX_SERVICES)) == 0


def health_samples(targets: Sequence[int], repeats: int, ours_s: float) -> tuple[HealthSample, ...]:
    return tuple(
        HealthSample(contender, size, repeat, 20.0, size, cost_s * size, director_s, late_s, 30.0)
        for size in targets
        for repeat in range(1, repeats + 1)
        for contender, cost_s, director_s, late_s in (
            (Contender.KEEPALIVED, 0.0004, None, None),
            (Contender.KERNELBAL, ours_s, 0.01 * size / 1000, 0.004),
        )
    )


@pytest.mark.parametrize(("ours_s", "status"), [(0.0001, 0), (0.00036, 1)])
def test_health_checks(
    ours_s: float, status: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(choose, "choose", lambda wanted: FakeBackend("uml"))
    monkeypatch.setattr(
        outside, "measure_health", lambda _, targets, repeat, __: health_samples(targets, repeat, ours_s)
    )
    assert run(["health", "--check"], app) == status
    captured = capsys.readouterr()
    lines = captured.out.splitlines()
    assert json.loads(lines[-1]) == {
        "repeats": 3,
        "cpu_vs_keepalived_1000": round(ours_s / 0.0004, 4),
        "cpu_vs_keepalived_5000": round(ours_s / 0.0004, 4),
        "late_p99_ms": 4.0,
        "cpu_s_per_1000": {
            "keepalived_1000": 0.4,
            "kernelbal_1000": round(ours_s * 1000, 4),
            "keepalived_5000": 0.4,
            "kernelbal_5000": round(ours_s * 1000, 4),
        },
    }
    row = f"1,000 keepalived 3,000 {'0.4000 ' * 3}- - 30"
    assert lines[1].split() == row.split()
    assert captured.err.count("FAIL cpu_vs_keepalived") == 2 * status
