"""`kernelbal apply`: make the kernel match the site file, and prove it."""

import errno
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from kernelbal.cli import progress
from kernelbal.cli.exit_codes import ExitCode
from kernelbal.kernel.interface import Progress
from kernelbal.plan.actions import (
    Action,
    AddAddress,
    AddDestination,
    AddService,
    Outcome,
    QuiesceDestination,
    RemoveDestination,
    WriteSysctl,
)
from kernelbal.store.state import StateDirectory
from tests.support.fake_kernel import FakeKernel
from tests.unit.cli.desk import SITE, WEB, WITHOUT_SECOND, A, B, Desk, Said
from tests.unit.plan.samples import virtual, weighing

WANTED = {WEB: virtual((B, weighing(100)), (A, weighing(50)))}
LATER = SITE.replace("wlc", "rr")


class Processes:
    """Every process that was started instead of starting it."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.commands: list[list[str]] = []
        self.options: list[dict[str, Any]] = []
        self.performed_before: list[int] = []
        self.snapshot_before: list[bool] = []
        self.error: OSError | None = None

    def start(self, command: list[str], **options: Any) -> None:  # noqa: ANN401 (as Popen takes them)
        """Stand in for `subprocess.Popen`."""
        if self.error is not None:
            raise self.error
        self.commands.append(command)
        self.options.append(options)
        self.performed_before.append(len(self.desk.kernel.performed))
        self.snapshot_before.append(self.desk.store.load_snapshot() is not None)


@pytest.fixture
def processes(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Processes:
    made = Processes(desk)
    monkeypatch.setattr(subprocess, "Popen", made.start)
    return made


def test_kernel_becomes_what_the_site_file_says(desk: Desk) -> None:
    said = desk.say("apply")
    assert said.code == ExitCode.OK
    assert said.out.endswith(
        "4 to add, 1 to change, 0 to remove\napplied 5 changes; kernel matches site.yaml\n"
    )
    assert desk.kernel.services == WANTED
    assert desk.store.load().services == frozenset({WEB})


def test_apply_prints_what_plan_prints(desk: Desk) -> None:
    planned = desk.say("plan")
    applied = desk.say("apply")
    assert applied.out.startswith(planned.out)
    assert applied.err == planned.err


def test_second_apply_does_nothing(desk: Desk) -> None:
    desk.apply(SITE)
    said = desk.say("apply")
    assert (said.code, said.out) == (ExitCode.OK, "no changes: kernel matches site.yaml\n")
    assert desk.kernel.performed == []


def test_json_holds_every_outcome_and_nothing_else_is_printed(desk: Desk) -> None:
    said = desk.say("apply", "--json")
    assert (said.code, said.err) == (ExitCode.OK, "")
    assert list(said.document) == [
        "schema",
        "converged",
        "changes",
        "failed",
        "outcomes",
        "remaining",
        "draining",
    ]
    assert said.document["converged"] is True
    assert (said.document["schema"], said.document["remaining"], said.document["draining"]) == (1, 0, 0)
    assert [each["result"] for each in said.document["outcomes"]] == ["done"] * 5


def test_two_at_once_are_refused(desk: Desk) -> None:
    with desk.store.lock():
        said = desk.say("apply")
    assert (said.code, desk.kernel.performed) == (ExitCode.STATE, [])
    assert "another kernelbal is changing this kernel" in said.err


def test_refused_site_changes_nothing(desk: Desk) -> None:
    desk.write(SITE.replace("10.0.0.1", "192.0.2.1"))
    said = desk.say("apply")
    assert (said.code, said.out, desk.kernel.performed) == (ExitCode.FAILED, "", [])
    assert "--force makes this a warning" in said.err
    assert desk.say("apply", "--force").code == ExitCode.OK
    assert desk.kernel.performed != []


def test_progress_is_passed_on(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "FEW", 1)
    seen: list[tuple[int, int]] = []
    perform = FakeKernel.perform

    def watched(kernel: FakeKernel, actions: list[Action], update: Progress | None) -> list[Outcome]:
        def note(done: int, total: int) -> None:
            seen.append((done, total))
            assert update is not None
            update(done, total)

        return perform(kernel, actions, note)

    monkeypatch.setattr(FakeKernel, "perform", watched)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    assert desk.say("apply").code == ExitCode.OK
    assert seen == [(done, 5) for done in range(1, 6)]


# --- what goes wrong ---


def test_refused_action_does_not_stop_the_others(desk: Desk) -> None:
    desk.refuse(WriteSysctl)
    said = desk.say("apply")
    assert said.code == ExitCode.FAILED
    assert desk.kernel.services == WANTED
    assert "applied" not in said.out
    assert said.err.splitlines()[1:] == [
        "FAIL sysctl net.ipv4.ip_forward 0 -> 1  # The director routes replies of NAT services.:"
        " refused with errno 22",
        "not converged: after this apply the kernel still differs from the site file, 1 change left",
        "  hint: remove the cause and run `kernelbal apply` again; what was done stays",
    ]


def test_next_apply_repairs_it(desk: Desk) -> None:
    desk.refuse(AddDestination)
    assert desk.say("apply").code == ExitCode.FAILED
    desk.kernel.refuse = lambda _: 0
    assert desk.say("apply").code == ExitCode.OK
    assert desk.kernel.services == WANTED


def test_failure_in_json(desk: Desk) -> None:
    desk.refuse(AddService, errno.EPERM)
    said = desk.say("apply", "--json")
    assert said.code == ExitCode.FAILED
    assert said.document["converged"] is False
    assert said.document["remaining"] == 3
    failed = [each for each in said.document["outcomes"] if each["result"] == "failed"]
    assert [each["errno"] for each in failed] == [errno.EPERM, errno.ESRCH, errno.ESRCH]


def test_interrupted_apply_keeps_its_record(desk: Desk) -> None:
    def interrupt(action: Action) -> int:
        if isinstance(action, AddAddress):
            raise KeyboardInterrupt
        return 0

    desk.kernel.refuse = interrupt
    assert desk.say("apply").code == ExitCode.INTERRUPTED
    assert desk.store.load().services == frozenset({WEB})
    desk.kernel.refuse = lambda _: 0
    assert desk.say("apply").out.endswith("applied 1 change; kernel matches site.yaml\n")


# --- drains ---


def drained(desk: Desk, *options: str) -> Said:
    """Apply a site that has lost a real server with two connections."""
    desk.apply(SITE)
    desk.kernel.load(WEB, active=2)
    desk.write(WITHOUT_SECOND)
    return desk.say("apply", *options)


def test_leaving_real_server_is_waited_for(desk: Desk) -> None:
    said = drained(desk)
    assert said.code == ExitCode.OK
    assert desk.now == 1020
    assert B not in desk.kernel.services[WEB].destinations
    assert "draining 10.0.0.12:80 of `web`: 2 connections, 20 s left\n" in said.err
    assert said.out.endswith("applied 2 changes; kernel matches site.yaml\n")


def test_json_of_a_drain_holds_both_rounds(desk: Desk) -> None:
    document = drained(desk, "--json").document
    kinds = [outcome["kind"] for outcome in document["outcomes"]]
    assert kinds == ["QuiesceDestination", "RemoveDestination"]
    assert document["draining"] == 0


def test_no_wait_leaves_the_drain_to_a_later_apply(desk: Desk) -> None:
    said = drained(desk, "--no-wait")
    assert (said.code, desk.now) == (ExitCode.OK, 1000)
    assert desk.kernel.services[WEB].destinations[B].weight == 0
    assert said.err.endswith("1 real server still draining; a later `kernelbal apply` goes on with it\n")
    desk.sleep(21)
    desk.kernel.performed.clear()
    desk.say("apply")
    assert desk.kernel.performed == [RemoveDestination(WEB, B)]


def test_cut_removes_at_once(desk: Desk) -> None:
    said = drained(desk, "--cut")
    assert (said.code, desk.now) == (ExitCode.OK, 1000)
    assert desk.kernel.performed == [RemoveDestination(WEB, B)]


def test_failed_round_is_not_waited_for(desk: Desk) -> None:
    desk.apply(SITE)
    desk.kernel.load(WEB, active=2)
    desk.write(WITHOUT_SECOND)
    desk.refuse(QuiesceDestination)
    assert (desk.say("apply").code, desk.now) == (ExitCode.FAILED, 1000)


# --- with a time to confirm ---


def test_confirm_starts_one_roll_back_process(desk: Desk, processes: Processes) -> None:
    said = desk.say("apply", "--confirm", "90s")
    assert said.code == ExitCode.OK
    state_dir = str(desk.state_dir)
    assert processes.commands == [
        [sys.executable, "-m", "kernelbal", "rollback", "--wait", "--state-dir", state_dir]
    ]
    assert processes.options[0]["start_new_session"] is True, "it outlives the login"
    assert processes.options[0]["stdin"] == subprocess.DEVNULL
    assert Path(processes.options[0]["stdout"].name) == desk.state_dir / "rollback.log"
    assert "rolled back in 90s unless `kernelbal confirm` is run\n" in said.err


def test_snapshot_is_on_disk_before_the_first_change(desk: Desk, processes: Processes) -> None:
    desk.apply(SITE)
    desk.write(LATER)
    desk.say("apply", "--confirm", "90s")
    assert (processes.performed_before, processes.snapshot_before) == ([0], [True])
    snapshot = desk.store.load_snapshot()
    assert snapshot is not None
    assert snapshot.deadline_at == 1090
    assert snapshot.state.services == WANTED
    assert desk.kernel.services[WEB].attributes.scheduler == "rr"


def test_nothing_to_do_needs_no_confirmation(desk: Desk, processes: Processes) -> None:
    desk.apply(SITE)
    assert desk.say("apply", "--confirm", "90s").code == ExitCode.OK
    assert processes.commands == []
    assert desk.store.load_snapshot() is None


def test_drain_is_not_waited_for_before_it_is_confirmed(desk: Desk, processes: Processes) -> None:
    said = drained(desk, "--confirm", "90s")
    assert (said.code, desk.now) == (ExitCode.OK, 1000)
    assert desk.kernel.services[WEB].destinations[B].weight == 0
    assert len(processes.commands) == 1


def test_unconfirmed_apply_must_be_decided_first(desk: Desk, processes: Processes) -> None:
    desk.say("apply", "--confirm", "90s")
    desk.kernel.performed.clear()
    desk.sleep(30.5)
    desk.write(LATER)
    for options in ((), ("--confirm", "90s")):
        assert desk.say("apply", *options) == (
            ExitCode.FAILED,
            "",
            "error: the last apply still awaits confirmation, 60 s left\n"
            "  hint: keep it with `kernelbal confirm`, or undo it with `kernelbal rollback`\n",
        )
    assert desk.kernel.performed == []
    assert len(processes.commands) == 1


def test_refused_site_arms_nothing(desk: Desk, processes: Processes) -> None:
    desk.write(SITE.replace("10.0.0.1", "192.0.2.1"))
    assert desk.say("apply", "--confirm", "90s").code == ExitCode.FAILED
    assert processes.commands == []
    assert desk.store.load_snapshot() is None


def test_process_that_cannot_start_stops_the_apply(desk: Desk, processes: Processes) -> None:
    processes.error = OSError(errno.EAGAIN, "Resource temporarily unavailable")
    said = desk.say("apply", "--confirm", "90s")
    assert (said.code, desk.kernel.performed) == (ExitCode.STATE, [])
    assert "cannot start the process that would roll back, and nothing was changed" in said.err
    assert desk.store.load_snapshot() is None, "nothing is left to confirm"


def test_snapshot_that_cannot_be_written_stops_the_apply(
    desk: Desk, processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    desk.apply(SITE)
    desk.write(LATER)
    monkeypatch.setattr("os.fsync", full)
    said = desk.say("apply", "--confirm", "90s")
    assert (said.code, desk.kernel.performed, processes.commands) == (ExitCode.STATE, [], [])
    assert f"cannot write {StateDirectory(desk.state_dir).path / 'snapshot.json'}" in said.err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("soon", "`soon` is not a duration such as `300ms`, `9s`, `5m`, `1h`"),
        ("60", "`60` is not a duration"),
        ("0s", "`0s` is too short to confirm anything"),
        ("999ms", "`999ms` is too short to confirm anything"),
    ],
)
def test_time_that_is_none_is_a_usage_error(
    desk: Desk, processes: Processes, text: str, message: str
) -> None:
    said = desk.say("apply", "--confirm", text)
    assert (said.code, said.out, desk.kernel.performed) == (ExitCode.USAGE, "", [])
    assert f"Invalid value for --confirm: {message}" in said.err
    assert processes.commands == []
