"""The daemon around the director: who may start it, and how it ends."""

import errno
import os
from contextlib import closing
from pathlib import Path

import pytest

from kernelbal.errors import ConfigError, NotPermitted, PlanRefused, StateError
from kernelbal.plan.kind import DesiredState
from kernelbal.runtime.director import service
from kernelbal.runtime.director.documents import Paths
from kernelbal.store.boot import boot_clock_s
from kernelbal.store.daemon import DaemonState


def settings(folder: Path) -> service.Settings:
    paths = Paths(folder / "site.yaml", folder / "node.yaml")
    return service.Settings(paths, folder / "state", str(folder / "control.sock"))


def test_only_one_daemon_runs_and_the_second_says_what_to_do(folder: Path) -> None:
    with DaemonState(folder / "state").lock(), pytest.raises(StateError) as refusal:
        service.run(settings(folder))
    assert str(os.getpid()) in refusal.value.message
    assert "systemctl stop kernelbal" in (refusal.value.hint or "")


def test_an_apply_that_awaits_confirmation_is_not_run_over(folder: Path) -> None:
    state = DaemonState(folder / "state")
    state.save_snapshot(DesiredState(), boot_clock_s() + 60)
    with state.watching(), pytest.raises(PlanRefused, match="awaits confirmation"):
        service.run(settings(folder))
    with pytest.raises(PlanRefused, match="neither confirmed nor rolled back"):
        service.run(settings(folder))


def test_a_broken_document_without_a_copy_is_its_error(folder: Path) -> None:
    (folder / "site.yaml").write_text("virtual_services: 7\n")
    with pytest.raises(ConfigError):
        service.run(settings(folder))
    with DaemonState(folder / "state").lock():
        assert True, "the lock was let go"


@pytest.mark.parametrize("nested", [False, True])
def test_errors_of_several_tasks_are_one(folder: Path, monkeypatch: pytest.MonkeyPatch, nested: bool) -> None:
    async def fail(*_: object) -> None:
        error: Exception = ExceptionGroup("tasks", [StateError("full disk", "make room"), StateError("too")])
        raise ExceptionGroup("all", [error]) if nested else error

    monkeypatch.setattr(service, "_run", fail)
    with pytest.raises(StateError, match="full disk"):
        service.run(settings(folder))


def test_a_bug_is_shown_whole(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_: object) -> None:
        raise ExceptionGroup("tasks", [StateError("full disk"), ZeroDivisionError()])

    monkeypatch.setattr(service, "_run", fail)
    with pytest.raises(ExceptionGroup):
        service.run(settings(folder))


def test_a_user_without_privilege_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(service.KernelWatch, "open", refuse)
    with pytest.raises(NotPermitted, match="CAP_NET_ADMIN") as refusal:
        service.run(settings(folder))
    assert "root" in (refusal.value.hint or "")


def test_priorities_are_written_only_to_the_journal(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with closing((tmp_path / "log").open("w")) as stream:
        monkeypatch.setattr("sys.stderr", stream)
        found = os.fstat(stream.fileno())
        monkeypatch.setenv("JOURNAL_STREAM", f"{found.st_dev}:{found.st_ino}")
        assert service._under_systemd()
        monkeypatch.setenv("JOURNAL_STREAM", "1:2")
        assert not service._under_systemd()
        monkeypatch.delenv("JOURNAL_STREAM")
        assert not service._under_systemd()
