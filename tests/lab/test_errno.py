"""An error number at every call to the kernel is reported, the next run converges, and others lose nothing.

`KERNELBAL_EVERY_ERRNO=1` has each call end with each fault, which takes ten times as long.
"""

import os
import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from kernelbal.cli.exit_codes import ExitCode
from kernelbal.lab.factory import LabFactory
from tests.lab.test_kill import FOREIGN, FOREIGN_OF_SERVER, Director, RealServer
from tests.support.faulty_kernel import FAULTS, Fault, FaultyKernel
from tests.support.kill_points import Step, kinds
from tests.support.lab_commands import run_here
from tests.support.lab_kill import ALIVE, KilledMachine, Stage

pytestmark = [pytest.mark.needs_ipvs, pytest.mark.slow]

EACH = [(fault,) for fault in FAULTS] if os.environ.get("KERNELBAL_EVERY_ERRNO") == "1" else [FAULTS]
"""Faults of one telling: a call ends with one of them, in turn."""
REPORTED = (ExitCode.FAILED, ExitCode.UNAVAILABLE, ExitCode.PERMISSION)


@dataclass
class FaultyMachine(KilledMachine):
    """A machine whose kernel answers a command's call with an error number."""

    faults: tuple[Fault, ...] = FAULTS

    def _kill_once(self, number: int, stage: Stage, *, renames: bool) -> Step | None:
        kernel = FaultyKernel(number if stage.resume else ALIVE, self.faults[number * 7 % len(self.faults)])
        with kernel.at_work():
            done = run_here(self.host, stage.work)
        try:
            self._demand_theirs()
            if done.returncode:
                assert done.returncode in REPORTED, done
                assert kernel.met is not None, done
                assert re.search("^(FAIL|error:|cannot) ", done.stderr, re.MULTILINE), done
                assert stage.resume is not None
                stage.resume()
                self._demand_theirs()
            stage.check()
        except AssertionError as error:
            error.add_note(
                f"{stage.name}, call {number}: {kernel.met}, exit {done.returncode}\n{done.stderr}"
            )
            raise
        return kernel.met


@pytest.mark.parametrize("faults", EACH, ids=lambda faults: ", ".join(map(str, faults)))
def test_director(lab: LabFactory, tmp_path: Path, faults: tuple[Fault, ...]) -> None:
    at = Director(lab("two-arm"), tmp_path)
    with FaultyMachine(
        at.director, tmp_path / "state", FOREIGN, at.release, at.line("plan", "first"), faults=faults
    ) as machine:
        met = machine.kill_everywhere(at.story())
    assert len(met) > 200, kinds(met)


@pytest.mark.parametrize("faults", EACH, ids=lambda faults: ", ".join(map(str, faults)))
def test_realserver(lab: LabFactory, tmp_path: Path, faults: tuple[Fault, ...]) -> None:
    at = RealServer(lab("one-arm").real_servers[0], tmp_path)
    rehearsal = at.line("plan", "10.0.0.80")
    with FaultyMachine(
        at.host, tmp_path / "state", FOREIGN_OF_SERVER, at.release, rehearsal, faults=faults
    ) as machine:
        met = machine.kill_everywhere(at.story())
    assert len(met) > 100, kinds(met)
