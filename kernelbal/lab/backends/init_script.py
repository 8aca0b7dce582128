"""The first process of a guest: a shell script that mounts, runs one command and switches the machine off.

It runs over the host's own root file system, read-only. What programs expect to be able to write (`/tmp`,
`/run`, `/etc`, `/var`) is in memory; the only way back is the results directory and the exit status.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from kernelbal.lab.backends.base import guest_environment, needed_directories

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from kernelbal.lab.backends.base import GuestCommand

EXCHANGE: Final = "/run/lab"
"""Where a guest sees the directory that it shares with the back end."""
EXIT_FILE: Final = "exit"
"""Name in that directory of the file with the command's exit status."""
SCRIPT_FILE: Final = "init"

_IN_MEMORY: Final = ("/tmp", "/dev/shm")  # noqa: S108 - mount points of the guest
_COPY_ON_WRITE: Final = ("/etc", "/var", "/root")


@dataclass(frozen=True, slots=True)
class Machine:
    """How one kind of guest differs from another.

    Attributes:
        share: shell function body that makes the host's directory `$1` visible at `$2`.
        stdout: terminal device for the command's output.
        stderr: terminal device for its errors; the same as `stdout` for an interactive command.
        prepare: shell commands once `/run` can be written to.
    """

    share: str
    stdout: str
    stderr: str
    prepare: str = ":"


_HEAD = """\
#!/bin/sh
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
share() {{
mkdir -p "$2"
{share}
}}
over() {{
    mkdir -p "/run/over$1/upper" "/run/over$1/work"
    mount -t overlay -o "lowerdir=$1,upperdir=/run/over$1/upper,workdir=/run/over$1/work" overlay "$1"
}}
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t tmpfs -o mode=755 tmpfs /run
mountpoint -q /dev || mount -t devtmpfs devtmpfs /dev
mkdir -p /dev/pts /dev/shm /run/netns /run/lock
mount -t devpts -o gid=5,mode=620,ptmxmode=666 devpts /dev/pts
ln -sf pts/ptmx /dev/ptmx
ln -sfn /proc/self/fd /dev/fd
{prepare}
share {exchange} {mount_point}
"""

_TAIL = """\
ip link set lo up
hostname lab
for device in {terminals}; do stty -F "$device" raw -echo 2>/dev/null; done
({environment}
cd {cwd} && exec {command}) {redirection}
echo $? >{exit_file}
# Changing a terminal's mode waits until all output has been taken.
for device in {terminals}; do stty -F "$device" raw 2>/dev/null; done
sync
echo o >/proc/sysrq-trigger
sleep 60
"""


def render_init(command: GuestCommand, machine: Machine, exchange: Path, *, size: tuple[int, int]) -> str:
    """Return the script.

    Args:
        command: what to run.
        machine: the kind of guest.
        exchange: the host's directory that becomes `EXCHANGE`; writable.
        size: rows and columns of the terminal of an interactive command.
    """
    head = _HEAD.format(
        share=machine.share, prepare=machine.prepare, exchange=_quoted(exchange), mount_point=EXCHANGE
    )
    environment = "; ".join(
        f"export {name}={shlex.quote(value)}" for name, value in guest_environment(command).items()
    )
    tail = _TAIL.format(
        terminals=" ".join(dict.fromkeys((machine.stdout, machine.stderr))),
        environment=environment,
        cwd=_quoted(command.cwd),
        command=_started(command, machine, size),
        redirection=_redirection(command, machine),
        exit_file=f"{EXCHANGE}/{EXIT_FILE}",
    )
    return head + "".join(f"{line}\n" for line in _mounts(command, exchange)) + tail


def _quoted(path: Path) -> str:
    return shlex.quote(str(path))


def _mounts(command: GuestCommand, exchange: Path) -> Iterable[str]:
    # Overlays first: a directory that is needed as it is may lie in one of them.
    yield from (f"over {directory}" for directory in _COPY_ON_WRITE)
    yield from (f"mount -t tmpfs -o mode=1777 tmpfs {directory}" for directory in _IN_MEMORY)
    hidden = [path for path in needed_directories(command) if _is_hidden(path)]
    yield from (f"share {_quoted(path)} {_quoted(path)}" for path in hidden)
    if command.results == exchange:
        yield f"mkdir -p {_quoted(exchange)}"
        yield f"mount --bind {EXCHANGE} {_quoted(exchange)}"
    elif command.results is not None:
        yield f"share {_quoted(command.results)} {_quoted(command.results)}"


def _is_hidden(path: Path) -> bool:
    return any(path.is_relative_to(directory) for directory in (*_IN_MEMORY, "/run"))


def _started(command: GuestCommand, machine: Machine, size: tuple[int, int]) -> str:
    argv = shlex.join(command.argv)
    if not command.interactive:
        return argv
    rows, columns = size
    sane = f"stty -F {machine.stdout} sane rows {rows} cols {columns}"
    return f"setsid --ctty --wait sh -c {shlex.quote(f'{sane}; exec {argv}')}"


def _redirection(command: GuestCommand, machine: Machine) -> str:
    if command.interactive:
        return f"<{machine.stdout} >{machine.stdout} 2>&1"
    return f"</dev/null >{machine.stdout} 2>{machine.stderr}"
