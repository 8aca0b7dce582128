"""User-mode Linux: a Linux kernel that is an ordinary program. No root, no virtualization, up in 0.3 s.

Its root is the host's, through hostfs. With time travel (`arch/um/kernel/time.c`) its clock jumps to the next
timer when everything waits: an hour of protocol time passes in seconds.
"""

from __future__ import annotations

import os
import platform
import shutil
from typing import TYPE_CHECKING, Final

from kernelbal.lab.backends.base import Refusal
from kernelbal.lab.backends.guest import Channels, Launch, run_guest
from kernelbal.lab.backends.init_script import SCRIPT_FILE, Machine
from kernelbal.lab.kernel_cache import find_kernel

if TYPE_CHECKING:
    from pathlib import Path

    from kernelbal.lab.backends.base import GuestCommand, Streams

MACHINE: Final = Machine(
    share='mount -t hostfs -o "$1" hostfs "$2"',
    stdout="/dev/tty1",
    stderr="/dev/tty2",
)
_MEMORY_DIRECTORIES: Final = ("/dev/shm", "/tmp")  # noqa: S108 - where the guest's memory file may be


class UmlBackend:
    """Runs commands in User-mode Linux."""

    name: Final = "uml"

    def refusal(self) -> Refusal | None:
        """Say why it cannot be used here, or None when it can."""
        if platform.machine() != "x86_64":
            return Refusal(f"User-mode Linux runs on x86_64, this is {platform.machine()}")
        if find_kernel() is None:
            return Refusal("the lab kernel is not built", "build it once: kernelbal lab kernel")
        return None

    def run(self, command: GuestCommand, streams: Streams) -> int:
        """Run a command to its end and return its exit status.

        Raises:
            GuestFailed: the guest did not come up or ended early.
            GuestTimeout: the command outlived its limit.
        """

        def launch(exchange: Path, channels: Channels) -> Launch:
            return Launch(command_line(command, exchange, channels), environment(command.memory_mib))

        return run_guest(command, streams, MACHINE, launch)


def command_line(command: GuestCommand, exchange: Path, channels: Channels) -> list[str]:
    """Return the kernel with its arguments.

    Raises:
        LabError: there is no kernel, or it is not executable.
    """
    stdin = "null" if channels.stdin is None else f"fd:{channels.stdin}"
    return [
        *kernel_arguments(command.memory_mib, exchange),
        f"con1={stdin},fd:{channels.stdout}",
        f"con2=null,fd:{channels.stderr}",
        *(["time-travel=inf-cpu"] if command.virtual_time else []),
    ]


def kernel_arguments(memory_mib: int, exchange: Path) -> list[str]:
    """Return the kernel with the arguments that every guest has.

    Raises:
        LabError: there is no kernel, or it is not executable.
    """
    return [
        str(find_kernel()),
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
