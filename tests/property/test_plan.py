"""What holds for every plan: it converges, it is idempotent, and it leaves alone what is not ours."""

import errno
from random import Random
from typing import TypeVar

from hypothesis import given, settings
from hypothesis import strategies as st

from kernelbal.model.address import AF_INET6, Address, family_of
from kernelbal.model.ipvs import DrainKey, ServiceKey
from kernelbal.model.network import AddressKey
from kernelbal.model.nft import EMPTY_TABLE
from kernelbal.model.node import Node
from kernelbal.model.site import Site
from kernelbal.plan.action import Action
from kernelbal.plan.desire import desired_state
from kernelbal.plan.kind import DesiredState, Note, Ownership
from kernelbal.plan.kinds.addresses import ADDRESSES, RemoveAddress, ReplaceAddress
from kernelbal.plan.kinds.routing import ROUTING
from kernelbal.plan.kinds.service_actions import (
    EditDestination,
    EditService,
    QuiesceDestination,
    RemoveDestination,
    RemoveService,
)
from kernelbal.plan.kinds.services import SERVICES
from kernelbal.plan.kinds.sysctls import SYSCTLS
from kernelbal.plan.kinds.tables import TABLES
from kernelbal.plan.kinds.timeouts import TIMEOUTS
from tests.property.strategies import (
    CHANGE,
    COUNTS,
    DESIRED,
    FLOWS,
    NODES,
    NOTHING,
    Crash,
    Flow,
    World,
    answered,
    changes,
    crash_after,
    image,
    kernels,
    sites,
)
from tests.support.fake_kernel import FakeKernel

T = TypeVar("T")

OFTEN = settings(deadline=None, max_examples=80)


def _is_as_wanted(kernel: FakeKernel, desired: DesiredState) -> None:
    assert {key: kernel.services[key] for key in desired.of(SERVICES).table} == desired.of(SERVICES).table
    held = {(key.device, key.address) for key in kernel.addresses}
    assert {(key.device, key.address) for key in desired.of(ADDRESSES)} <= held
    certain = [sysctl for sysctl in desired.of(SYSCTLS) if not sysctl.routed_by]
    assert {sysctl.path: kernel.sysctls[sysctl.path] for sysctl in certain} == {
        sysctl.path: sysctl.value for sysctl in certain
    }
    assert kernel.nft == (
        None
        if desired.of(TABLES).get(EMPTY_TABLE.title, EMPTY_TABLE).empty
        else desired.of(TABLES).get(EMPTY_TABLE.title, EMPTY_TABLE)
    )
    assert desired.of(TIMEOUTS) in (None, kernel.timeouts)
    assert (kernel.rules, kernel.table_routes) == (desired.of(ROUTING).rules, desired.of(ROUTING).routes)


@OFTEN
@given(kernels(), DESIRED)
def test_one_round_on_a_fresh_kernel_makes_it_as_wanted(kernel: FakeKernel, desired: DesiredState) -> None:
    report = World(kernel).apply(desired)
    assert report.converged
    _is_as_wanted(kernel, desired)


@OFTEN
@given(kernels(), CHANGE, COUNTS)
def test_second_apply_has_nothing_to_do(
    kernel: FakeKernel, change: list[DesiredState], counts: dict[int, int]
) -> None:
    before, desired = change
    world = World(kernel)
    world.apply(before)
    world.load(counts)
    assert world.apply(desired).converged
    assert world.apply(desired).plan.empty


@OFTEN
@given(kernels(), CHANGE, COUNTS)
def test_every_drain_ends(kernel: FakeKernel, change: list[DesiredState], counts: dict[int, int]) -> None:
    before, desired = change
    world = World(kernel)
    world.apply(before)
    world.load(counts)
    report = world.finish(desired)
    assert report.converged
    assert not report.remaining.drains
    _is_as_wanted(kernel, desired)
    ours = kernel.services.keys() - world.store.load().of(SERVICES).keys
    assert ours == kernel.services.keys() - desired.of(SERVICES).table.keys()


@OFTEN
@given(sites(), NODES, kernels(), st.randoms(use_true_random=False))
def test_order_in_the_site_file_means_nothing(
    site: Site, node: Node, kernel: FakeKernel, random: Random
) -> None:
    def shuffled(items: tuple[T, ...]) -> tuple[T, ...]:
        return tuple(random.sample(items, len(items)))

    services = [
        service.model_copy(update={"real_servers": shuffled(service.real_servers)})
        for service in site.virtual_services
    ]
    other = site.model_copy(
        update={
            "virtual_services": shuffled(tuple(services)),
            "networks": dict(shuffled(tuple(site.networks.items()))),
        }
    )
    world = World(kernel)
    world.apply(desired_state(site, node))
    assert world.apply(desired_state(other, node)).plan.empty


# --- ownership ---


def _touched(action: Action) -> ServiceKey | AddressKey | None:
    match action:
        case EditService() | RemoveService() | RemoveAddress() | ReplaceAddress():
            return action.key
        case EditDestination() | QuiesceDestination() | RemoveDestination():
            return action.service
        case _:
            return None


@OFTEN
@given(kernels(), changes(3), COUNTS)
def test_what_others_made_is_never_touched(
    kernel: FakeKernel, states: list[DesiredState], counts: dict[int, int]
) -> None:
    services = {key: (s.attributes, dict(s.destinations)) for key, s in kernel.services.items()}
    addresses = dict(kernel.addresses)
    world = World(kernel)
    for desired in (*states, NOTHING):
        world.apply(desired)
        world.load(counts)
        world.now += 45
    for action in kernel.performed:
        assert _touched(action) not in services.keys() | addresses.keys()
    after = {key: (s.attributes, s.destinations) for key, s in kernel.services.items()}
    assert {key: after.get(key) for key in services} == services
    assert {key: kernel.addresses.get(key) for key in addresses} == addresses


@OFTEN
@given(kernels(), CHANGE)
def test_what_others_made_is_shown(kernel: FakeKernel, change: list[DesiredState]) -> None:
    before, desired = change
    services, addresses = set(kernel.services), set(kernel.addresses)
    world = World(kernel)
    world.apply(before)
    plan = world.apply(desired).plan
    assert set(plan.noted(Note.FOREIGN).get("services", ())) == services - desired.of(SERVICES).table.keys()
    assert set(plan.noted(Note.FOREIGN).get("addresses", ())) == addresses - desired.of(ADDRESSES).keys()
    assert plan.noted(Note.FOREIGN).get("nftables_tables", ()) == kernel.foreign_tables


@OFTEN
@given(kernels(), DESIRED)
def test_existing_service_is_adopted_and_reported(kernel: FakeKernel, desired: DesiredState) -> None:
    other = World(FakeKernel(links=dict(kernel.links)))
    other.apply(desired)
    kernel.services.update(other.kernel.services)
    world = World(kernel)
    assert set(world.apply(desired).plan.keys(Note.ADOPTED)) == desired.of(SERVICES).table.keys()
    assert not world.apply(desired).plan.keys(Note.ADOPTED)


# --- drains ---


def _connections(kernel: FakeKernel) -> dict[DrainKey, int]:
    return {
        DrainKey(key, name): counters.active
        for key, each in kernel.counters.items()
        for name, counters in each.items()
        if counters.active
    }


@OFTEN
@given(kernels(), CHANGE, COUNTS, st.floats(0.0, 29.0))
def test_no_connection_is_cut_before_its_deadline(
    kernel: FakeKernel, change: list[DesiredState], counts: dict[int, int], wait_s: float
) -> None:
    before, desired = change
    world = World(kernel)
    world.apply(before)
    world.load(counts)
    policies = before.of(SERVICES).policies | desired.of(SERVICES).policies
    live = {
        key
        for key in _connections(kernel)
        if key.service not in policies or policies[key.service].drain_s > wait_s
    }
    addresses = {(k.device, k.address) for k in kernel.addresses}
    world.apply(desired)
    world.now += wait_s
    world.apply(desired)
    assert live <= _connections(kernel).keys()
    leaving = {key.service.address for key in live if not key.service.mark}
    still = {address for _, address in ((k.device, k.address) for k in kernel.addresses)}
    assert {address for _, address in addresses if address in leaving} <= still


@OFTEN
@given(kernels(), CHANGE, COUNTS)
def test_nothing_new_comes_to_what_leaves(
    kernel: FakeKernel, change: list[DesiredState], counts: dict[int, int]
) -> None:
    before, desired = change
    world = World(kernel)
    world.apply(before)
    world.load(counts)
    world.apply(desired)
    for key in world.store.load().of(SERVICES).keys:
        wanted = desired.of(SERVICES).table[key].destinations if key in desired.of(SERVICES).table else {}
        for name, attributes in kernel.services[key].destinations.items():
            assert name in wanted or attributes.weight == 0


@OFTEN
@given(kernels(), DESIRED, COUNTS)
def test_what_connections_need_stays_while_they_drain(
    kernel: FakeKernel, before: DesiredState, counts: dict[int, int]
) -> None:
    world = World(kernel)
    world.apply(before)
    world.load(counts)
    report = world.apply(NOTHING)
    if report.remaining.drains:
        for sysctl in before.of(SYSCTLS):
            assert sysctl.routed_by or kernel.sysctls[sysctl.path] == sysctl.value
        held = kernel.nft.chains if kernel.nft else ()
        assert {
            c for c in before.of(TABLES).get(EMPTY_TABLE.title, EMPTY_TABLE).chains if c.kind == "nat"
        } <= set(held)


# --- traffic ---


def _replaced_in_place(before: DesiredState, desired: DesiredState) -> set[Address]:
    """IPv6 addresses whose prefix changes: the kernel cannot hold both."""
    changed = {key.address for key in before.of(ADDRESSES).keys() - desired.of(ADDRESSES).keys()}
    return {address for address in changed if family_of(address) == AF_INET6}


@OFTEN
@given(kernels(), CHANGE, COUNTS)
def test_what_is_served_before_and_after_is_served_throughout(
    kernel: FakeKernel, change: list[DesiredState], counts: dict[int, int]
) -> None:
    before, desired = change
    world = World(kernel)
    world.apply(before)
    world.load(counts)
    moments: list[set[Flow]] = []

    def look(_: Action | None = None) -> int:
        moments.append({flow for flow in FLOWS if answered(kernel, flow)})
        return 0

    look()
    kernel.refuse = look
    world.apply(desired)
    look()
    steady = {f for f in moments[0] & moments[-1] if f[0] not in _replaced_in_place(before, desired)}
    assert all(steady <= moment for moment in moments)


@OFTEN
@given(kernels(), CHANGE, COUNTS)
def test_what_drains_does_not_keep_its_successor_from_answering(
    kernel: FakeKernel, change: list[DesiredState], counts: dict[int, int]
) -> None:
    before, desired = change
    fresh = FakeKernel(links=dict(kernel.links), sysctls=dict(kernel.sysctls))
    World(fresh).apply(desired)
    world = World(kernel)
    world.apply(before)
    world.load(counts)
    world.apply(desired)
    assert [f for f in FLOWS if answered(fresh, f) and not answered(kernel, f)] == []


# --- faults ---


@OFTEN
@given(kernels(), CHANGE, COUNTS, st.integers(0, 25))
def test_crash_anywhere_is_repaired_and_released(
    kernel: FakeKernel, change: list[DesiredState], counts: dict[int, int], index: int
) -> None:
    before, desired = change
    pristine = image(kernel)
    world = World(kernel)
    world.apply(before)
    world.load(counts)
    kernel.refuse = crash_after(index)
    try:
        world.apply(desired)
    except Crash:
        kernel.refuse = lambda _: 0
    kernel.refuse = lambda _: 0
    assert world.finish(desired).converged
    _is_as_wanted(kernel, desired)
    assert world.finish(NOTHING).converged
    assert image(kernel) == pristine


@OFTEN
@given(kernels(), DESIRED, COUNTS, st.integers(0, 25))
def test_crash_of_a_release_is_repaired(
    kernel: FakeKernel, desired: DesiredState, counts: dict[int, int], index: int
) -> None:
    pristine = image(kernel)
    world = World(kernel)
    world.apply(desired)
    world.load(counts)
    kernel.refuse = crash_after(index)
    try:
        world.finish(NOTHING)
    except Crash:
        world.now += 1
    kernel.refuse = lambda _: 0
    assert world.finish(NOTHING).converged
    assert image(kernel) == pristine
    assert world.apply(NOTHING).plan.empty


@OFTEN
@given(kernels(), CHANGE, st.sets(st.integers(0, 25), min_size=1))
def test_refused_actions_do_not_stop_the_others(
    kernel: FakeKernel, change: list[DesiredState], refused: set[int]
) -> None:
    before, desired = change
    world = World(kernel)
    world.apply(before)
    kernel.performed.clear()
    kernel.refuse = lambda _: errno.EINVAL if len(kernel.performed) in refused else 0
    report = world.apply(desired)
    assert len(report.outcomes) == len(report.plan.actions)
    assert report.converged is (not report.failed)
    assert bool(report.failed) is any(index < len(report.plan.actions) for index in refused)
    kernel.refuse = lambda _: 0
    assert world.finish(desired).converged
    _is_as_wanted(kernel, desired)


@OFTEN
@given(kernels(), CHANGE)
def test_release_leaves_the_kernel_as_it_was(kernel: FakeKernel, change: list[DesiredState]) -> None:
    first, second = change
    pristine = image(kernel)
    world = World(kernel)
    world.apply(first)
    world.apply(second)
    assert world.finish(NOTHING).converged
    assert image(kernel) == pristine
    record = world.store.load()
    assert record == Ownership()
