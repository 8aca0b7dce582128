"""systemd's own judgement of unit files, and systemd as the first process of a host of the lab."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from kernelbal.lab.namespaces import Host
from kernelbal.lab.process import Completed

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


class SystemdHost:
    """A host of a lab on which systemd is started; programs beside it see what its processes see.

    Only for guests (`needs_machine`): systemd takes over the control groups of the machine that it runs on.

    Attributes:
        host: where it is on the network.
        folder: holds its units, and what it says, in the file `systemd`.
    """

    def __init__(self, host: Host, folder: Path) -> None:
        self.host = host
        self.folder = folder
        self._parent = 0
        (folder / "units").mkdir(parents=True)
        (folder / "units/system.slice").write_text("[Slice]\n")

    def start(self, script: str, *arguments: str) -> None:
        """Start a script that becomes systemd, in namespaces of its own; its `$0` is `folder`."""
        command = ["unshare", "--pid", "--fork", "--kill-child", "--mount", "--mount-proc", "--uts"]
        with (self.folder / "systemd").open("w") as said:
            started = self.host.spawn(
                [*command, "sh", "-c", script, str(self.folder), *arguments],
                stdout=said.fileno(),
                stderr=said.fileno(),
            )
        self._parent = started.pid

    def run(self, *argv: str, check: bool = True) -> Completed:
        """Run a program beside systemd."""
        inside = ["nsenter", f"--target={self._parent}", "--mount", "--uts"]
        processes = f"--pid=/proc/{self._parent}/ns/pid_for_children"
        return self.host.run([*inside, processes, "env", "SYSTEMD_PAGER=", *argv], check=check, timeout_s=300)

    def drop_in(self, unit: str, text: str, name: str = "lab") -> None:
        """Add lines to a unit."""
        path = self.folder / "units" / f"{unit}.d/{name}.conf"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
