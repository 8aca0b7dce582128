"""Sync daemons: when they start, restart and stop, and whose they are left."""

import errno
from collections.abc import Hashable

import pytest

from kernelbal.kernel.refusals import refused
from kernelbal.model.address import parse_address
from kernelbal.plan.action import Action
from kernelbal.plan.document import plan_document
from kernelbal.plan.kind import DesiredState, Note, ObservedState, Ownership
from kernelbal.plan.kinds import DIRECTOR, describe, impact
from kernelbal.plan.kinds.addresses import ADDRESSES, AddAddress
from kernelbal.plan.kinds.links import LINKS
from kernelbal.plan.kinds.services import SERVICES, DesiredServices
from kernelbal.plan.kinds.sync_daemons import (
    SYNC_DAEMONS,
    RestartSyncDaemon,
    StartSyncDaemon,
    StopSyncDaemon,
    SyncDaemon,
    SyncRole,
)
from kernelbal.plan.planning import Plan, claim, make_plan, scopes
from kernelbal.reconcile.round import Reconciler
from kernelbal.store.records import OWNERSHIP
from tests.support.builders import link, place, real, service, virtual, weighing
from tests.support.fake_kernel import FakeKernel
from tests.support.fake_store import MemoryStore
from tests.support.states import desired_of, owned_of

MASTER, BACKUP = SyncRole.MASTER, SyncRole.BACKUP
ETH1 = SyncDaemon("eth1", 7)
OTHER = ETH1._replace(sync_id=9)
Daemons = dict[SyncRole, SyncDaemon]


def desiring(daemons: Daemons) -> DesiredState:
    return DesiredState().having(SYNC_DAEMONS, daemons)


def observing(daemons: Daemons, *interfaces: str) -> ObservedState:
    state = ObservedState().having(SYNC_DAEMONS, daemons)
    return state.having(LINKS, tuple(link(name) for name in interfaces))


def owning(*roles: SyncRole) -> Ownership:
    return Ownership().having(SYNC_DAEMONS, frozenset(roles))


def planned(desired: Daemons, observed: ObservedState, *owned: SyncRole) -> Plan:
    return make_plan(DIRECTOR, desiring(desired), observed, owning(*owned), 0)


@pytest.mark.parametrize(
    ("desired", "observed", "owned", "actions"),
    [
        ({MASTER: ETH1}, {}, [], [StartSyncDaemon(MASTER, ETH1)]),
        ({MASTER: ETH1}, {MASTER: ETH1}, [MASTER], []),
        ({MASTER: ETH1}, {MASTER: OTHER}, [MASTER], [RestartSyncDaemon(MASTER, OTHER, ETH1)]),
        ({}, {MASTER: ETH1, BACKUP: ETH1}, [MASTER], [StopSyncDaemon(MASTER)]),
        (
            *({MASTER: ETH1, BACKUP: OTHER}, {}, []),
            [StartSyncDaemon(MASTER, ETH1), StartSyncDaemon(BACKUP, OTHER)],
        ),
        ({MASTER: ETH1}, {MASTER: ETH1}, [], []),
        ({MASTER: ETH1}, {MASTER: OTHER}, [], [StartSyncDaemon(MASTER, ETH1)]),
    ],
    ids=["new", "there", "changed", "released", "both roles", "foreign alike", "foreign in the way"],
)
def test_daemon(desired: Daemons, observed: Daemons, owned: list[SyncRole], actions: list[Action]) -> None:
    plan = planned(desired, observing(observed), *owned)
    assert list(plan.actions) == actions
    assert set(plan.keys(Note.FOREIGN)) == observed.keys() - owned


def test_daemon_that_lost_its_interface_is_restarted() -> None:
    """It goes on in the kernel with the same attributes, and neither sends nor hears."""
    restart = (RestartSyncDaemon(MASTER, ETH1, ETH1),)
    assert planned({MASTER: ETH1}, observing({MASTER: ETH1}, "lo"), MASTER).actions == restart
    assert planned({MASTER: ETH1}, observing({MASTER: ETH1}, "lo", "eth1"), MASTER).empty
    assert planned({MASTER: ETH1}, observing({MASTER: ETH1}, "lo")).empty


def test_foreign_daemon_is_named_where_none_is_desired() -> None:
    assert scopes(DIRECTOR)[SYNC_DAEMONS] is None
    document = plan_document(planned({}, observing({MASTER: OTHER})), {}, ObservedState())
    assert document.foreign == {
        "services": [],
        "addresses": [],
        "sync_daemons": ["master"],
        "nftables_tables": [],
    }


def test_daemon_starts_after_the_addresses_of_its_interface() -> None:
    address = place("eth1", "192.0.2.10")
    desired = desired_of(addresses={address: ()}).having(SYNC_DAEMONS, {MASTER: ETH1})
    plan = make_plan(DIRECTOR, desired, ObservedState(), Ownership(), 0)
    assert [type(action) for action in plan.actions] == [AddAddress, StartSyncDaemon]
    assert ADDRESSES in DIRECTOR


def test_daemon_stops_before_real_servers_of_another_family_are_added() -> None:
    web = service("192.0.2.10", 80)
    desired = DesiredState().having(
        SERVICES, DesiredServices({web: virtual((real("fd00::11"), weighing(1)))})
    )
    plan = make_plan(DIRECTOR, desired, observing({MASTER: ETH1}), owning(MASTER), 0)
    kinds = [batch.kind.name for batch in plan.batches]
    assert kinds == ["services", "sync_daemons", "services"]


def test_foreign_daemon_is_not_claimed_by_an_attempt_to_start_ours() -> None:
    observed = observing({MASTER: OTHER})
    plan = planned({MASTER: ETH1, BACKUP: ETH1}, observed)
    record = claim(DIRECTOR, Ownership(), plan, desiring({MASTER: ETH1, BACKUP: ETH1}), observed)
    assert record.of(SYNC_DAEMONS) == {BACKUP}


def test_rounds_start_change_and_release() -> None:
    kernel, store = FakeKernel(links={"eth1": link("eth1")}), MemoryStore()
    reconciler = Reconciler(kernel, store, lambda: 0.0)
    for desired in ({MASTER: ETH1}, {MASTER: OTHER, BACKUP: ETH1}, {}):
        report = reconciler.perform(reconciler.prepare(desiring(desired)))
        assert report.converged
        assert kernel.objects[SYNC_DAEMONS.name] == desired
        assert store.load().of(SYNC_DAEMONS) == desired.keys()


@pytest.mark.parametrize("whole", [False, True], ids=["each", "whole"])
@pytest.mark.parametrize("first", [{}, {MASTER: ETH1}], ids=["start", "restart"])
def test_foreign_daemon_that_starts_after_the_observation_stays_foreign(first: Daemons, whole: bool) -> None:
    """The claim was written before the kernel was asked, and is withdrawn by its EEXIST."""
    kernel, store = FakeKernel(links={"eth1": link("eth1")}), MemoryStore()
    reconciler = Reconciler(kernel, store, lambda: 0.0, whole=whole)
    reconciler.perform(reconciler.prepare(desiring(first)))
    theirs: dict[Hashable, SyncDaemon] = {MASTER: ETH1._replace(sync_id=99)}

    def refuse(action: Action) -> int:
        kernel.objects[SYNC_DAEMONS.name] = theirs
        return errno.EEXIST

    prepared = reconciler.prepare(desiring({MASTER: OTHER}))
    kernel.refuse = refuse
    assert len(reconciler.perform(prepared).failed) == 1
    assert store.load().of(SYNC_DAEMONS) == frozenset()
    assert reconciler.prepare(desiring({})).plan.empty
    assert [type(each) for each in reconciler.prepare(prepared.desired).plan.actions] == [StartSyncDaemon]


def test_record_names_roles_and_is_silent_where_there_are_none() -> None:
    assert b'"sync_daemons":["backup","master"]' in OWNERSHIP.encode(owning(MASTER, BACKUP))
    assert OWNERSHIP.decode(OWNERSHIP.encode(owning(MASTER, BACKUP))) == owning(MASTER, BACKUP)
    assert b"sync_daemons" not in OWNERSHIP.encode(owned_of())


def test_words() -> None:
    six = ETH1._replace(group=parse_address("ff02::81"), port=9000)
    assert describe(StartSyncDaemon(MASTER, six), {}) == (
        *("+", "sync daemon master [ff02::81]:9000 on eth1 sync_id 7 ttl 1 max_length 1452"),
    )
    assert describe(RestartSyncDaemon(BACKUP, ETH1, OTHER), {}) == (
        "~",
        "sync daemon backup 224.0.0.81:8848 on eth1 sync_id 7 ttl 1 max_length 1452"
        " -> 224.0.0.81:8848 on eth1 sync_id 9 ttl 1 max_length 1452",
    )
    assert describe(StopSyncDaemon(BACKUP), {}) == ("-", "sync daemon backup")


def test_impact() -> None:
    nothing = ObservedState()
    assert "partner does not learn" in impact(StopSyncDaemon(MASTER), nothing)
    assert "while it restarts" in impact(RestartSyncDaemon(BACKUP, ETH1, OTHER), nothing)
    assert impact(StartSyncDaemon(MASTER, ETH1), nothing) == ""


@pytest.mark.parametrize(
    ("number", "message", "hint"),
    [
        (errno.EEXIST, "not kernelbal's", "ipvsadm --stop-daemon master"),
        (errno.ENODEV, "no interface `eth1`", "ip link"),
        (errno.EADDRINUSE, "port 8848", "both directors"),
        (errno.EINVAL, "multicast", "224.0.0.0/4"),
    ],
)
def test_refusals(number: int, message: str, hint: str) -> None:
    outcome = refused(StartSyncDaemon(MASTER, ETH1), number)
    assert message in outcome.message
    assert hint in outcome.hint
