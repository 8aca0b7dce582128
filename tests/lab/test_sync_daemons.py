"""Sync daemons on a real kernel, by rounds of the engine, with `ipvsadm` as the oracle."""

import errno
import subprocess
import time
from collections.abc import Iterator

import pytest

from kernelbal.kernel.linux import LinuxKernel
from kernelbal.lab.linuxns import create_namespace, delete_namespace, inside
from kernelbal.model.address import parse_address
from kernelbal.plan.action import Result
from kernelbal.plan.kind import DesiredState
from kernelbal.plan.kinds.links import LINKS
from kernelbal.plan.kinds.sync_daemons import SYNC_DAEMONS, SyncDaemon, SyncRole
from kernelbal.reconcile.round import PreparedRound, Reconciler, RoundReport
from tests.support import ipvsadm
from tests.support.fake_store import MemoryStore

pytestmark = [pytest.mark.needs_ipvs, pytest.mark.interop]

NAMESPACE = "sync"
MASTER, BACKUP = SyncRole.MASTER, SyncRole.BACKUP
DAEMON = SyncDaemon("kb0", 7)
GROUP6 = SyncDaemon("kb0", 0, parse_address("ff02::81"), 8849, 3, 1400)


class Rounds:
    """Rounds for sync daemons and links against the kernel of the namespace."""

    def __init__(self, kernel: LinuxKernel) -> None:
        self._store = MemoryStore()
        self._reconciler = Reconciler(kernel, self._store, lambda: 0.0, (LINKS, SYNC_DAEMONS))

    def __call__(self, **daemons: SyncDaemon) -> RoundReport:
        return self.perform(self.prepare(**daemons))

    def prepare(self, **daemons: SyncDaemon) -> PreparedRound:
        roles = {SyncRole(role): daemon for role, daemon in daemons.items()}
        return self._reconciler.prepare(DesiredState().having(SYNC_DAEMONS, roles))

    def perform(self, prepared: PreparedRound) -> RoundReport:
        return self._reconciler.perform(prepared)


@pytest.fixture
def rounds() -> Iterator[Rounds]:
    create_namespace(NAMESPACE)
    try:
        with inside(NAMESPACE), LinuxKernel() as kernel:
            ip("link", "add", "kb0", "type", "dummy")
            ip("link", "set", "kb0", "up")
            ip("address", "add", "192.0.2.1/24", "dev", "kb0")
            ip("address", "add", "2001:db8::1/64", "dev", "kb0", "nodad")
            yield Rounds(kernel)
            ipvsadm_stops("master")
            ipvsadm_stops("backup")
    finally:
        delete_namespace(NAMESPACE)


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True)


def ipvsadm_stops(role: str) -> None:
    time.sleep(0.05)  # ipvsadm waits for ever for an answer if the daemon's thread has not run yet
    subprocess.run(["ipvsadm", "--stop-daemon", role], check=False, capture_output=True)


def running() -> list[str]:
    """What `ipvsadm` says of each daemon."""
    return ipvsadm.run("-Ln", "--daemon").splitlines()


def test_start_change_and_release(rounds: Rounds) -> None:
    assert rounds(master=DAEMON).converged
    (line,) = running()
    assert "master sync daemon (mcast=kb0, syncid=7, maxlen=1452, group=224.0.0.81, port=8848, ttl=1)" in line
    assert rounds(master=DAEMON).plan.empty
    assert rounds(master=DAEMON._replace(sync_id=8, ttl=2)).converged
    (line,) = running()
    assert "syncid=8" in line
    assert "ttl=2" in line
    assert rounds().converged
    assert running() == []


def test_both_roles_at_once_with_an_ipv6_group(rounds: Rounds) -> None:
    report = rounds(master=GROUP6, backup=GROUP6)
    assert report.converged
    assert len(running()) == 2
    assert all("group=ff02::81, port=8849, ttl=3" in line for line in running())
    assert report.observed.of(SYNC_DAEMONS) == {MASTER: GROUP6, BACKUP: GROUP6}


def test_foreign_daemons_are_left_alone_and_named(rounds: Rounds) -> None:
    ipvsadm.run("--start-daemon", "master", "--mcast-interface", "kb0", "--syncid", "99")
    before = running()
    for _ in range(2):
        report = rounds(master=DAEMON, backup=DAEMON)
        (outcome,) = report.failed
        assert (outcome.errno, outcome.hint) == (errno.EEXIST, "ipvsadm --stop-daemon master")
    assert rounds().converged
    assert running() == before
    ipvsadm_stops("master")
    assert rounds(master=DAEMON).converged


def test_foreign_daemon_that_starts_after_the_observation_stays_foreign(rounds: Rounds) -> None:
    prepared = rounds.prepare(master=DAEMON)
    ipvsadm.run("--start-daemon", "master", "--mcast-interface", "kb0", "--syncid", "99")
    before = running()
    assert [outcome.errno for outcome in rounds.perform(prepared).failed] == [errno.EEXIST]
    assert [outcome.errno for outcome in rounds(master=DAEMON).failed] == [errno.EEXIST]
    assert rounds().converged
    assert running() == before


def test_external_change_is_reverted(rounds: Rounds) -> None:
    assert rounds(backup=DAEMON).converged
    ipvsadm_stops("backup")
    assert [outcome.result for outcome in rounds(backup=DAEMON).outcomes] == [Result.DONE]
    assert len(running()) == 1


def test_daemon_comes_back_with_its_interface(rounds: Rounds) -> None:
    assert rounds(master=DAEMON).converged
    ip("link", "delete", "kb0")
    assert len(running()) == 1
    (outcome,) = rounds(master=DAEMON).failed
    assert "there is no interface `kb0`" in outcome.message
    assert running() == []
    ip("link", "add", "kb0", "type", "dummy")
    ip("link", "set", "kb0", "up")
    ip("address", "add", "192.0.2.1/24", "dev", "kb0")
    assert rounds(master=DAEMON).converged


@pytest.mark.parametrize(
    ("role", "daemon", "number"),
    [
        ("master", DAEMON._replace(interface="kb9"), errno.ENODEV),
        ("master", DAEMON._replace(group=parse_address("192.0.2.9")), errno.EINVAL),
        ("backup", DAEMON._replace(max_length_bytes=100), errno.EOPNOTSUPP),
    ],
    ids=["no interface", "no multicast", "narrowed length"],
)
def test_refusals(rounds: Rounds, role: str, daemon: SyncDaemon, number: int) -> None:
    (outcome,) = rounds(**{role: daemon}).failed
    assert (outcome.result, outcome.errno) == (Result.FAILED, number)
    assert outcome.hint
    assert running() == []


@pytest.mark.parametrize(
    ("change", "daemon", "number"),
    [
        (["link", "set", "kb0", "down"], DAEMON, errno.ENETUNREACH),
        (["-6", "address", "flush", "dev", "kb0"], GROUP6, errno.EADDRNOTAVAIL),
    ],
    ids=["down", "no IPv6 address"],
)
def test_master_on_an_interface_that_does_not_reach_the_group(
    rounds: Rounds, change: list[str], daemon: SyncDaemon, number: int
) -> None:
    """A backup starts on both: it joins the group as soon as the interface lets it."""
    ip(*change)
    assert [outcome.errno for outcome in rounds(master=daemon, backup=daemon).failed] == [number]
    assert [line.split()[0] for line in running()] == ["backup"]
