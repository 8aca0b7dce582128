"""`kernelbal confirm` and `kernelbal rollback`: keep or undo an `apply --confirm`."""

import errno

import pytest

from kernelbal.cli.confirm import POLL_S
from kernelbal.cli.exit_codes import ExitCode
from kernelbal.model.ipvs import ServiceAttributes, VirtualServer
from kernelbal.plan.kinds.service_actions import EditService
from kernelbal.reconcile.round import Reconciler
from tests.support.cli_harness import SITE, WEB, DirectorCli

LATER = SITE.replace("wlc", "rr")
NOBODY_WATCHES = """\
LABEL: the last apply was neither confirmed nor rolled back, and the process that would roll it back has ended
  hint: keep it with `kernelbal confirm`, or undo it with `kernelbal rollback`
"""


@pytest.fixture
def unconfirmed(watched: DirectorCli) -> DirectorCli:
    """An apply of another scheduler, to be confirmed within 90 s."""
    watched.apply(SITE)
    watched.write(LATER)
    assert watched.run("apply", "--confirm", "90s").code == ExitCode.OK
    watched.kernel.performed.clear()
    return watched


def scheduler(cli: DirectorCli) -> str:
    """What the kernel balances by."""
    return cli.kernel.services[WEB].attributes.scheduler


def test_confirm_keeps_the_changes(unconfirmed: DirectorCli) -> None:
    assert unconfirmed.run("confirm") == (ExitCode.OK, "confirmed: the changes stay\n", "")
    assert unconfirmed.store.load_snapshot() is None
    assert (scheduler(unconfirmed), unconfirmed.kernel.performed) == ("rr", [])
    assert unconfirmed.run("apply").code == ExitCode.OK


def test_confirm_needs_no_kernel(unconfirmed: DirectorCli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DirectorCli, "open", lambda _: pytest.fail("the kernel was opened"))
    assert unconfirmed.run("confirm").code == ExitCode.OK


def test_confirm_of_nothing_is_refused(cli: DirectorCli) -> None:
    assert cli.run("confirm") == (
        ExitCode.FAILED,
        "",
        "error: nothing awaits confirmation\n  hint: `kernelbal plan` shows whether it was rolled back\n",
    )


def test_rollback_undoes_the_changes_at_once(unconfirmed: DirectorCli) -> None:
    assert unconfirmed.run("rollback") == (ExitCode.OK, "rolled back with 1 change\n", "")
    assert (scheduler(unconfirmed), unconfirmed.now) == ("wlc", 1000)
    assert unconfirmed.store.load_snapshot() is None


def test_rollback_of_nothing_is_refused(cli: DirectorCli) -> None:
    done = cli.run("rollback")
    assert (done.code, done.out, cli.kernel.performed) == (ExitCode.FAILED, "", [])
    assert done.err == (
        "error: there is nothing to roll back\n  hint: only `apply --confirm` can be rolled back\n"
    )


def test_rollback_of_a_first_apply_leaves_nothing(watched: DirectorCli) -> None:
    watched.run("apply", "--confirm", "90s")
    assert watched.run("rollback").code == ExitCode.OK
    assert watched.kernel.services == {}
    assert watched.kernel.addresses == {}
    assert watched.kernel.sysctls["net/ipv4/ip_forward"] == "0"


def test_rollback_that_fails_can_be_tried_again(unconfirmed: DirectorCli) -> None:
    unconfirmed.refuse(EditService, errno.EBUSY)
    done = unconfirmed.run("rollback")
    assert (done.code, scheduler(unconfirmed)) == (ExitCode.FAILED, "rr")
    assert "not converged: not rolled back completely, 1 change left\n" in done.err
    assert "run `kernelbal rollback` again" in done.err
    unconfirmed.kernel.refuse = lambda _: 0
    assert unconfirmed.run("rollback").code == ExitCode.OK
    assert scheduler(unconfirmed) == "wlc"


def test_rollback_that_is_killed_gives_adopted_services_back_at_the_next(
    watched: DirectorCli, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The snapshot goes last: without it nobody would know that the service is another's."""

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    theirs = VirtualServer(ServiceAttributes("rr", 0, 0, 32, ""))
    watched.kernel.services[WEB] = theirs
    assert watched.run("apply", "--confirm", "90s").code == ExitCode.OK
    with monkeypatch.context() as patch:
        patch.setattr(Reconciler, "disown", killed)
        watched.run("rollback")
    assert watched.run("rollback").code == ExitCode.OK
    assert watched.run("release").code == ExitCode.OK
    assert watched.kernel.services == {WEB: theirs}


# --- when the process ended that `apply --confirm` leaves behind ---


def test_next_apply_says_that_nobody_is_left_to_roll_back(unconfirmed: DirectorCli) -> None:
    assert unconfirmed.watcher is not None
    unconfirmed.watcher.kill()
    done = unconfirmed.run("apply")
    assert (done.code, unconfirmed.kernel.performed) == (ExitCode.FAILED, [])
    assert done.err == NOBODY_WATCHES.replace("LABEL", "error")
    assert unconfirmed.run("rollback").code == ExitCode.OK
    assert scheduler(unconfirmed) == "wlc"


def test_status_says_so_as_well(unconfirmed: DirectorCli) -> None:
    assert unconfirmed.watcher is not None
    waits = unconfirmed.run("status", "--kernel").err
    assert "warning: the last apply still awaits confirmation, 90 s left\n" in waits
    unconfirmed.watcher.kill()
    assert NOBODY_WATCHES.replace("LABEL", "warning") in unconfirmed.run("status", "--kernel").err
    unconfirmed.run("confirm")
    assert "last apply" not in unconfirmed.run("status", "--kernel").err


# --- what the process does that `apply --confirm` leaves behind ---


@pytest.fixture
def waiting(unconfirmed: DirectorCli) -> DirectorCli:
    """A director on which the next command is that process."""
    assert unconfirmed.watcher is not None
    unconfirmed.watcher.kill()
    return unconfirmed


def test_waiting_rollback_watches_until_its_end(
    waiting: DirectorCli, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def look(seconds: float) -> None:
        seen.append(waiting.store.watched)
        waiting.sleep(seconds)

    monkeypatch.setattr("time.sleep", look)
    waiting.run("rollback", "--wait")
    assert (set(seen), waiting.store.watched) == ({True}, False)


def test_waiting_rollback_comes_when_the_time_is_over(waiting: DirectorCli) -> None:
    done = waiting.run("rollback", "--wait")
    assert (done.code, waiting.now, scheduler(waiting)) == (ExitCode.OK, 1090, "wlc")


def test_waiting_rollback_ends_when_it_is_called_off(
    waiting: DirectorCli, monkeypatch: pytest.MonkeyPatch
) -> None:
    def confirm_meanwhile(seconds: float) -> None:
        waiting.sleep(seconds)
        waiting.store.discard_snapshot()

    monkeypatch.setattr("time.sleep", confirm_meanwhile)
    assert waiting.run("rollback", "--wait") == (ExitCode.OK, "", "")
    assert (waiting.now, scheduler(waiting)) == (1000 + POLL_S, "rr")


def test_confirm_in_the_last_moment_wins(waiting: DirectorCli, monkeypatch: pytest.MonkeyPatch) -> None:
    """The snapshot is read again under the lock, so what was confirmed is never rolled back."""
    opened = DirectorCli.open

    def confirm_and_open(cli: DirectorCli) -> object:
        cli.store.discard_snapshot()
        return opened(cli)

    monkeypatch.setattr(DirectorCli, "open", confirm_and_open)
    monkeypatch.setattr("kernelbal.kernel.linux.LinuxKernel", waiting.open)
    waiting.sleep(90)
    assert waiting.run("rollback", "--wait").code == ExitCode.FAILED
    assert scheduler(waiting) == "rr"
