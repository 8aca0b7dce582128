"""Both contenders of the benchmark of health checks on a real kernel, and one that checks too little."""

from pathlib import Path

import pytest

from bench.health import contenders
from bench.health.contenders import CONTENDERS, Trial
from bench.health.samples import HealthSample
from bench.place import fresh_namespace

pytestmark = [pytest.mark.needs_ipvs, pytest.mark.interop]

TARGETS = 40
WINDOW_S = 20.0


def turn(contender: contenders.Contestant, trial: Trial) -> HealthSample:
    with fresh_namespace():
        return contender(trial)


@pytest.mark.parametrize("contender", CONTENDERS)
def test_a_contender_checks_every_target_every_five_seconds(
    contender: contenders.Contestant, tmp_path: Path
) -> None:
    sample = turn(contender, Trial(TARGETS, 1, WINDOW_S, tmp_path))
    assert sample.fault == ""
    assert sample.checks == pytest.approx(TARGETS * WINDOW_S / 5, rel=contenders.TOLERANCE)
    assert (sample.late_p99_s is None) == (sample.director_cpu_s is None)


def test_a_contender_that_checks_too_seldom_is_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contenders, "INTERVAL_S", 4.0)
    sample = turn(contenders.keepalived, Trial(TARGETS, 1, WINDOW_S, tmp_path))
    assert sample.fault.endswith("200 were due")
