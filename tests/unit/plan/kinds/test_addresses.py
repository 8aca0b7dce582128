"""Addresses that leave, and those of others that depend on them."""

import errno

import pytest

from kernelbal.model.network import AddressAttributes, ObservedAddress, Sysctl
from kernelbal.plan.action import Result
from kernelbal.plan.kind import DesiredState
from kernelbal.plan.kinds.addresses import RemoveAddress, ReplaceAddress, promotion
from kernelbal.plan.kinds.sysctls import SYSCTLS, WriteSysctl
from kernelbal.reconcile.round import Reconciler, RoundReport
from tests.support.builders import held, link, place
from tests.support.fake_kernel import FakeKernel
from tests.support.fake_store import MemoryStore
from tests.support.states import desired_of, owned_of

VIP = place("eth0", "192.0.2.10", 24)
PATH, ALL = promotion("eth0"), promotion("all")
PLAIN = AddressAttributes()
NOTHING = DesiredState()


def kernel_with(*addresses: ObservedAddress, device: str = "0", everywhere: str = "0") -> FakeKernel:
    return FakeKernel(
        addresses={each.key: each for each in addresses},
        links={"eth0": link("eth0")},
        sysctls={PATH: device, ALL: everywhere},
    )


def run(kernel: FakeKernel, store: MemoryStore, desired: DesiredState = NOTHING) -> RoundReport:
    reconciler = Reconciler(kernel, store, lambda: 0.0)
    return reconciler.perform(reconciler.prepare(desired))


def writes(report: RoundReport) -> list[tuple[str, str]]:
    return [(each.old, each.value) for each in report.plan.actions if isinstance(each, WriteSysctl)]


def test_secondary_addresses_are_promoted_while_an_address_leaves_and_no_longer() -> None:
    kernel = kernel_with(held(VIP, ours=True))
    report = run(kernel, MemoryStore())
    assert report.converged
    assert [type(each) for each in report.plan.actions] == [WriteSysctl, RemoveAddress, WriteSysctl]
    assert (writes(report), kernel.sysctls[PATH]) == ([("0", "1"), ("1", "0")], "0")


def test_flag_that_the_kernel_keeps_needs_the_address_anew() -> None:
    kernel = kernel_with(held(VIP, ours=True))
    report = run(kernel, MemoryStore(), desired_of(addresses={VIP: PLAIN._replace(no_prefix_route=True)}))
    assert [type(each) for each in report.plan.actions] == [WriteSysctl, ReplaceAddress, WriteSysctl]


@pytest.mark.parametrize(("device", "everywhere"), [("1", "0"), ("0", "1")])
def test_nothing_is_written_where_the_kernel_promotes_them_anyway(device: str, everywhere: str) -> None:
    report = run(kernel_with(held(VIP, ours=True), device=device, everywhere=everywhere), MemoryStore())
    assert (report.converged, writes(report)) == (True, [])


def test_address_without_a_network_has_no_others() -> None:
    assert writes(run(kernel_with(held(VIP._replace(prefix=32), ours=True)), MemoryStore())) == []


def test_record_has_the_first_value_before_it_changes_and_forgets_it_afterwards() -> None:
    store = MemoryStore()
    run(kernel_with(held(VIP, ours=True)), store)
    assert [record.of(SYSCTLS) for record in store.saved] == [{PATH: "0"}, {}]


@pytest.mark.parametrize("left", [(), (held(VIP, ours=True),)], ids=["removed", "not yet"])
def test_next_round_restores_what_an_interrupted_one_left(left: tuple[ObservedAddress, ...]) -> None:
    kernel, store = kernel_with(*left, device="1"), MemoryStore()
    store.save(owned_of(addresses=frozenset({VIP}), sysctls={PATH: "0"}))
    report = run(kernel, store)
    assert (report.converged, kernel.sysctls[PATH], kernel.addresses) == (True, "0", {})
    assert store.load().of(SYSCTLS) == {}


def test_first_value_stays_recorded_until_it_was_written() -> None:
    kernel, store = kernel_with(held(VIP, ours=True)), MemoryStore()
    kernel.refuse = lambda action: errno.EIO if isinstance(action, WriteSysctl) and action.value == "0" else 0
    assert not run(kernel, store).converged
    assert (store.load().of(SYSCTLS), kernel.sysctls[PATH]) == ({PATH: "0"}, "1")


def test_address_stays_where_others_cannot_be_kept() -> None:
    """As in a container, whose /proc/sys is read-only."""
    kernel = kernel_with(held(VIP, ours=True))
    kernel.refuse = lambda action: errno.EROFS if isinstance(action, WriteSysctl) else 0
    report = run(kernel, MemoryStore())
    assert [each.result for each in report.outcomes] == [Result.FAILED, Result.SKIPPED, Result.SKIPPED]
    assert report.outcomes[0].hint
    assert VIP in kernel.addresses


def test_value_of_the_site_file_comes_back_rather_than_the_first_one() -> None:
    kernel, site = kernel_with(held(VIP, ours=True)), Sysctl(PATH, "1", "As the site file says.")
    assert run(kernel, MemoryStore(), desired_of(sysctls=(site,))).converged
    assert kernel.sysctls[PATH] == "1"
