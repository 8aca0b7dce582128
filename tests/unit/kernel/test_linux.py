"""Every driver behind one face: which actions go where, and in which order."""

import errno
from collections.abc import Sequence
from typing import Any

import pytest

from kernelbal.errors import KernelError, NotSupported
from kernelbal.kernel import linux
from kernelbal.kernel.driver import Driver, Sockets
from kernelbal.kernel.linux import DRIVERS, LinuxKernel
from kernelbal.model.network import AddressAttributes
from kernelbal.plan.action import Action, Outcome, Result
from kernelbal.plan.kind import AnyKind, ObservedState, Scope
from kernelbal.plan.kinds import KINDS
from kernelbal.plan.kinds.addresses import ADDRESSES, AddAddress, RemoveAddress
from kernelbal.plan.kinds.files import FILES
from kernelbal.plan.kinds.links import LINKS
from kernelbal.plan.kinds.service_actions import AddDestination, AddService, RemoveService
from kernelbal.plan.kinds.sysctls import SYSCTLS, WriteSysctl
from tests.support.builders import link, place, real, service, virtual, weighing

WEB, A = service("192.0.2.10", 80), real("10.0.0.11")
ADD, ADD_A, REMOVE = (
    AddService(WEB, virtual().attributes),
    AddDestination(WEB, A, weighing(1)),
    RemoveService(WEB),
)
VIP = place("eth0", "192.0.2.10")
WRITE = WriteSysctl("net/ipv4/ip_forward", "0", "1", "Routes.")
ADD_VIP = AddAddress(VIP, AddressAttributes())
NO_IPVS = NotSupported("open IPVS", "", errno.ENOENT, "the kernel has no IPVS", "modprobe ip_vs")


class Bench:
    """A kernel with fake drivers; `batches` has what each was given, by its kind's name."""

    def __init__(self) -> None:
        self.batches: list[tuple[str, list[Action]]] = []
        self.read: list[tuple[str, Scope, bool]] = []
        self.checked: list[Action] = []
        self.kernel = LinuxKernel({kind.name: self.driver(kind) for kind in KINDS})

    def driver(self, kind: AnyKind) -> Driver:
        def observe(_: Sockets, scope: Scope, found: ObservedState) -> ObservedState:
            self.read.append((kind.name, scope, bool(found.of(LINKS))))
            return found.having(LINKS, (link("eth0"),)) if kind is LINKS else found

        def perform(_: Sockets, actions: Sequence[Any]) -> list[Outcome]:
            self.batches.append((kind.name, list(actions)))
            if kind.name == "services" and REMOVE in actions:
                raise NO_IPVS
            return [Outcome(action, Result.DONE) for action in actions]

        def check(_: Sockets, action: Action) -> None:
            self.checked.append(action)
            if action == WRITE:
                raise KernelError("check", "", errno.EROFS, "read-only")

        return Driver(observe, perform, check)


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_every_kind_of_kernel_object_has_a_driver() -> None:
    assert {kind.name for kind in KINDS} - DRIVERS.keys() == {FILES.name}


def test_what_is_asked_for_is_read_in_its_order_and_later_drivers_know_the_earlier(bench: Bench) -> None:
    found = bench.kernel.observe({LINKS: None, SYSCTLS: ("net/a",), ADDRESSES: None})
    assert bench.read == [("links", None, False), ("sysctls", ("net/a",), True), ("addresses", None, True)]
    assert found.of(LINKS) == (link("eth0"),)


def test_runs_of_one_kind_go_to_their_driver_in_order(bench: Bench) -> None:
    actions = (WRITE, ADD, ADD_A, ADD_VIP, RemoveAddress(VIP), ADD_A)
    outcomes = bench.kernel.perform(actions)
    assert bench.batches == [
        ("sysctls", [WRITE]),
        ("services", [ADD, ADD_A]),
        ("addresses", [ADD_VIP, RemoveAddress(VIP)]),
        ("services", [ADD_A]),
    ]
    assert [outcome.action for outcome in outcomes] == list(actions)


def test_progress_counts_up_to_all(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linux, "ACTIONS_PER_STEP", 2)
    seen: list[tuple[int, int]] = []
    bench.kernel.perform([ADD, *[ADD_A] * 4, WRITE], lambda *args: seen.append(args))
    assert seen == [(2, 6), (4, 6), (5, 6), (6, 6)]
    assert [len(actions) for _, actions in bench.batches] == [2, 2, 1, 1]


def test_where_a_driver_cannot_work_its_actions_fail_and_the_others_are_performed(bench: Bench) -> None:
    assert bench.kernel.perform([REMOVE, WRITE]) == [
        Outcome(REMOVE, Result.FAILED, errno.ENOENT, "the kernel has no IPVS", "modprobe ip_vs"),
        Outcome(WRITE, Result.DONE),
    ]


def test_actions_are_checked_by_their_drivers(bench: Bench) -> None:
    bench.kernel.check([ADD, ADD_VIP])
    assert bench.checked == [ADD, ADD_VIP]
    with pytest.raises(KernelError):
        bench.kernel.check([WRITE])
