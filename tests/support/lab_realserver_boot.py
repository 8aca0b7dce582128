"""A real server that boots systemd, with files in `/etc` that were written before.

The network namespace is the lab's, fresh; `/etc` is a copy, for this machine alone. Units are the
distribution's own, but only those that a test names.
"""

import os
import shutil
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest

from kernelbal.lab.namespaces import Host
from kernelbal.model.network import AddressKey
from kernelbal.plan.kind import Ownership
from kernelbal.plan.planning import make_plan, scopes
from kernelbal.realserver.host import LinuxHost, read_host
from kernelbal.realserver.persist.manager import file_mode
from kernelbal.realserver.run import ADDRESSES, KINDS
from kernelbal.realserver.setup import HostState, Setup
from tests.support.systemd import SystemdHost

BOOT_LIMIT_S = 90.0
POLL_S = 0.2
UNITS = Path("usr/lib/systemd/system")
UNPACKED = Path(sys.prefix) / "unpacked"
"""Packages that `scripts/setup test` has taken apart: beside what is installed, for this machine alone."""
TARGETS = {
    **dict.fromkeys(("sysinit", "shutdown", "network-online"), ""),
    "basic": "Requires=sysinit.target\nAfter=sysinit.target\n",
    "multi-user": "Requires=basic.target\nAfter=basic.target\n",
}
"""Targets without the rest that the distribution hangs into them."""
ALWAYS = (
    *("network-pre.target", "network.target", "sockets.target", "timers.target", "paths.target"),
    *("systemd-sysctl.service", "systemd-modules-load.service"),
)
EARLY = ("systemd-sysctl.service", "systemd-modules-load.service")
"""What `sysinit.target` wants, as in the distribution."""

FIRST_PROCESS = """\
set -e
mount -t tmpfs -o mode=755 tmpfs /run
mkdir /run/systemd /run/lock
mount --bind "$0/etc" /etc
mount --bind "$0/var" /var/lib
mount -t sysfs -o ro sysfs /sys
mount -t cgroup2 cgroup2 /sys/fs/cgroup
if [ -d "$1/usr" ]; then mount -t overlay -o "lowerdir=$1/usr:/usr" overlay /usr; fi
exec env -i container=lab PATH=/usr/sbin:/usr/bin:/sbin:/bin \
    SYSTEMD_UNIT_PATH="$0/units:/etc/systemd/system" \
    /lib/systemd/systemd --system --unit=multi-user.target --log-target=console --show-status=no
"""


class BootingHost(SystemdHost):
    """A host of a lab on which systemd is started.

    Attributes:
        host: where it is on the network.
        wanted: units of the distribution that `multi-user.target` wants.
    """

    def __init__(self, host: Host, folder: Path, wanted: Iterable[str] = ()) -> None:
        super().__init__(host, folder)
        (folder / "var").mkdir()
        shutil.copytree("/etc", folder / "etc", symlinks=True, ignore=shutil.ignore_patterns("systemd"))
        if UNPACKED.is_dir():
            shutil.copytree(UNPACKED / "etc", folder / "etc", symlinks=True, dirs_exist_ok=True)
        for name, text in TARGETS.items():
            (folder / f"units/{name}.target").write_text(f"[Unit]\n{text}")
        for name in (*ALWAYS, *wanted):
            shutil.copy(unit_file(name), folder / "units" / name)
        self._wants("sysinit", EARLY)
        self._wants("multi-user", wanted)

    def _wants(self, target: str, names: Iterable[str]) -> None:
        directory = self.folder / f"units/{target}.target.wants"
        directory.mkdir()
        for name in names:
            (directory / name).symlink_to(f"../{name}")

    def write(self, files: Mapping[str, str]) -> None:
        """Write files as they are written on a host."""
        for path, text in files.items():
            place = self.folder / path.lstrip("/")
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text)
            place.chmod(file_mode(path))

    def boot(self) -> None:
        """Start systemd, and return at once."""
        self.start(FIRST_PROCESS, str(UNPACKED))

    def await_booted(self) -> None:
        """Wait until systemd has started all that it should start, and has no more to do."""
        deadline_at = time.monotonic() + BOOT_LIMIT_S
        state = ""
        while time.monotonic() < deadline_at:
            state = self.run("systemctl", "is-system-running", check=False).stdout.strip()
            jobs = self.run("systemctl", "list-jobs", "--no-legend", check=False).stdout
            if state in ("running", "degraded") and not jobs.strip():
                break
            time.sleep(POLL_S)
        failed = self.run("systemctl", "--failed", "--plain", "--no-legend", check=False).stdout
        assert (state, failed) == ("running", ""), f"{state}\n{failed}{self.log}"

    @property
    def log(self) -> str:
        """What systemd and the units said, and what is going on."""
        said = [(self.folder / "systemd").read_text()] if (self.folder / "systemd").exists() else []
        looks = ("systemctl list-jobs", "systemctl --failed", "ps -e -o pid,etime,args")
        said += [self.run(*look.split(), check=False).stdout for look in looks]
        return "\n".join(said)


def unit_file(name: str) -> Path:
    """A unit of the distribution; without its package the test is skipped, or fails where CI is set."""
    for root in (Path("/"), UNPACKED):
        if (root / UNITS / name).exists():
            return root / UNITS / name
    reason = f"{name} is not here (scripts/setup test fetches its package)"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


def observed(host: Host) -> HostState:
    """What a setup for a host is made from."""
    with host.inside(), LinuxHost() as kernel:
        return read_host(kernel)


def missing(host: Host, setup: Setup) -> list[str]:
    """What an apply would still have to do on a host; an address with wrong flags counts."""
    desired, owned = setup.desired, Ownership().having(ADDRESSES, frozenset(setup.addresses))
    with host.inside(), LinuxHost() as kernel:
        found = kernel.observe(scopes(KINDS, desired, owned))
    return [str(action) for action in make_plan(KINDS, desired, found, owned, 0.0).actions]


def holds(host: Host, key: AddressKey) -> bool:
    """Whether a host has an address."""
    said = host.run(["ip", "-oneline", "address", "show", "dev", key.device], check=False).stdout
    return str(key).partition(" ")[0] in said.split()
