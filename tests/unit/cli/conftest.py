"""The desk that the commands are run at."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from kernelbal.realserver import host as linux_host
from tests.support.fake_host import FakeHost
from tests.unit.cli.daemon import Daemon, running
from tests.unit.cli.desk import Desk, make_desk
from tests.unit.cli.realserver_desk import RealServerDesk
from tests.unit.realserver.desk import fake_host


@pytest.fixture
def desk(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Desk:
    """Documents, state directory and kernel of their own."""
    return make_desk(tmp_path, capsys, monkeypatch)


@pytest.fixture
def daemon(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Daemon]:
    """A daemon that runs; commands that wait do not."""
    monkeypatch.setenv("NO_COLOR", "1")
    with running(tmp_path, capsys) as found:
        monkeypatch.setattr("time.sleep", found.slept.append)
        yield found


@pytest.fixture
def realserver_desk(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> RealServerDesk:
    """A host in memory, to be prepared."""
    made = RealServerDesk(fake_host(), tmp_path, capsys)

    @contextmanager
    def opened() -> Iterator[FakeHost]:
        yield made.host

    monkeypatch.setattr(linux_host, "LinuxHost", opened)
    monkeypatch.setenv("NO_COLOR", "1")
    return made
