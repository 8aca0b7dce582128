"""One round: observe, diff, plan, perform, observe again."""

import errno
from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest

from kernelbal.errors import KernelError
from kernelbal.model.ipvs import Drain, DrainKey, Timeouts
from kernelbal.model.network import AddressAttributes, Sysctl
from kernelbal.plan.action import Action, Result
from kernelbal.plan.classifier import build_table
from kernelbal.plan.drain import SETTLE_S
from kernelbal.plan.kind import AnyKind, DesiredState, ObservedState, Options, Ownership, Scope
from kernelbal.plan.kinds import DIRECTOR
from kernelbal.plan.kinds.addresses import ADDRESSES
from kernelbal.plan.kinds.links import LINKS
from kernelbal.plan.kinds.service_actions import AddService, QuiesceDestination, RemoveService
from kernelbal.plan.kinds.services import SERVICES, adopt, service_of
from kernelbal.plan.kinds.sysctls import SYSCTLS
from kernelbal.plan.planning import kept_state
from kernelbal.reconcile.round import Reconciler
from tests.support.builders import held, link, place, real, service, virtual, weighing
from tests.support.fake_kernel import FakeKernel, connections
from tests.support.fake_store import MemoryStore
from tests.support.states import desired_of, observed_of, owned_of

WEB = service("192.0.2.10", 80)
A, B = real("10.0.0.11"), real("10.0.0.12")
VIP = place("eth0", "192.0.2.10")
FORWARD = Sysctl("net/ipv4/ip_forward", "1", "Routes.")
WANTED = desired_of(
    services={WEB: virtual((A, weighing(1)))}, addresses={VIP: AddressAttributes()}, sysctls=(FORWARD,)
)
NOTHING = DesiredState()


@dataclass(slots=True)
class Bench:
    """A reconciler with everything around it."""

    kernel: FakeKernel = field(
        default_factory=lambda: FakeKernel(links={"eth0": link("eth0")}, sysctls={FORWARD.path: "0"})
    )
    store: MemoryStore = field(default_factory=MemoryStore)
    now: float = 1000.0

    @property
    def reconciler(self) -> Reconciler:
        return Reconciler(self.kernel, self.store, lambda: self.now)


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_round_makes_the_kernel_as_wanted_and_proves_it(bench: Bench) -> None:
    reconciler = bench.reconciler
    report = reconciler.perform(reconciler.prepare(WANTED))
    assert report.converged
    assert len(report.outcomes) == len(report.plan.actions) == 4
    assert bench.kernel.services == WANTED.of(SERVICES).table
    assert bench.kernel.sysctls[FORWARD.path] == "1"


def test_second_round_does_nothing_and_writes_nothing(bench: Bench) -> None:
    reconciler = bench.reconciler
    reconciler.perform(reconciler.prepare(WANTED))
    written = len(bench.store.saved)
    report = reconciler.perform(reconciler.prepare(WANTED))
    assert report.plan.empty
    assert report.converged
    assert len(bench.store.saved) == written


def test_prepare_changes_nothing(bench: Bench) -> None:
    """So a plan that is refused after it was shown claims nothing."""
    bench.reconciler.prepare(WANTED)
    assert bench.kernel.performed == []
    assert bench.store.saved == []


def test_record_is_written_before_the_first_action(bench: Bench) -> None:
    recorded: list[int] = []
    bench.kernel.refuse = lambda _: recorded.append(len(bench.store.saved)) or 0
    bench.reconciler.perform(bench.reconciler.prepare(WANTED))
    assert set(recorded) == {1}
    assert bench.store.saved[0] == owned_of(
        services=frozenset({WEB}), addresses=frozenset({VIP}), sysctls={FORWARD.path: "0"}
    )


def test_nothing_is_done_when_the_record_cannot_be_written(bench: Bench) -> None:
    class Full(MemoryStore):
        def save(self, ownership: Ownership) -> None:
            raise OSError(errno.ENOSPC, "full")

    bench.store = Full()
    prepared = bench.reconciler.prepare(WANTED)
    with pytest.raises(OSError, match="full"):
        bench.reconciler.perform(prepared)
    assert bench.kernel.performed == []


def test_refused_action_does_not_stop_the_others_and_is_reported(bench: Bench) -> None:
    bench.kernel.refuse = lambda action: errno.EINVAL if isinstance(action, AddService) else 0
    report = bench.reconciler.perform(bench.reconciler.prepare(WANTED))
    assert not report.converged
    assert report.failed[0].action == AddService(WEB, virtual().attributes)
    assert bench.kernel.sysctls[FORWARD.path] == "1"
    assert AddService(WEB, virtual().attributes) in report.remaining.actions


def test_round_with_a_refused_action_has_not_converged_even_when_nothing_is_left(bench: Bench) -> None:
    def refuse(_: Action) -> int:
        bench.kernel.sysctls[FORWARD.path] = FORWARD.value
        return errno.EBUSY

    bench.kernel.refuse = refuse
    report = bench.reconciler.perform(bench.reconciler.prepare(desired_of(sysctls=(FORWARD,))))
    assert report.remaining.empty
    assert not report.converged


def test_action_that_says_done_and_is_not_is_noticed(bench: Bench) -> None:
    def undo(_: Action) -> int:
        bench.kernel.sysctls[FORWARD.path] = "0"
        return 0

    bench.kernel.refuse = undo
    report = bench.reconciler.perform(bench.reconciler.prepare(WANTED))
    assert report.failed == ()
    assert [action.key for action in report.undone] == [FORWARD.path]
    assert not report.converged


def test_kernel_that_cannot_be_read_stops_everything(bench: Bench) -> None:
    class Deaf(FakeKernel):
        def observe(self, scopes: Mapping[AnyKind, Scope]) -> ObservedState:
            raise KernelError("read", "", errno.EPERM, "no")

    bench.kernel = Deaf()
    with pytest.raises(KernelError):
        bench.reconciler.prepare(NOTHING)
    assert bench.store.saved == []


# --- drains ---


def _draining(bench: Bench) -> Bench:
    bench.reconciler.perform(bench.reconciler.prepare(WANTED))
    bench.kernel.load(WEB, 3)
    return bench


def test_drain_is_recorded_with_its_deadline(bench: Bench) -> None:
    report = _draining(bench).reconciler.perform(bench.reconciler.prepare(NOTHING))
    assert report.converged
    assert report.remaining.pending[0].connections == 3
    assert bench.store.load().of(SERVICES).drains == {DrainKey(WEB, A): Drain(1000.0, 1060.0)}


@pytest.mark.parametrize("gone", [True, False], ids=["connections end", "deadline passes"])
def test_drain_that_ends_during_its_own_round_is_no_fault(bench: Bench, gone: bool) -> None:
    def end(action: Action) -> int:
        if isinstance(action, QuiesceDestination):
            bench.kernel.counters[WEB][A] = connections(0 if gone else 3)
            bench.now += 0 if gone else 100
        return 0

    _draining(bench).kernel.refuse = end
    assert bench.reconciler.perform(bench.reconciler.prepare(NOTHING)).converged
    bench.now += SETTLE_S
    assert RemoveService(WEB) in bench.reconciler.prepare(NOTHING).plan.actions


def test_release_while_a_real_server_drains_waits_for_it(bench: Bench) -> None:
    only_b = desired_of(services={WEB: virtual((B, weighing(1)))}, addresses=WANTED.of(ADDRESSES))
    _draining(bench).reconciler.perform(bench.reconciler.prepare(only_b))
    bench.now += 10
    bench.reconciler.perform(bench.reconciler.prepare(NOTHING))
    bench.now += SETTLE_S
    bench.reconciler.perform(bench.reconciler.prepare(NOTHING))
    assert list(bench.kernel.services[WEB].destinations) == [A]
    assert bench.store.load().of(SERVICES).drains == {DrainKey(WEB, A): Drain(1000.0, 1060.0)}
    assert VIP in bench.kernel.addresses
    bench.now += 50
    assert bench.reconciler.perform(bench.reconciler.prepare(NOTHING)).converged
    assert (bench.kernel.services, bench.kernel.addresses) == ({}, {})
    assert bench.store.load() == Ownership()


def test_cut_release_is_over_at_once(bench: Bench) -> None:
    options = Options(cut=True)
    _draining(bench).reconciler.perform(bench.reconciler.prepare(NOTHING, options), options)
    assert (bench.kernel.services, bench.kernel.addresses) == ({}, {})
    assert bench.store.load() == Ownership()


# --- what is read ---


def _many(count: int, weight: int) -> DesiredState:
    keys = [service("192.0.2.10", port) for port in range(1, count + 1)]
    services = {key: virtual((A, weighing(1))) for key in keys}
    services[keys[0]] = virtual((A, weighing(weight)))
    return desired_of(services=services)


def test_second_look_reads_only_what_a_small_plan_touched(bench: Bench) -> None:
    reads: list[Scope] = []

    class Counting(FakeKernel):
        def observe(self, scopes: Mapping[AnyKind, Scope]) -> ObservedState:
            reads.append(scopes[SERVICES])
            return FakeKernel.observe(self, scopes)

    bench.kernel = Counting()
    bench.reconciler.perform(bench.reconciler.prepare(_many(20, 1)))
    report = bench.reconciler.perform(bench.reconciler.prepare(_many(20, 5)))
    assert report.converged
    assert reads == [None, None, None, {service("192.0.2.10", 1)}]


def test_touched_services_are_those_that_any_action_names() -> None:
    first, second = service("192.0.2.10", 1), service("192.0.2.10", 2)
    kernel = FakeKernel(services={first: virtual((A, weighing(1))), second: virtual()})
    reconciler = Reconciler(kernel, MemoryStore([owned_of(services=frozenset({second}))]), lambda: 0.0)
    plan = reconciler.prepare(desired_of(services={first: virtual((A, weighing(2)))})).plan
    assert {service_of(action) for action in plan.actions} == {first, second}


# --- a state to come back to ---


def test_owned_state_comes_back_to_what_was_ours(bench: Bench) -> None:
    foreign = service("192.0.2.99", 80)
    bench.kernel.services[foreign] = virtual()
    bench.kernel.counters[foreign] = {}
    reconciler = bench.reconciler
    reconciler.perform(reconciler.prepare(WANTED))
    prepared = reconciler.prepare(NOTHING)
    before = kept_state(DIRECTOR, prepared.observed, prepared.ownership)
    assert before.of(SERVICES).table.keys() == {WEB}
    table = build_table({(VIP.address, 6, 1, 9): 7}, frozenset())
    other = desired_of(
        services={WEB: virtual((B, weighing(1)), scheduler="sh"), service("192.0.2.10", 81): virtual()},
        nft=table,
        timeouts=Timeouts(1, 2, 3),
    )
    reconciler.perform(reconciler.prepare(other))
    assert reconciler.perform(reconciler.prepare(before)).converged
    bench.now += SETTLE_S
    assert reconciler.perform(reconciler.prepare(before)).converged
    assert bench.kernel.services == {foreign: virtual(), **WANTED.of(SERVICES).table}
    assert VIP in bench.kernel.addresses
    assert (bench.kernel.nft, bench.kernel.timeouts) == (None, Timeouts())
    assert bench.kernel.sysctls == {FORWARD.path: "1"}


def test_owned_state_lets_what_drains_go_on_draining() -> None:
    observed = observed_of(services={WEB: virtual((A, weighing(0)), (B, weighing(1)))})
    ours = owned_of(services=frozenset({WEB}), drains={DrainKey(WEB, A): Drain(0, 60)})
    assert kept_state(DIRECTOR, observed, ours).of(SERVICES).table == {WEB: virtual((B, weighing(1)))}


def test_owned_state_keeps_services_that_a_plan_adopts() -> None:
    """Else undoing the plan would remove what somebody else had made."""
    observed = observed_of(services={WEB: virtual((A, weighing(0)))})
    assert kept_state(DIRECTOR, observed, Ownership()).of(SERVICES).table == {}
    assert kept_state(DIRECTOR, observed, adopt(Ownership(), {WEB})).of(SERVICES).table == observed.of(
        SERVICES
    )


def test_owned_state_knows_addresses_by_record_and_by_the_kernels_mark_and_links_by_record() -> None:
    marked, recorded, foreign = (place("eth0", f"192.0.2.{n}") for n in (1, 2, 3))
    observed = observed_of(
        addresses=(held(marked, ours=True), held(recorded), held(foreign)),
        links=(link("tunl0", kind="ipip"), link("eth0")),
    )
    ours = owned_of(addresses=frozenset({recorded}), links=frozenset({"tunl0"}))
    state = kept_state(DIRECTOR, observed, ours)
    assert set(state.of(ADDRESSES)) == {marked, recorded}
    assert [(each.name, each.kind) for each in state.of(LINKS)] == [("tunl0", "ipip")]


def test_real_servers_of_a_refused_service_are_not_even_tried(bench: Bench) -> None:
    bench.kernel.refuse = lambda action: errno.EINVAL if isinstance(action, AddService) else 0
    report = bench.reconciler.perform(bench.reconciler.prepare(WANTED))
    assert [outcome.result for outcome in report.failed] == [Result.FAILED]
    (waiting,) = [outcome for outcome in report.outcomes if outcome.result is Result.SKIPPED]
    assert "failed: the kernel refuses" in waiting.message
    assert report.undone == (), "what waits is no fight with another program"


def test_what_counts_beside_a_sysctl_is_read_too(bench: Bench) -> None:
    bench.kernel.sysctls |= {"net/eth0/rp_filter": "0", "net/all/rp_filter": "1"}
    loosened = Sysctl("net/eth0/rp_filter", "2", "Why.", replaces="1", beside="net/all/rp_filter")
    reconciler = bench.reconciler
    assert reconciler.perform(reconciler.prepare(desired_of(sysctls=(loosened,)))).converged
    assert bench.kernel.sysctls["net/eth0/rp_filter"] == "2"
    assert bench.store.load().of(SYSCTLS) == {"net/eth0/rp_filter": "0"}
    reconciler.perform(reconciler.prepare(NOTHING))
    assert bench.kernel.sysctls["net/eth0/rp_filter"] == "0"
