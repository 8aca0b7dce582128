"""What is printed of a run that ended, either way."""

import pytest

from kernelbal.cli.realserver_view import print_conclusion, print_plan
from kernelbal.realserver.host import StepOutcome
from kernelbal.realserver.preparation import Method
from kernelbal.realserver.run import Prepared, Report
from kernelbal.realserver.setup import Record, Setup
from kernelbal.realserver.steps import Step, WriteFile
from tests.unit.realserver.samples import host, prepared

FILE = WriteFile("/etc/sysctl.d/x.conf", None, "a = 1\n\nb = 2\n")


def made(*steps: Step, method: Method = Method.LOOPBACK) -> Prepared:
    return Prepared((prepared(method=method),), Setup(), {}, host(), Record(), "unit", steps)


def test_contents_of_files_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    print_plan(made(FILE))
    assert capsys.readouterr().out == (
        "+ file /etc/sysctl.d/x.conf\n    a = 1\n\n    b = 2\n1 to add, 0 to change, 0 to remove\n"
    )


def test_failure_comes_with_its_remedy(capsys: pytest.CaptureFixture[str]) -> None:
    failed = StepOutcome(FILE, False, "the disk is full", "make room")
    print_conclusion(Report((failed,)), made(FILE), "apply")
    assert capsys.readouterr().err == (
        "FAIL file /etc/sysctl.d/x.conf: the disk is full\n  hint: make room\n"
        "nothing was changed: what had been done before the failure was taken back\n"
    )
    print_conclusion(Report((failed,), taken_back=False), made(FILE), "apply")
    assert "could not all be taken back" in capsys.readouterr().err


def test_partial_undo_says_that_others_stay(capsys: pytest.CaptureFixture[str]) -> None:
    print_conclusion(Report((StepOutcome(FILE, True),)), made(FILE), "undo")
    done = capsys.readouterr()
    assert (done.out, done.err) == ("applied 1 change; this host is prepared\n", "")
    print_conclusion(Report(()), made(), "apply")
    assert capsys.readouterr().out == ""


def test_note_about_every_port(capsys: pytest.CaptureFixture[str]) -> None:
    print_plan(made(method=Method.REDIRECT))
    assert "every port of the virtual address" in capsys.readouterr().err
