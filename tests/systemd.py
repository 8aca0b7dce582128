"""systemd's own judgement of unit files."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

TOOL = "systemd-analyze"


def analyze(unit: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `systemd-analyze` on a file; without it the test is skipped, or fails where CI is set."""
    if shutil.which(TOOL) is None:
        reason = f"{TOOL} is not installed (package systemd)"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    command = [TOOL, *arguments, str(unit)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
