"""Somebody at a real server: the real commands in this process, on a host in memory."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from kernelbal.cli.app import run
from tests.support.fake_host import FakeHost
from tests.unit.cli.desk import Said


@dataclass
class RealServerDesk:
    """A host, a state directory, and what was said."""

    host: FakeHost
    folder: Path
    capsys: pytest.CaptureFixture[str]

    def say(self, command: str, *options: str) -> Said:
        """Run a command."""
        code = run(["realserver", command, "--state-dir", str(self.folder), *options])
        captured = self.capsys.readouterr()
        return Said(code, captured.out, captured.err)
