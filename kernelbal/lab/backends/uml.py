"""User-mode Linux: a Linux kernel that is an ordinary program. No root, no virtualization, up in 0.3 s.

Its root is the host's, through hostfs. With time travel (`arch/um/kernel/time.c`) its clock jumps to the next
timer when everything waits: an hour of protocol time passes in seconds.
"""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from kernelbal.lab import holder
from kernelbal.lab.backends.base import GuestCommand, Unavailable
from kernelbal.lab.backends.guest import Channels, Launch, run_guest, write_init
from kernelbal.lab.backends.init_script import SCRIPT_FILE, Machine
from kernelbal.lab.errors import BackendUnavailable
from kernelbal.lab.kernel_cache import find_kernel
from kernelbal.lab.live import LIVE

if TYPE_CHECKING:
    from kernelbal.lab.backends.base import StandardStreams, Up

MACHINE: Final = Machine(
    share='mount -t hostfs -o "$1" hostfs "$2"',
    stdout="/dev/tty1",
    stderr="/dev/tty2",
    prepare=f"mkdir {LIVE}\nmount --bind / {LIVE}",
)
_FIRST_CONSOLE: Final = 3
_UP_LIMIT_S: Final = 60.0
_MEMORY_DIRECTORIES: Final = ("/dev/shm", "/tmp")  # noqa: S108 - where the guest's memory file may be


class UmlBackend:
    """Runs commands in User-mode Linux."""

    name: Final = "uml"

    def __init__(self, kernel: Path | None = None) -> None:
        """Use `kernel`; by default the one that is found when it is needed."""
        self._kernel = kernel

    def refusal(self) -> Unavailable | None:
        """Say why it cannot be used here, or None when it can."""
        if platform.machine() != "x86_64":
            return Unavailable(f"User-mode Linux runs on x86_64, this is {platform.machine()}")
        if self._found() is None:
            return Unavailable("the lab kernel is not built", "build it once: kernelbal lab kernel")
        return None

    def _found(self) -> Path | None:
        return self._kernel or find_kernel()

    def _required(self) -> Path:
        kernel = self._found()
        if kernel is None:
            raise BackendUnavailable(str(self.refusal()))
        return kernel

    def run(self, command: GuestCommand, streams: StandardStreams) -> int:
        """Run a command to its end and return its exit status.

        Raises:
            BackendUnavailable: there is no kernel.
            GuestFailed: the guest did not come up or ended early.
            GuestTimeout: the command outlived its limit.
        """
        kernel = self._required()

        def launch(exchange: Path, channels: Channels) -> Launch:
            argv = [str(kernel), *arguments(command, exchange, channels)]
            return Launch(argv, environment(command.memory_mib))

        return run_guest(command, streams, MACHINE, launch)

    def up(self, topology: str, directory: Path) -> Up:
        """Bring a topology up so that it stays, with its files in `directory`.

        Raises:
            BackendUnavailable: there is no kernel.
            GuestFailed: it did not come up.
        """
        devices = [f"/dev/tty{_FIRST_CONSOLE + number}" for number in range(holder.CONSOLES)]
        agent = holder.agent_command(topology, directory, holder.console_options(devices))
        command = GuestCommand(agent, Path("/"), results=directory)
        write_init(command, replace(MACHINE, stderr=MACHINE.stdout), directory)
        consoles = holder.make_pipes(directory)
        with contextlib.ExitStack() as stack:

            def opened(path: str) -> int:
                # For both directions: a client that comes or goes is nothing that the guest would notice.
                return stack.enter_context(holder.open_pipe(path, os.O_RDWR))

            pipes = [(opened(f"{name}.in"), opened(f"{name}.out")) for name in consoles]
            argv = [
                str(self._required()),
                *common_arguments(command.memory_mib, directory),
                "con1=null,fd:2",
                *(f"con{_FIRST_CONSOLE + n}=fd:{given},fd:{taken}" for n, (given, taken) in enumerate(pipes)),
            ]
            inherited = [descriptor for pair in pipes for descriptor in pair]
            pid = holder.start(argv, directory, environment(command.memory_mib), inherited)
        return holder.await_ready(self.name, topology, pid, directory, consoles, _UP_LIMIT_S)


def arguments(command: GuestCommand, exchange: Path, channels: Channels) -> list[str]:
    """Return the kernel's arguments for running one command."""
    stdin = "null" if channels.stdin is None else f"fd:{channels.stdin}"
    return [
        *common_arguments(command.memory_mib, exchange),
        f"con1={stdin},fd:{channels.stdout}",
        f"con2=null,fd:{channels.stderr}",
        *(["time-travel=inf-cpu"] if command.virtual_time else []),
    ]


def common_arguments(memory_mib: int, exchange: Path) -> list[str]:
    """Return the kernel's arguments that every guest has."""
    return [
        f"mem={memory_mib}M",
        "rootfstype=hostfs",
        "rootflags=/",
        "ro",
        f"init={exchange / SCRIPT_FILE}",
        "con=null",
        "con0=null,fd:1",  # the kernel's own messages: the log
        "quiet",
        "loglevel=4",
        "umid=guest",
        f"uml_dir={exchange}/",
        "seccomp=on",  # three times faster than ptrace; kernels before 6.16 ignore it
    ]


def environment(memory_mib: int) -> dict[str, str]:
    """Return the environment of the kernel's process: where its memory file goes."""
    wanted = memory_mib * 1024 * 1024
    for directory in _MEMORY_DIRECTORIES:
        # A file in memory is much faster, but containers often have only 64 MiB there.
        if os.access(directory, os.W_OK) and shutil.disk_usage(directory).free > wanted:
            return {"TMPDIR": directory, "PATH": os.environ.get("PATH", ""), "HOME": "/"}
    return {"PATH": os.environ.get("PATH", ""), "HOME": "/"}
