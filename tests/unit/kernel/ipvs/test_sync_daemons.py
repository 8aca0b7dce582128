"""The driver of sync daemons against a scripted kernel, such as one that does not know all attributes."""

import errno
from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

import pytest

from kernelbal.errors import NotSupported
from kernelbal.kernel.ipvs import wire
from kernelbal.kernel.ipvs.sync_daemons import DRIVER, daemon_request
from kernelbal.kernel.ipvs.table import IpvsTable
from kernelbal.kernel.netlink import Netlink, attribute, nested
from kernelbal.model.address import parse_address
from kernelbal.plan.action import Action, Result
from kernelbal.plan.kind import ObservedState
from kernelbal.plan.kinds.sync_daemons import (
    SYNC_DAEMONS,
    RestartSyncDaemon,
    StartSyncDaemon,
    StopSyncDaemon,
    SyncDaemon,
    SyncRole,
)
from tests.unit.kernel.fake_netlink import FAMILY, FakeSocket, Reply, Request, ack, done, message

MASTER, BACKUP = SyncRole.MASTER, SyncRole.BACKUP
DAEMON = SyncDaemon("eth1", 300 - 45, parse_address("ff02::81"), 8849, 2, 1400)
FIRST_ATTRIBUTES = 32
"""Bytes of the attributes that every kernel knows: header, state, interface and sync ID."""


class Kernel:
    """Keeps what a request gives it, as the dump will say it; an old one keeps the first attributes."""

    def __init__(self, *, old: bool = False) -> None:
        self.daemons: dict[bytes, bytes] = {}
        self.commands: list[int] = []
        self.refusal = 0
        self.interrupted = False
        self._old = old

    def __call__(self, request: Request) -> Iterable[Reply]:
        self.commands.append(request.command)
        if request.is_dump:
            parts = [message(request.sequence, body) for body in self.daemons.values()]
            return [*parts, done(request.sequence)]
        state = request.body[4:12]
        if request.command == wire.CMD_DEL_DAEMON and self.interrupted:
            del self.daemons[state]
            return []
        if request.command == wire.CMD_DEL_DAEMON:
            return [ack(request.sequence, 0 if self.daemons.pop(state, None) else errno.ESRCH)]
        if state in self.daemons or self.refusal:
            return [ack(request.sequence, self.refusal or errno.EEXIST)]
        body = request.body
        self.daemons[state] = nested(3, body[4 : 4 + FIRST_ATTRIBUTES - 4]) if self._old else body
        return [ack(request.sequence)]


def performed(kernel: Kernel, *actions: Action) -> list[tuple[Result, int]]:
    outcomes = DRIVER.perform(sockets(kernel), actions)
    return [(outcome.result, outcome.errno) for outcome in outcomes]


def observed(kernel: Kernel) -> Any:  # noqa: ANN401 - what a driver found
    return DRIVER.observe(sockets(kernel), None, ObservedState()).of(SYNC_DAEMONS)


def sockets(kernel: Kernel) -> Any:  # noqa: ANN401 - one socket of them
    return SimpleNamespace(ipvs=IpvsTable(Netlink(FakeSocket(kernel)), FAMILY))


@pytest.mark.parametrize("group", ["224.0.0.81", "ff02::81"])
def test_what_is_started_is_read_back(group: str) -> None:
    kernel, daemon = Kernel(), DAEMON._replace(group=parse_address(group))
    assert (
        performed(kernel, StartSyncDaemon(MASTER, daemon), StartSyncDaemon(BACKUP, DAEMON))
        == [(Result.DONE, 0)] * 2
    )
    assert observed(kernel) == {MASTER: daemon, BACKUP: DAEMON}


def test_port_and_length_are_in_host_order() -> None:
    body = daemon_request(BACKUP, DAEMON)
    assert attribute(1, (2).to_bytes(4, "little")) in body
    assert attribute(7, (8849).to_bytes(2, "little")) in body
    assert attribute(4, (1400).to_bytes(2, "little")) in body


def test_change_stops_and_starts() -> None:
    kernel = Kernel()
    changed = DAEMON._replace(ttl=9)
    assert performed(kernel, StartSyncDaemon(MASTER, DAEMON)) == [(Result.DONE, 0)]
    assert performed(kernel, RestartSyncDaemon(MASTER, DAEMON, changed)) == [(Result.DONE, 0)]
    assert observed(kernel) == {MASTER: changed}


def test_change_of_one_that_stopped_meanwhile_starts_it() -> None:
    kernel = Kernel()
    assert performed(kernel, RestartSyncDaemon(MASTER, DAEMON, DAEMON)) == [(Result.DONE, 0)]


def test_refusals_have_their_action() -> None:
    kernel = Kernel()
    assert performed(kernel, StopSyncDaemon(MASTER)) == [(Result.ALREADY, errno.ESRCH)]
    start = StartSyncDaemon(MASTER, DAEMON)
    assert performed(kernel, start, start) == [(Result.DONE, 0), (Result.FAILED, errno.EEXIST)]


def test_kernel_without_groups_is_not_left_with_another_one() -> None:
    """It ignores what it does not know, and would be started anew in each round."""
    kernel = Kernel(old=True)
    assert performed(kernel, StartSyncDaemon(MASTER, DAEMON)) == [(Result.FAILED, errno.EOPNOTSUPP)]
    assert kernel.daemons == {}


def test_daemon_of_an_old_kernel_has_the_fixed_group() -> None:
    kernel = Kernel(old=True)
    sockets(kernel).ipvs.order(wire.CMD_NEW_DAEMON, daemon_request(MASTER, DAEMON))
    assert observed(kernel) == {MASTER: SyncDaemon("eth1", 255, max_length_bytes=0)}


def test_kernel_without_ipvs_has_none() -> None:
    class Lacking:
        @property
        def ipvs(self) -> IpvsTable:
            raise NotSupported("open", "", errno.ENOENT, "the kernel has no IPVS", "modprobe ip_vs")

    assert DRIVER.observe(Lacking(), None, ObservedState()) == ObservedState()  # type: ignore[arg-type] # it has no other


def test_a_daemon_that_has_not_run_yet_is_stopped_without_an_answer() -> None:
    """The kernel ends such a request with EINTR, which it acknowledges to nobody."""
    kernel = Kernel()
    kernel.interrupted = True
    assert performed(kernel, StartSyncDaemon(MASTER, DAEMON), StopSyncDaemon(MASTER)) == [
        (Result.DONE, 0),
        (Result.DONE, 0),
    ]
    assert observed(kernel) == {}
