"""`kernelbal confirm` and `kernelbal rollback`: keep or undo an `apply --confirm`."""

import errno
import subprocess

import pytest

from kernelbal.cli.confirm import POLL_S
from kernelbal.cli.exit_codes import ExitCode
from kernelbal.plan.actions import EditService
from tests.unit.cli.desk import SITE, WEB, Desk

LATER = SITE.replace("wlc", "rr")


@pytest.fixture
def unconfirmed(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """An apply of another scheduler, to be confirmed within 90 s."""
    monkeypatch.setattr(subprocess, "Popen", lambda *_, **__: None)
    desk.apply(SITE)
    desk.write(LATER)
    assert desk.say("apply", "--confirm", "90s").code == ExitCode.OK
    desk.kernel.performed.clear()
    return desk


def scheduler(desk: Desk) -> str:
    """What the kernel balances by."""
    return desk.kernel.services[WEB].attributes.scheduler


def test_confirm_keeps_the_changes(unconfirmed: Desk) -> None:
    assert unconfirmed.say("confirm") == (ExitCode.OK, "confirmed: the changes stay\n", "")
    assert unconfirmed.store.load_snapshot() is None
    assert (scheduler(unconfirmed), unconfirmed.kernel.performed) == ("rr", [])
    assert unconfirmed.say("apply").code == ExitCode.OK


def test_confirm_needs_no_kernel(unconfirmed: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Desk, "open", lambda _: pytest.fail("the kernel was opened"))
    assert unconfirmed.say("confirm").code == ExitCode.OK


def test_confirm_of_nothing_is_refused(desk: Desk) -> None:
    assert desk.say("confirm") == (
        ExitCode.FAILED,
        "",
        "error: nothing awaits confirmation\n  hint: `kernelbal plan` shows whether it was rolled back\n",
    )


def test_rollback_undoes_the_changes_at_once(unconfirmed: Desk) -> None:
    assert unconfirmed.say("rollback") == (ExitCode.OK, "rolled back with 1 change\n", "")
    assert (scheduler(unconfirmed), unconfirmed.now) == ("wlc", 1000)
    assert unconfirmed.store.load_snapshot() is None


def test_rollback_of_nothing_is_refused(desk: Desk) -> None:
    said = desk.say("rollback")
    assert (said.code, said.out, desk.kernel.performed) == (ExitCode.FAILED, "", [])
    assert said.err == (
        "error: there is nothing to roll back\n  hint: only `apply --confirm` can be rolled back\n"
    )


def test_rollback_of_a_first_apply_leaves_nothing(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocess, "Popen", lambda *_, **__: None)
    desk.say("apply", "--confirm", "90s")
    assert desk.say("rollback").code == ExitCode.OK
    assert desk.kernel.services == {}
    assert desk.kernel.addresses == {}
    assert desk.kernel.sysctls["net/ipv4/ip_forward"] == "0"


def test_rollback_that_fails_can_be_tried_again(unconfirmed: Desk) -> None:
    unconfirmed.refuse(EditService, errno.EBUSY)
    said = unconfirmed.say("rollback")
    assert (said.code, scheduler(unconfirmed)) == (ExitCode.FAILED, "rr")
    assert "not converged: this is not yet as it was before, 1 change left\n" in said.err
    assert "run `kernelbal rollback` again" in said.err
    unconfirmed.kernel.refuse = lambda _: 0
    assert unconfirmed.say("rollback").code == ExitCode.OK
    assert scheduler(unconfirmed) == "wlc"


# --- what the process does that `apply --confirm` leaves behind ---


def test_waiting_rollback_comes_when_the_time_is_over(unconfirmed: Desk) -> None:
    said = unconfirmed.say("rollback", "--wait")
    assert (said.code, unconfirmed.now, scheduler(unconfirmed)) == (ExitCode.OK, 1090, "wlc")


def test_waiting_rollback_ends_when_it_is_called_off(
    unconfirmed: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def confirm_meanwhile(seconds: float) -> None:
        unconfirmed.sleep(seconds)
        unconfirmed.store.discard_snapshot()

    monkeypatch.setattr("time.sleep", confirm_meanwhile)
    assert unconfirmed.say("rollback", "--wait") == (ExitCode.OK, "", "")
    assert (unconfirmed.now, scheduler(unconfirmed)) == (1000 + POLL_S, "rr")


def test_confirm_in_the_last_moment_wins(unconfirmed: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """The snapshot is read again under the lock, so what was confirmed is never rolled back."""
    opened = Desk.open

    def confirm_and_open(desk: Desk) -> object:
        desk.store.discard_snapshot()
        return opened(desk)

    monkeypatch.setattr(Desk, "open", confirm_and_open)
    monkeypatch.setattr("kernelbal.kernel.linux.LinuxKernel", unconfirmed.open)
    unconfirmed.sleep(90)
    assert unconfirmed.say("rollback", "--wait").code == ExitCode.FAILED
    assert scheduler(unconfirmed) == "rr"
