"""Programs of the host that answer, fail, hang, or are not there."""

import pytest

from kernelbal.realserver.persist import programs
from kernelbal.realserver.persist.programs import answer, fault


def test_programs_that_fail_or_are_missing_have_no_answer() -> None:
    assert answer(("printf", "said")) == "said"
    assert answer(("sh", "-c", "echo said; exit 1")) == ""
    assert answer(("no-such-program",)) == ""


def test_a_fault_is_told_in_one_line_with_its_command(monkeypatch: pytest.MonkeyPatch) -> None:
    assert fault(("true",)) == ""
    assert fault(("false",)) == "`false` failed: exit code 1"
    assert fault(("no-such-program", "-x")) == "`no-such-program -x` failed: No such file or directory"
    said = fault(("sh", "-c", "printf 'Job failed.\\nSee the log.\\n' >&2; exit 1"))
    assert said.endswith("` failed: Job failed. See the log.")
    monkeypatch.setattr(programs, "CHANGE_LIMIT_S", 0.01)
    assert fault(("sleep", "5")) == "`sleep 5` failed: no end after 0.01 s"
