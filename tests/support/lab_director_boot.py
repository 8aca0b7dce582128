"""A director on which systemd is the first process, with the unit as it is installed."""

import contextlib
import sys
import time
from pathlib import Path

from kernelbal.lab.backends.base import GuestCommand, needed_directories
from kernelbal.lab.namespaces import NamespaceLab
from kernelbal.lab.process import Completed
from kernelbal.render import unit_text
from tests.support.lab_commands import NODE
from tests.support.systemd import SystemdHost

PROGRAM = Path(sys.prefix) / "bin/kernelbal"
UNIT = "kernelbal.service"
BOOT_LIMIT_S = 60.0
POLL_S = 0.2
NEEDED_UNITS = (
    *("sysinit", "basic", "shutdown", "multi-user", "network-online", "sockets", "timers", "paths"),
)
"""Targets that systemd itself or the unit names; nothing else of the machine is started."""

FIRST_PROCESS = """\
set -e
mkdir -p /run/systemd /run/lock /etc/kernelbal /var/lib/kernelbal
mount -t tmpfs -o mode=755 tmpfs /run/systemd
mount --bind "$0/etc" /etc/kernelbal
mount --bind "$0/state" /var/lib/kernelbal
mountpoint -q /sys/fs/cgroup || mount -t cgroup2 cgroup2 /sys/fs/cgroup
exec env -i container=lab PATH=/usr/sbin:/usr/bin:/sbin:/bin SYSTEMD_UNIT_PATH="$0/units" \
    /lib/systemd/systemd --system --unit=multi-user.target --log-target=console --show-status=no
"""


class Machine(SystemdHost):
    """A lab's director with its own systemd; programs on it see what processes of that systemd see."""

    def __init__(self, lab: NamespaceLab, folder: Path) -> None:
        super().__init__(lab.director, folder)
        self.lab = lab
        for name in ("etc", "state"):
            (folder / name).mkdir()
        (folder / "etc/node.yaml").write_text(NODE[lab.topology.name])
        for name in NEEDED_UNITS:
            (folder / f"units/{name}.target").write_text("[Unit]\n")
        (folder / "units" / UNIT).write_text(unit_text(UNIT, PROGRAM))
        # What comes out is kept in a file, since no journal runs here.
        self.service("lab", f"StandardOutput=append:{folder / 'log'}\nStandardError=inherit\n{reachable()}")

    def service(self, name: str, lines: str) -> None:
        """Add lines to the unit's section `[Service]`."""
        self.drop_in(UNIT, f"[Service]\n{lines}\n", name)

    def write(self, site: str) -> None:
        """Replace the site document."""
        (self.folder / "etc/site.yaml").write_text(site)

    def boot(self) -> None:
        """Start systemd and wait until it answers."""
        self.start(FIRST_PROCESS)
        deadline_at = time.monotonic() + BOOT_LIMIT_S
        while time.monotonic() < deadline_at:
            if self.run("systemctl", "is-system-running", check=False).stdout == "running\n":
                return
            time.sleep(POLL_S)
        raise AssertionError(f"systemd did not come up: {(self.folder / 'systemd').read_text()}")

    def systemctl(self, *argv: str, code: int = 0) -> str:
        """Run `systemctl`, demand its exit code, and return all that it said."""
        done = self.run("systemctl", *argv, check=False)
        assert done.returncode == code, f"{argv}: {done.returncode}\n{done.stdout}{done.stderr}\n{self.log}"
        return done.stdout + done.stderr

    def kernelbal(self, *argv: str, code: int = 0) -> Completed:
        """Run a command of kernelbal as root, outside of the unit's restrictions."""
        done = self.run(str(PROGRAM), *argv, check=False)
        assert done.returncode == code, f"{argv}: {done.returncode}\n{done.stdout}{done.stderr}\n{self.log}"
        return done

    @property
    def log(self) -> str:
        """What the unit said."""
        with contextlib.suppress(FileNotFoundError):
            return (self.folder / "log").read_text()
        return ""

    def show(self, name: str) -> str:
        """A property of the unit."""
        return self.systemctl("show", "--value", f"--property={name}", UNIT).strip()

    def main_pid(self) -> int:
        """The daemon's process, as processes beside systemd number it."""
        return int(self.show("MainPID"))


def reachable() -> str:
    """Lines that let the unit see the checkout and the interpreter where its sandbox would hide them."""
    hidden = [
        path
        for path in needed_directories(GuestCommand(("true",), Path.cwd()))
        if any(path.is_relative_to(parent) for parent in ("/home", "/root", "/run/user", "/tmp", "/var/tmp"))
    ]
    if not hidden:
        return ""
    return "ProtectHome=tmpfs\nBindReadOnlyPaths=" + " ".join(map(str, hidden)) + "\n"
