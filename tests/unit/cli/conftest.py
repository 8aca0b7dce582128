"""The desk that the commands are run at."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.cli.daemon import Daemon, running
from tests.unit.cli.desk import Desk, make_desk


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
