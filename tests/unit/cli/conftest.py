"""The desk that the commands are run at."""

from pathlib import Path

import pytest

from tests.unit.cli.desk import Desk, make_desk


@pytest.fixture
def desk(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Desk:
    """Documents, state directory and kernel of their own."""
    return make_desk(tmp_path, capsys, monkeypatch)
