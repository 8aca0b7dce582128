"""What commands are run on: a director, a real server, a daemon."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from kernelbal.realserver import host as linux_host
from kernelbal.realserver.persist import programs
from tests.support.cli_harness import DaemonCli, DirectorCli, RealServerCli, director_cli, running_daemon
from tests.support.fake_kernel import FakeKernel
from tests.support.realserver_host import Programs, fake_host


@pytest.fixture
def cli(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> DirectorCli:
    """Documents, state directory and kernel of their own."""
    return director_cli(tmp_path, capsys, monkeypatch)


@pytest.fixture
def daemon(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[DaemonCli]:
    """A daemon that runs; commands that wait do not."""
    monkeypatch.setenv("NO_COLOR", "1")
    with running_daemon(tmp_path, capsys) as found:
        monkeypatch.setattr("time.sleep", found.slept.append)
        yield found


@pytest.fixture
def realserver_cli(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> RealServerCli:
    """A host in memory, to be prepared."""
    made = RealServerCli(fake_host(), Programs(), tmp_path, capsys)

    @contextmanager
    def opened() -> Iterator[FakeKernel]:
        yield made.host

    monkeypatch.setattr(linux_host, "LinuxHost", opened)
    monkeypatch.setattr(programs, "first_failure", made.programs)
    monkeypatch.setenv("NO_COLOR", "1")
    return made


@pytest.fixture
def watched(cli: DirectorCli, monkeypatch: pytest.MonkeyPatch) -> DirectorCli:
    """A director on which the process that would roll back does no more than watch."""
    monkeypatch.setattr(subprocess, "Popen", cli.start_watcher)
    return cli
