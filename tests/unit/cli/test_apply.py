"""`kernelbal apply`: make the kernel match the site file, and prove it."""

import errno
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from weakref import ref

import pytest

from kernelbal.cli import progress, session
from kernelbal.cli.exit_codes import ExitCode
from kernelbal.cli.session import DocumentPair
from kernelbal.kernel.interface import Progress
from kernelbal.model.site import Site
from kernelbal.plan.action import Action, Outcome
from kernelbal.plan.kinds.addresses import AddAddress
from kernelbal.plan.kinds.service_actions import (
    AddDestination,
    AddService,
    QuiesceDestination,
    RemoveDestination,
)
from kernelbal.plan.kinds.services import SERVICES
from kernelbal.plan.kinds.sysctls import WriteSysctl
from kernelbal.store.state import StateDirectory
from tests.support.builders import virtual, weighing
from tests.support.cli_harness import SITE, WEB, WITHOUT_SECOND, A, B, CommandResult, DirectorCli
from tests.support.fake_kernel import FakeKernel

WANTED = {WEB: virtual((B, weighing(100)), (A, weighing(50)))}
LATER = SITE.replace("wlc", "rr")


class Processes:
    """Every process that was started instead of starting it."""

    def __init__(self, cli: DirectorCli) -> None:
        self.cli = cli
        self.commands: list[list[str]] = []
        self.options: list[dict[str, Any]] = []
        self.performed_before: list[int] = []
        self.snapshot_before: list[bool] = []
        self.error: OSError | None = None
        self.started: Callable[[], Any] = cli.start_watcher

    def start(self, command: list[str], **options: Any) -> Any:  # noqa: ANN401 (as Popen takes them)
        """Stand in for `subprocess.Popen`."""
        if self.error is not None:
            raise self.error
        self.commands.append(command)
        self.options.append(options)
        self.performed_before.append(len(self.cli.kernel.performed))
        self.snapshot_before.append(self.cli.store.load_snapshot() is not None)
        return self.started()


@pytest.fixture
def processes(cli: DirectorCli, monkeypatch: pytest.MonkeyPatch) -> Processes:
    made = Processes(cli)
    monkeypatch.setattr(subprocess, "Popen", made.start)
    return made


def test_kernel_becomes_what_the_site_file_says(cli: DirectorCli) -> None:
    done = cli.run("apply")
    assert done.code == ExitCode.OK
    assert done.out.endswith(
        "4 to add, 1 to change, 0 to remove\napplied 5 changes; kernel matches site.yaml\n"
    )
    assert cli.kernel.services == WANTED
    assert cli.store.load().of(SERVICES).keys == frozenset({WEB})


def test_apply_prints_what_plan_prints(cli: DirectorCli) -> None:
    planned = cli.run("plan")
    applied = cli.run("apply")
    assert applied.out.startswith(planned.out)
    assert applied.err == planned.err


def test_second_apply_does_nothing(cli: DirectorCli) -> None:
    cli.apply(SITE)
    done = cli.run("apply")
    assert (done.code, done.out) == (ExitCode.OK, "no changes: kernel matches site.yaml\n")
    assert cli.kernel.performed == []


def test_json_holds_every_outcome_and_nothing_else_is_printed(cli: DirectorCli) -> None:
    done = cli.run("apply", "--json")
    assert (done.code, done.err) == (ExitCode.OK, "")
    assert list(done.document) == [
        "schema",
        "converged",
        "changes",
        "failed",
        "skipped",
        "outcomes",
        "remaining",
        "draining",
    ]
    assert done.document["converged"] is True
    assert (done.document["schema"], done.document["remaining"], done.document["draining"]) == (1, 0, 0)
    assert [each["result"] for each in done.document["outcomes"]] == ["done"] * 5


def test_two_at_once_are_refused(cli: DirectorCli) -> None:
    with cli.store.lock():
        done = cli.run("apply")
    assert (done.code, cli.kernel.performed) == (ExitCode.STATE, [])
    assert "another kernelbal is changing this kernel" in done.err


def test_refused_site_changes_nothing(cli: DirectorCli) -> None:
    cli.write(SITE.replace("10.0.0.1", "192.0.2.1"))
    done = cli.run("apply")
    assert (done.code, done.out, cli.kernel.performed) == (ExitCode.FAILED, "", [])
    assert "--force makes this a warning" in done.err
    assert cli.run("apply", "--force").code == ExitCode.OK
    assert cli.kernel.performed != []


def test_progress_is_passed_on(cli: DirectorCli, monkeypatch: pytest.MonkeyPatch) -> None:
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
    assert cli.run("apply").code == ExitCode.OK
    assert len(seen) == 5


def test_documents_are_let_go_before_the_kernel_is_changed(
    cli: DirectorCli, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half of the memory that a large site takes; what is read again takes as much."""
    read = session.read_documents
    sites: list[ref[Site]] = []
    left: list[Site | None] = []

    def noted(site: Path, node: Path) -> DocumentPair:
        documents = read(site, node)
        sites.append(ref(documents.site))
        return documents

    def perform(action: Action) -> int:
        left.append(sites[0]())
        return 0

    monkeypatch.setattr(session, "read_documents", noted)
    cli.kernel.refuse = perform
    assert cli.run("apply").code == ExitCode.OK
    assert left == [None] * 5


# --- what goes wrong ---


def test_refused_action_does_not_stop_the_others(cli: DirectorCli) -> None:
    cli.refuse(WriteSysctl)
    done = cli.run("apply")
    assert done.code == ExitCode.FAILED
    assert cli.kernel.services == WANTED
    assert "applied" not in done.out
    assert done.err.splitlines()[1:] == [
        "FAIL sysctl net.ipv4.ip_forward 0 -> 1  # The director routes replies of NAT services.:"
        " the kernel refuses this value",
        "not converged: the kernel does not match site.yaml after this apply, 1 change left",
        "  hint: remove the cause and run `kernelbal apply` again; what was done stays",
    ]


def test_next_apply_repairs_it(cli: DirectorCli) -> None:
    cli.refuse(AddDestination)
    assert cli.run("apply").code == ExitCode.FAILED
    cli.kernel.refuse = lambda _: 0
    assert cli.run("apply").code == ExitCode.OK
    assert cli.kernel.services == WANTED


def test_failure_in_json(cli: DirectorCli) -> None:
    cli.refuse(AddService, errno.EPERM)
    done = cli.run("apply", "--json")
    assert done.code == ExitCode.FAILED
    assert done.document["converged"] is False
    assert done.document["remaining"] == 3
    results = [(each["result"], each["errno"]) for each in done.document["outcomes"]]
    assert ("failed", errno.EPERM) in results
    assert results.count(("skipped", 0)) == 2


def test_interrupted_apply_keeps_its_record(cli: DirectorCli) -> None:
    def interrupt(action: Action) -> int:
        if isinstance(action, AddAddress):
            raise KeyboardInterrupt
        return 0

    cli.kernel.refuse = interrupt
    assert cli.run("apply").code == ExitCode.INTERRUPTED
    assert cli.store.load().of(SERVICES).keys == frozenset({WEB})
    cli.kernel.refuse = lambda _: 0
    assert cli.run("apply").out.endswith("applied 1 change; kernel matches site.yaml\n")


# --- drains ---


def drained(cli: DirectorCli, *options: str) -> CommandResult:
    """Apply a site that has lost a real server with two connections."""
    cli.apply(SITE)
    cli.kernel.load(WEB, active=2)
    cli.write(WITHOUT_SECOND)
    return cli.run("apply", *options)


def test_leaving_real_server_is_waited_for(cli: DirectorCli) -> None:
    done = drained(cli)
    assert done.code == ExitCode.OK
    assert cli.now == 1020
    assert B not in cli.kernel.services[WEB].destinations
    assert "draining 10.0.0.12:80 of `web`: 2 connections, 20 s left\n" in done.err
    assert done.out.endswith("applied 2 changes; kernel matches site.yaml\n")


def test_json_of_a_drain_holds_both_rounds(cli: DirectorCli) -> None:
    document = drained(cli, "--json").document
    kinds = [outcome["kind"] for outcome in document["outcomes"]]
    assert kinds == ["QuiesceDestination", "RemoveDestination"]
    assert document["draining"] == 0


def test_no_wait_leaves_the_drain_to_a_later_apply(cli: DirectorCli) -> None:
    done = drained(cli, "--no-wait")
    assert (done.code, cli.now) == (ExitCode.OK, 1000)
    assert cli.kernel.services[WEB].destinations[B].weight == 0
    assert done.err.endswith("1 real server still draining; a later `kernelbal apply` continues\n")
    cli.sleep(21)
    cli.kernel.performed.clear()
    cli.run("apply")
    assert cli.kernel.performed == [RemoveDestination(WEB, B)]


def test_cut_removes_at_once(cli: DirectorCli) -> None:
    done = drained(cli, "--cut")
    assert (done.code, cli.now) == (ExitCode.OK, 1000)
    assert cli.kernel.performed == [RemoveDestination(WEB, B)]


def test_failed_round_is_not_waited_for(cli: DirectorCli) -> None:
    cli.apply(SITE)
    cli.kernel.load(WEB, active=2)
    cli.write(WITHOUT_SECOND)
    cli.refuse(QuiesceDestination)
    assert (cli.run("apply").code, cli.now) == (ExitCode.FAILED, 1000)


# --- with a time to confirm ---


def test_confirm_starts_one_roll_back_process(cli: DirectorCli, processes: Processes) -> None:
    done = cli.run("apply", "--confirm", "90s")
    assert done.code == ExitCode.OK
    state_dir = str(cli.state_dir)
    assert processes.commands == [
        [sys.executable, "-m", "kernelbal", "rollback", "--wait", "--state-dir", state_dir]
    ]
    assert processes.options[0]["start_new_session"] is True, "it outlives the login"
    assert processes.options[0]["stdin"] == subprocess.DEVNULL
    assert Path(processes.options[0]["stdout"].name) == cli.state_dir / "rollback.log"
    assert "rolled back in 90s unless `kernelbal confirm` is run\n" in done.err


def test_snapshot_is_on_disk_before_the_first_change(cli: DirectorCli, processes: Processes) -> None:
    cli.apply(SITE)
    cli.write(LATER)
    cli.run("apply", "--confirm", "90s")
    assert (processes.performed_before, processes.snapshot_before) == ([0], [True])
    snapshot = cli.store.load_snapshot()
    assert snapshot is not None
    assert snapshot.deadline_at == 1090
    assert snapshot.state.of(SERVICES).table == WANTED
    assert cli.kernel.services[WEB].attributes.scheduler == "rr"


def test_nothing_to_do_needs_no_confirmation(cli: DirectorCli, processes: Processes) -> None:
    cli.apply(SITE)
    assert cli.run("apply", "--confirm", "90s").code == ExitCode.OK
    assert processes.commands == []
    assert cli.store.load_snapshot() is None


def test_drain_is_not_waited_for_before_it_is_confirmed(cli: DirectorCli, processes: Processes) -> None:
    done = drained(cli, "--confirm", "90s")
    assert (done.code, cli.now) == (ExitCode.OK, 1000)
    assert cli.kernel.services[WEB].destinations[B].weight == 0
    assert len(processes.commands) == 1


def test_unconfirmed_apply_must_be_decided_first(cli: DirectorCli, processes: Processes) -> None:
    cli.run("apply", "--confirm", "90s")
    cli.kernel.performed.clear()
    cli.sleep(30.5)
    cli.write(LATER)
    for options in ((), ("--confirm", "90s")):
        assert cli.run("apply", *options) == (
            ExitCode.FAILED,
            "",
            "error: the last apply still awaits confirmation, 60 s left\n"
            "  hint: keep it with `kernelbal confirm`, or undo it with `kernelbal rollback`\n",
        )
    assert cli.kernel.performed == []
    assert len(processes.commands) == 1


def test_refused_site_arms_nothing(cli: DirectorCli, processes: Processes) -> None:
    cli.write(SITE.replace("10.0.0.1", "192.0.2.1"))
    assert cli.run("apply", "--confirm", "90s").code == ExitCode.FAILED
    assert processes.commands == []
    assert cli.store.load_snapshot() is None


def test_process_that_cannot_start_stops_the_apply(cli: DirectorCli, processes: Processes) -> None:
    processes.error = OSError(errno.EAGAIN, "Resource temporarily unavailable")
    done = cli.run("apply", "--confirm", "90s")
    assert (done.code, cli.kernel.performed) == (ExitCode.STATE, [])
    assert "cannot start the process that would roll back, and nothing was changed" in done.err
    assert cli.store.load_snapshot() is None, "nothing is left to confirm"


@pytest.mark.parametrize("status", [1, None], ids=["ends", "never watches"])
def test_process_that_does_not_watch_stops_the_apply(
    cli: DirectorCli, processes: Processes, monkeypatch: pytest.MonkeyPatch, status: int | None
) -> None:
    monkeypatch.setattr("time.monotonic", lambda: cli.now)
    killed: list[bool] = []
    processes.started = lambda: SimpleNamespace(poll=lambda: status, kill=lambda: killed.append(True))
    done = cli.run("apply", "--confirm", "90s")
    assert (done.code, cli.kernel.performed) == (ExitCode.STATE, [])
    assert "the process that would roll back did not start, and nothing was changed" in done.err
    assert f"hint: {cli.state_dir / 'rollback.log'} says why" in done.err
    assert killed
    assert cli.store.load_snapshot() is None, "nothing is left to confirm"


def test_snapshot_that_cannot_be_written_stops_the_apply(
    cli: DirectorCli, processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    cli.apply(SITE)
    cli.write(LATER)
    monkeypatch.setattr("os.fsync", full)
    done = cli.run("apply", "--confirm", "90s")
    assert (done.code, cli.kernel.performed, processes.commands) == (ExitCode.STATE, [], [])
    assert f"cannot write {StateDirectory(cli.state_dir).path / 'snapshot.json'}" in done.err


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
    cli: DirectorCli, processes: Processes, text: str, message: str
) -> None:
    done = cli.run("apply", "--confirm", text)
    assert (done.code, done.out, cli.kernel.performed) == (ExitCode.USAGE, "", [])
    assert f"Invalid value for --confirm: {message}" in done.err
    assert processes.commands == []
