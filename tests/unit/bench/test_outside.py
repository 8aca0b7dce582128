"""The benchmark is started in a back end, and what it measured is collected."""

import os

import pytest

from bench import outside
from bench.apply.samples import Measure, Sample, encode
from bench.health.samples import Contender, HealthSample
from bench.health.samples import encode as encode_health
from bench.outside import measure, measure_health, measure_help
from kernelbal.lab.backends.base import GuestCommand
from kernelbal.lab.errors import GuestFailed, LabError
from tests.support.fake_backend import FakeBackend

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
    backend = saying(encode_health(sample))
    assert measure_health(backend, [1000, 5000], 3, 20.0) == (sample,)
    (command,) = backend.commands
    options = ("--repeat=3", "--seconds=20.0", "1000", "5000")
    assert command.argv[1:] == ("-m", "bench.health", *options)
    assert not command.virtual_time
    assert command.timeout_s is not None
    assert 240 < command.timeout_s < 3600
