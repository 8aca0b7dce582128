"""Benchmarks are started, measured and shown."""

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from bench import keepalived, outside
from bench.__main__ import app
from bench.apply.samples import Measure, Sample
from bench.apply.verdict import TARGETS as APPLY_TARGETS
from bench.apply.workload import MAX_SERVICES
from bench.health.samples import Contender, HealthSample
from bench.health.verdict import TARGETS as HEALTH_TARGETS
from bench.keepalived import command, running_keepalived
from bench.measured import family_of, run_measured
from bench.outside import measure, measure_health, measure_help
from bench.samples import Figures, decode, encode, missed
from kernelbal.cli.app import run
from kernelbal.lab.backends import choose
from kernelbal.lab.backends.base import GuestCommand
from kernelbal.lab.errors import GuestFailed, LabError
from tests.support.fake_backend import FakeBackend
from tests.unit.bench.apply.test_apply import WALL_S

# --- keepalived is started for its checker alone and ended with all its processes ---


def test_only_its_checker_runs_and_its_files_are_its_own(tmp_path: Path) -> None:
    argv = command(tmp_path)
    assert {"--check", "--dont-fork", "--no-syslog"} <= set(argv)
    assert sum(str(tmp_path) in word for word in argv) == 4


def test_it_ends_with_its_children_and_cannot_clear_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = f"trap 'touch {tmp_path}/cleared' TERM; sleep 60 & echo started; wait"
    monkeypatch.setattr(keepalived, "command", lambda _files: ["sh", "-c", text])
    with running_keepalived(tmp_path, tmp_path / "output") as started:
        give_up_at = time.monotonic() + 5
        while len(pids := family_of(started.pid).pids) < 2:
            assert time.monotonic() < give_up_at
            time.sleep(0.01)
    states = [subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True) for pid in pids]
    assert all(state.stdout.strip()[:1] in (b"", b"Z") for state in states)
    assert not (tmp_path / "cleared").exists()
    assert (tmp_path / "output").read_text() == "started\n"


# --- what a child process took is measured, and a program that does not end is ended ---


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def test_status_output_and_input(tmp_path: Path) -> None:
    given = tmp_path / "given"
    given.write_text("hello\n")
    output = tmp_path / "output"
    usage = run_measured(["sh", "-c", "cat; echo oops >&2; exit 3"], output, 10, given)
    assert usage.status == 3
    assert output.read_text() == "hello\noops\n"


def test_memory_of_the_child_and_not_of_earlier_ones(tmp_path: Path) -> None:
    # A process begins with the resident set of its parent, which is this test run: stay clear of that.
    mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024 + 64
    large = run_measured(
        python(f"b = bytearray({mib} << 20); b[::4096] = b'x' * len(b[::4096])"), tmp_path / "output", 30
    )
    small = run_measured(["true"], tmp_path / "output", 10)
    assert mib < large.peak_rss_mib < mib + 100
    assert small.peak_rss_mib < mib


def test_processor_time_is_no_more_than_real_time_of_one_thread(tmp_path: Path) -> None:
    usage = run_measured(python("sum(range(3_000_000))"), tmp_path / "output", 30)
    assert 0 < usage.cpu_s <= usage.wall_s + 0.05


def test_a_program_that_does_not_end_is_ended(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    with pytest.raises(LabError, match=r"did not end within 0\.3 s"):
        run_measured(["sh", "-c", f"echo $$ >{pid_file}; exec sleep 60"], tmp_path / "output", 0.3)
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid_file.read_text()), 0)


def test_a_program_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="cannot run /no/such"):
        run_measured(["/no/such"], tmp_path / "output", 1)


def test_a_family_is_a_process_and_its_children() -> None:
    with subprocess.Popen(
        ["sh", "-c", "sleep 60 & echo $!; wait"], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        found = family_of(parent.pid)
        os.kill(child, 9)
    assert found.pids == (parent.pid, child)
    assert found.peak_rss_mib > 0


def test_a_process_that_has_gone_has_no_family() -> None:
    gone = subprocess.Popen(["true"])
    gone.wait()
    assert family_of(gone.pid).pids == ()


# --- the benchmark is started in a back end, and what it measured is collected ---


APPLIED = Sample(Measure.APPLY, 10, 1, 1.5, 1.4, 50.0)
SAVED = Sample(Measure.IPVSADM_SAVE, 10, 1, 0.5, 0.4, 10.0)


def saying(text: str, status: int = 0) -> FakeBackend:
    """A back end whose guest says this and ends."""

    def work(command: GuestCommand, output: int) -> int:
        os.write(output, text.encode())
        return status

    return FakeBackend(work=work)


@pytest.fixture(autouse=True)
def everything_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outside, "NEEDED_PROGRAMS", ("sh",))


def test_samples_come_out() -> None:
    assert measure(saying(encode(APPLIED) + encode(SAVED)), [10], 1) == (APPLIED, SAVED)


def test_the_guest_measures_in_real_time_within_a_limit() -> None:
    backend = saying("")
    measure(backend, [1000, 10000], 5)
    (command,) = backend.commands
    assert command.argv[1:] == ("-m", "bench.apply", "--repeat=5", "1000", "10000")
    assert not command.virtual_time
    assert command.timeout_s is not None
    assert 600 < command.timeout_s < 3600


def test_a_guest_that_breaks_off_gives_no_figures() -> None:
    with pytest.raises(GuestFailed, match="exit status 1"):
        measure(saying(encode(APPLIED), status=1), [10], 1)


def test_programs_that_are_not_installed_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outside, "NEEDED_PROGRAMS", ("sh", "no-such-program", "nor-this"))
    backend = saying("")
    with pytest.raises(LabError, match="no-such-program, nor-this"):
        measure(backend, [10], 1)
    assert backend.commands == []


def test_help_is_timed_after_a_first_run() -> None:
    samples = list(measure_help(2))
    assert [(s.measure, s.services, s.repeat, s.fault) for s in samples] == [
        (Measure.HELP, 0, 1, ""),
        (Measure.HELP, 0, 2, ""),
    ]
    assert all(sample.wall_s > 0 for sample in samples)


def test_health_checks_are_measured_in_real_time_within_a_limit() -> None:
    sample = HealthSample(Contender.KERNELBAL, 1000, 1, 20.0, 4000, 0.4, 0.01, 0.002, 30.0)
    backend = saying(encode(sample))
    assert measure_health(backend, [1000, 5000], 3, 20.0) == (sample,)
    (command,) = backend.commands
    options = ("--repeat=3", "--seconds=20.0", "1000", "5000")
    assert command.argv[1:] == ("-m", "bench.health", *options)
    assert not command.virtual_time
    assert command.timeout_s is not None
    assert 240 < command.timeout_s < 3600


# --- `make bench-apply`, `make bench-health`: a table, and one JSON object as the last line ---


Bench = Callable[..., int]


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    """Run the command with made-up measurements."""

    def start(*options: str, fault: str = "", help_s: float = 0.1) -> int:
        def measure(backend: object, services: Sequence[int], repeats: int) -> tuple[Sample, ...]:
            return tuple(
                Sample(kind, size, repeat, wall_s * size / 10000, wall_s, 150.0, fault)
                for size in services
                for repeat in range(1, repeats + 1)
                for kind, wall_s in WALL_S.items()
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
    assert document.pop("medians_s") == {"help": 0.1, **{kind.value: s for kind, s in WALL_S.items()}}
    assert document == {
        "real_servers": 100000,
        "repeats": 5,
        "netlink_vs_keepalived": 0.1,
        "netlink_vs_ipvsadm": 0.03,
        "apply_vs_ipvsadm": 0.4,
        "change_one_vs_ipvsadm": 0.2,
        "peak_rss_mb": 150.0,
        "help_ms": 100.0,
    }
    assert len(lines) == 1 + 1 + 7 + 7 + 1


def test_the_table_in_a_pipe(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench("--services", "1000", "--repeat", "1") == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()[:-1]]
    assert rows[1] == ["-", "help", *["0.100"] * 3, "1.00", "-", "-"]
    assert rows[4] == ["10,000", "ipvsadm", "restore", *["1.000"] * 3, "1.00", "10.00", "150"]


def test_check_fails_when_a_target_is_missed(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench("--check") == 0
    assert bench("--check", help_s=0.151) == 1
    assert "FAIL help_ms: 151, at most 150 allowed" in capsys.readouterr().err
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


# --- samples and figures ---

SAMPLES = [
    Sample(Measure.APPLY, 1000, 2, 1.25, 1.0, 52.5),
    Sample(Measure.KEEPALIVED_START, 10, 1, 0.5, None, None, "exit status 1: no \u201cfile\u201d\nend"),
    HealthSample(Contender.KEEPALIVED, 1000, 1, 20.0, 4000, 1.2),
    HealthSample(Contender.KERNELBAL, 5000, 2, 20.0, 20000, 2.0, 0.2, 0.01, 40.0, "1 of 2 targets are up"),
]


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample[0].value)
def test_a_sample_comes_back_as_it_was(sample: Sample | HealthSample) -> None:
    line = encode(sample)
    assert line.count("\n") == 1
    assert decode(type(sample), line) == sample


@pytest.mark.parametrize(
    "line", ["", "Traceback (most recent call last):", "[]", '["apply", 1, 1, "x", 1, 1, ""]', '["apply"]']
)
def test_what_is_no_sample_is_quoted(line: str) -> None:
    with pytest.raises(GuestFailed) as caught:
        decode(Sample, line)
    assert repr(line) in caught.value.message


@pytest.mark.parametrize("targets", [APPLY_TARGETS, HEALTH_TARGETS], ids=["apply", "health"])
def test_each_target_can_be_missed(targets: Figures) -> None:
    limits = {name: limit for name, limit in targets._asdict().items() if limit is not None}
    assert missed(targets, targets) == ()
    for name, limit in limits.items():
        for value in (limit * 1.01, None):
            (line,) = missed(targets._replace(**{name: value}), targets)
            assert line.startswith(f"{name}: ")
            assert line.endswith(f"at most {limit:g} allowed")
