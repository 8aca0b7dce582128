"""A process that is killed with SIGKILL at one step of its work: before a change of the kernel or the disk.

The steps are those of the product: a netlink message that changes something (with others in one send where
they are sent so), an nftables transaction, a sysctl that is written, and each system call that changes a file
below a directory. A file is also left half written. Nothing of this is in the product: the hooks are set in a
child of the test, which ends with it.
"""

import asyncio
import io
import json
import math
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import pytest

from kernelbal.cli import app
from kernelbal.kernel import netlink, sysctl
from kernelbal.kernel.netlink import GENL_ID_CTRL, NETLINK_ROUTE, NLM_F_DUMP, Netlink, RawSocket
from kernelbal.kernel.netns import unshare
from kernelbal.kernel.nftables import Nftables
from kernelbal.lab.linuxns import CLONE_NEWNS, MS_BIND, MS_PRIVATE, MS_REC, mount
from kernelbal.lab.namespaces import Host
from kernelbal.realserver.persist import programs
from kernelbal.runtime.checker.checkers import Checkers
from kernelbal.store.files import replace_file
from kernelbal.store.state import StateDirectory

MESSAGES_PER_SEND = 2
"""So few that a batch of a test is many sends, as that of a large site is."""
SETTLED_S = 8.0
"""For a daemon to load a document, and to let the real servers drain that it leaves out."""
HEADER = struct.Struct("=IHHIIB")
"""A netlink header, and the command of a generic one."""
WRITING = ("open", "fchmod", "half", "fsync", "link")
"""What is done to a file beside its rename and its end."""
GENERIC_CHANGES = (1, 2, 3, 5, 6, 7, 12)
"""Commands of IPVS and of `fou` that change something (`linux/ip_vs.h`, `linux/fou.h`); reads are dumps."""


class Step(NamedTuple):
    """One change.

    Attributes:
        kind: `netlink`, `nftables`, `sysctl` or `file`.
        what: is changed.
    """

    kind: str
    what: str


@dataclass
class Steps:
    """Counts the steps of this process and ends it at one of them.

    Attributes:
        below: where files count: directories.
        fatal: number of the step before which the process ends.
        pipe: where it says which one that is.
        renames: whether new files count by their rename alone, and not by what comes before and after it.
        number: of the step that is next.
    """

    below: Sequence[Path]
    fatal: int
    pipe: int
    renames: bool = False
    number: int = 0
    counting: threading.Lock = field(default_factory=threading.Lock)

    def before(self, kind: str, what: str, last_deed: Callable[[], object] = lambda: None) -> None:
        """Count one step; the process that dies here does its last deed first."""
        if self.renames and kind == "file" and what.startswith(WRITING):
            return
        with self.counting:
            if self.number == self.fatal:
                os.write(self.pipe, f"{kind} {what}".encode())
                last_deed()
                os.kill(os.getpid(), signal.SIGKILL)
            self.number += 1

    def hook(self, patch: pytest.MonkeyPatch) -> None:
        """Have every step counted from now on."""
        self._hook_kernel(patch)
        for name in ("mkdir", "rmdir", "unlink", "replace", "link"):
            patch.setattr(os, name, self._of_path(name, getattr(os, name)))
        patch.setattr(os, "open", self._opening(os.open))
        patch.setattr(os, "fchmod", self._of_descriptor("fchmod", os.fchmod))
        patch.setattr(os, "fsync", self._flushing(os.fsync))

    def _hook_kernel(self, patch: pytest.MonkeyPatch) -> None:
        make, replace, write = Netlink.__init__, Nftables.replace, sysctl.write_sysctl
        call = programs.failure

        def watched(made: Netlink, sock: Any) -> None:  # noqa: ANN401 - a socket of the product
            make(made, _WatchedSocket(sock, sock.proto, self))

        def replaced(nftables: Nftables, table: Any) -> None:  # noqa: ANN401 - passed on
            self.before("nftables", table.title)
            replace(nftables, table)

        def written(path: str, value: str, root: Path = sysctl.ROOT) -> str:
            self.before("sysctl", path)
            return write(path, value, root)

        def called(command: Sequence[str]) -> str:
            self.before("program", " ".join(command))
            return call(command)

        patch.setattr(programs, "failure", called)
        patch.setattr(netlink, "MESSAGES_PER_SEND", MESSAGES_PER_SEND)
        patch.setattr(Netlink, "__init__", watched)
        patch.setattr(Nftables, "replace", replaced)
        patch.setattr(sysctl, "write_sysctl", written)

    def _counts(self, path: object) -> bool:
        return isinstance(path, str | os.PathLike) and any(map(Path(path).is_relative_to, self.below))

    def _of_path(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def hooked(path: object, *rest: object, **named: object) -> Any:  # noqa: ANN401 - passed on
            if self._counts(path):
                self.before("file", f"{name} {path}")
            return call(path, *rest, **named)

        return hooked

    def _opening(self, call: Callable[..., int]) -> Callable[..., int]:
        def hooked(path: object, flags: int, *rest: object, **named: object) -> int:
            if flags & os.O_TRUNC and self._counts(path):
                self.before("file", f"open {path}")
            return call(path, flags, *rest, **named)

        return hooked

    def _of_descriptor(self, name: str, call: Callable[..., None]) -> Callable[..., None]:
        def hooked(descriptor: int, *rest: object) -> None:
            path = os.readlink(f"/proc/self/fd/{descriptor}")
            if self._counts(path):
                self.before("file", f"{name} {path}")
            call(descriptor, *rest)

        return hooked

    def _flushing(self, call: Callable[..., None]) -> Callable[..., None]:
        flush = self._of_descriptor("fsync", call)

        def hooked(descriptor: int) -> None:
            path = Path(os.readlink(f"/proc/self/fd/{descriptor}"))
            if self._counts(path) and path.is_file():
                half = os.fstat(descriptor).st_size // 2
                self.before("file", f"half of {path}", lambda: os.ftruncate(descriptor, half))
            flush(descriptor)

        return hooked


@dataclass
class _WatchedSocket:
    """Counts a send that changes something."""

    sock: RawSocket
    protocol: int
    steps: Steps

    def send(self, data: bytes, /) -> int:
        if changes(data, self.protocol):
            self.steps.before("netlink", f"protocol {self.protocol}, {len(data)} bytes")
        return self.sock.send(data)

    def recv_into(self, buffer: memoryview, nbytes: int = 0, flags: int = 0, /) -> int:
        return self.sock.recv_into(buffer, nbytes, flags)

    def close(self) -> None:
        self.sock.close()


def changes(data: bytes, protocol: int) -> bool:
    """Return whether requests, of which the first one tells, change something."""
    kind: int
    _, kind, flags, _, _, command = HEADER.unpack_from(data)
    if protocol == NETLINK_ROUTE:
        return kind % 4 != 2  # every third of a group of four is a read (`linux/rtnetlink.h`)
    return kind != GENL_ID_CTRL and flags & NLM_F_DUMP != NLM_F_DUMP and command in GENERIC_CHANGES


class Boot(NamedTuple):
    """Files of a machine that systemd runs, as far as commands can tell.

    Attributes:
        etc: is there as `/etc`.
        systemctl: is called as `/usr/bin/systemctl`.
    """

    etc: Path
    systemctl: Path

    def enter(self) -> None:
        """Have this process find them, and no other."""
        unshare(CLONE_NEWNS)
        mount("none", "/", flags=MS_REC | MS_PRIVATE)
        mount("tmpfs", "/run", "tmpfs")
        Path("/run/systemd/system").mkdir(parents=True)
        for path, place in zip(self, ("/etc", "/usr/bin/systemctl"), strict=True):
            mount(str(path), place, flags=MS_BIND)


class Victims:
    """Processes that run a command and are killed, forked from one that is small: forking a test is slow.

    Args:
        host: where they run.
        below: where files count.
        rehearsal: command line of something harmless, which loads what the commands need.
        boot: what they find in the place of the machine's own files; nothing: those themselves.
    """

    def __init__(self, host: Host, below: Path, rehearsal: Sequence[str], boot: Boot | None = None) -> None:
        self._below = [str(below), *(["/etc"] if boot else [])]
        with host.inside():
            self._nursery = subprocess.Popen(
                [sys.executable, "-m", __name__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
        self._say([rehearsal, *map(str, boot or ())])

    def kill_at(self, number: int, argv: Sequence[str], *, renames: bool = False) -> Step | None:
        """Run a command that is killed before one of its steps; return that step.

        Args:
            number: of the step.
            argv: command line.
            renames: whether files count by their rename alone.

        Returns:
            None when there were not so many steps.
        """
        self._say([number, renames, self._below, *argv])
        assert self._nursery.stdout is not None
        status, said = json.loads(self._nursery.stdout.readline())
        if status == -signal.SIGKILL:
            return Step(*said.split(" ", 1))
        if status:
            raise AssertionError(f"{argv} exited with {status}: {said}")
        return None

    def _say(self, line: Sequence[object]) -> None:
        assert self._nursery.stdin is not None
        self._nursery.stdin.write(json.dumps(line) + "\n")
        self._nursery.stdin.flush()

    def close(self) -> None:
        """End where they come from."""
        self._nursery.communicate()


def _breed() -> None:
    """Run a command in a child for each line of standard input, and say how it ended."""
    rehearsal, *boot = json.loads(sys.stdin.readline())
    if boot:
        Boot(*map(Path, boot)).enter()
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        app.run(rehearsal)
    for line in sys.stdin:
        number, renames, below, *argv = json.loads(line)
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            _be_victim(Steps([Path(each) for each in below], number, writing, renames=renames), argv)
        os.close(writing)
        with open(reading, "rb") as pipe:
            said = pipe.read().decode()
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        sys.stdout.write(json.dumps([status, said]) + "\n")
        sys.stdout.flush()


def _be_victim(steps: Steps, argv: Sequence[str]) -> NoReturn:
    status = 1
    try:
        out = io.StringIO()
        patch = pytest.MonkeyPatch()
        if "--confirm" in argv:
            patch.setattr(subprocess, "Popen", lambda *_, **__: _Watcher(steps.below[0]))
        if argv[0] == "run":
            argv = _operated(patch, argv)
        steps.hook(patch)
        with redirect_stdout(out), redirect_stderr(out):
            status = app.run(list(argv))
        os.write(steps.pipe, out.getvalue().encode())
    except BaseException:  # noqa: BLE001 - whatever it was: this process must not go on as its parent
        os.write(steps.pipe, traceback.format_exc().encode())
    finally:
        os._exit(status)


def _operated(patch: pytest.MonkeyPatch, argv: Sequence[str]) -> list[str]:
    """Let a daemon run that ends by itself, after `--then FILE` with other documents; return its line.

    Nobody probes: its site has no checks.
    """
    patch.setattr(Checkers, "run", lambda _: asyncio.sleep(math.inf))
    line = list(argv)
    then = ""
    if "--then" in line:
        at = line.index("--then")
        _, then = line[at : at + 2]
        del line[at : at + 2]
    name = f"kernelbal-{os.getpid()}"
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    listening.bind(f"\0{name}")
    patch.setenv("NOTIFY_SOCKET", f"@{name}")
    threading.Thread(target=_operate, args=(listening, Path(line[1]), then), daemon=True).start()
    return line


def _operate(listening: socket.socket, site: Path, then: str) -> None:
    """Do what systemd and an operator would: await the daemon, replace its site file, and end it."""
    while not listening.recv(4096).startswith(b"READY=1"):
        pass
    if then:
        replace_file(site, Path(then).read_bytes(), 0o600)
        time.sleep(SETTLED_S)
    os.kill(os.getpid(), signal.SIGTERM)


class _Watcher:
    """Stands in for the process that rolls back, which the test does: it watches until this process ends."""

    def __init__(self, folder: Path) -> None:
        self._watching = StateDirectory(folder).watching()
        self._watching.__enter__()

    def poll(self) -> None:
        """It never ends by itself."""


def temporary_files(folder: Path) -> list[str]:
    """Return the names of files that a replacement had not finished with."""
    return sorted(str(each.relative_to(folder)) for each in folder.rglob(".*.new"))


def kinds(steps: Sequence[Step]) -> dict[str, int]:
    """Return how many steps there are of each kind."""
    return {kind: sum(each == kind for each, _ in steps) for kind in sorted({each for each, _ in steps})}


if __name__ == "__main__":
    _breed()
