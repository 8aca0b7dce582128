"""The running kernel, in private network and mount namespaces.

Needs root and the kernel's own IPVS. Modules that get loaded stay loaded; nothing else of the machine
changes.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from kernelbal.lab import holder, process
from kernelbal.lab.backends.base import GuestCommand, Unavailable, guest_environment
from kernelbal.lab.backends.guest import ENDS_WITH_ITS_PARENT, wait_for
from kernelbal.lab.errors import LabError

if TYPE_CHECKING:
    from kernelbal.lab.backends.base import StandardStreams, Up

_UP_LIMIT_S: Final = 30.0
_IPVS_TABLE: Final = Path("/proc/net/ip_vs")


class NetnsBackend:
    """Runs commands on the running kernel."""

    name: Final = "netns"

    def __init__(self, *, needs_ipvs: bool = True) -> None:
        """Without `needs_ipvs`, any running kernel will do."""
        self._needs_ipvs = needs_ipvs

    def refusal(self) -> Unavailable | None:
        """Say why it cannot be used here, or None when it can; may load the module `ip_vs`."""
        if os.geteuid() != 0:
            return Unavailable("making network namespaces needs root", "run it with sudo")
        if self._needs_ipvs and not (_IPVS_TABLE.exists() or _load_ipvs()):
            return Unavailable(f"the running kernel ({os.uname().release}) has no IPVS")
        return _refused_namespaces()

    def run(self, command: GuestCommand, streams: StandardStreams) -> int:
        """Run a command to its end and return its exit status.

        Raises:
            GuestTimeout: the command outlived its limit.
            LabError: it could not be started.
        """
        started = process.start(
            [*ENDS_WITH_ITS_PARENT, sys.executable, "-m", "kernelbal.lab.private", *command.argv],
            stdin=streams.stdin if command.interactive else subprocess.DEVNULL,
            stdout=streams.stdout,
            stderr=streams.stderr,
            cwd=command.cwd,
            env=guest_environment(command),
        )
        try:
            wait_for(started, command)
        finally:
            status = process.stop(started)
        return status

    def up(self, topology: str, directory: Path) -> Up:
        """Bring a topology up so that it stays, with its files in `directory`.

        Raises:
            GuestFailed: it did not come up.
        """
        listening = str(directory / "agent.sock")
        agent = holder.agent_command(topology, directory, ["--listen", listening])
        argv = [sys.executable, "-m", "kernelbal.lab.private", *agent]
        pid = holder.start(argv, directory, guest_environment(GuestCommand(agent, Path("/"))))
        # Every connection is served by a thread of its own, so any number may use the one socket.
        consoles = [listening] * holder.CONSOLES
        return holder.await_ready(self.name, topology, pid, directory, consoles, _UP_LIMIT_S)


def _load_ipvs() -> bool:
    try:
        done = process.run(["modprobe", "ip_vs"], check=False)
    except LabError:  # no kmod here
        return False
    return done.returncode == 0 and _IPVS_TABLE.exists()


def _refused_namespaces() -> Unavailable | None:
    """Containers often have root without the right to make namespaces."""
    done = process.run([sys.executable, "-m", "kernelbal.lab.private", "true"], check=False)
    if done.returncode == 0:
        return None
    said = done.stderr.strip().splitlines() or ["no reason given"]
    return Unavailable(f"namespaces cannot be made here: {said[-1]}")
