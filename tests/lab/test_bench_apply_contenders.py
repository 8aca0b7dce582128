"""The benchmark's contenders on a real kernel: each fills the table, and one that does not is found out."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.apply import contenders
from bench.apply.contenders import CONTENDERS, Contender, Trial, write_documents
from bench.apply.samples import Measure, Sample
from bench.apply.workload import Workload
from bench.place import fresh_namespace
from kernelbal.lab import process

pytestmark = [pytest.mark.needs_ipvs, pytest.mark.interop]

FEW = Workload(3)


@pytest.fixture
def trial(tmp_path: Path) -> Trial:
    write_documents(FEW, tmp_path)
    return Trial(FEW, 1, tmp_path)


def turn(contender: Contender, trial: Trial) -> list[Sample]:
    with fresh_namespace():
        return list(contender(trial))


def test_every_contender_fills_the_table(trial: Trial) -> None:
    samples = [sample for contender in CONTENDERS for sample in turn(contender, trial)]
    assert [sample.fault for sample in samples] == [""] * len(samples)
    assert {sample.measure for sample in samples} == set(Measure) - {Measure.HELP}


@pytest.mark.parametrize("contender", CONTENDERS)
def test_a_contender_that_does_less_is_a_failure(
    contender: Contender, trial: Trial, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its documents describe one service less than is expected; keepalived is waited for only so long."""
    monkeypatch.setattr(contenders, "PROGRAM_LIMIT_S", 5.0)
    expected = Trial(Workload(FEW.services + 1), 1, tmp_path)
    if contender is contenders.netlink_part:
        monkeypatch.setattr(contenders, "_count_fault", lambda _: "services and real servers are (1, 1)")
    assert any("services and real servers are (" in sample.fault for sample in turn(contender, expected))


def test_a_program_that_fails_gives_no_figure(trial: Trial) -> None:
    (trial.files / "site.yaml").write_text("virtual_services: 1\n")
    applied, _ = turn(contenders.kernelbal_apply, trial)
    assert applied.fault.startswith("exit status 78: ")


def test_a_weight_that_was_not_changed_is_found_out(trial: Trial) -> None:
    (trial.files / "changed.yaml").write_text((trial.files / "site.yaml").read_text())
    applied, changed = turn(contenders.kernelbal_apply, trial)
    assert applied.fault == ""
    assert "has weight ['71'], not 171" in changed.fault


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    """No contender leaves a process behind."""
    yield
    running = process.run(["pgrep", "-x", "keepalived"], check=False)
    assert running.stdout == ""
