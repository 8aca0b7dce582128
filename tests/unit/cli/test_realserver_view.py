"""What is printed of a run that ended, either way."""

import pytest

from kernelbal.cli.realserver_view import print_conclusion, print_plan
from kernelbal.plan.action import Action, Outcome, Result
from kernelbal.plan.kind import DesiredState, ObservedState, Ownership
from kernelbal.plan.kinds.files import WriteFile
from kernelbal.realserver.preparation import Method
from kernelbal.realserver.run import PreparedRun, RunReport
from kernelbal.realserver.setup import Record
from kernelbal.reconcile.round import PreparedRound
from tests.support.realserver_host import host, prepared
from tests.support.states import plan_of

FILE = WriteFile("/etc/sysctl.d/x.conf", None, "a = 1\n\nb = 2\n")


def made(*actions: Action, method: Method = Method.LOOPBACK) -> PreparedRun:
    made_round = PreparedRound(DesiredState(), ObservedState(), Ownership(), plan_of(*actions))
    return PreparedRun((prepared(method=method),), host(), Record(), "unit", made_round)


def test_contents_of_files_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    print_plan(made(FILE))
    assert capsys.readouterr().out == (
        "+ file /etc/sysctl.d/x.conf\n    a = 1\n\n    b = 2\n1 to add, 0 to change, 0 to remove\n"
    )


def test_failure_comes_with_its_remedy(capsys: pytest.CaptureFixture[str]) -> None:
    failed = Outcome(FILE, Result.FAILED, 0, "the disk is full", "make room")
    print_conclusion(RunReport((failed,), done=False), made(FILE), "apply")
    assert capsys.readouterr().err == (
        "FAIL file /etc/sysctl.d/x.conf: the disk is full\n  hint: make room\n"
        "nothing was changed: what had been done before the failure was taken back\n"
    )
    print_conclusion(RunReport((failed,), done=False, taken_back=False), made(FILE), "apply")
    assert "could not all be taken back" in capsys.readouterr().err


def test_partial_undo_says_that_others_stay(capsys: pytest.CaptureFixture[str]) -> None:
    print_conclusion(RunReport((Outcome(FILE, Result.DONE),)), made(FILE), "undo")
    done = capsys.readouterr()
    assert (done.out, done.err) == ("applied 1 change; this host is prepared\n", "")
    print_conclusion(RunReport(()), made(), "apply")
    assert capsys.readouterr().out == ""


def test_note_about_every_port(capsys: pytest.CaptureFixture[str]) -> None:
    print_plan(made(method=Method.REDIRECT))
    assert "every port of the virtual address" in capsys.readouterr().err
