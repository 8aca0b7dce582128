"""Every driver behind one face: which actions go where, in which order, and what follows from a failure."""

import errno
from collections.abc import Collection, Sequence
from types import SimpleNamespace, TracebackType
from typing import Self

import pytest

from kernelbal.errors import KernelError, NotPermitted, NotSupported
from kernelbal.kernel import linux
from kernelbal.kernel.linux import LinuxKernel, skip_orphans
from kernelbal.kernel.modules import ModuleLoad
from kernelbal.model.ipvs import ServiceKey, ServiceTable, Timeouts
from kernelbal.model.network import AddressAttributes, Sysctl
from kernelbal.model.nft import EMPTY_TABLE, NftTable
from kernelbal.model.state import ObservedState
from kernelbal.plan.actions import (
    Action,
    AddAddress,
    AddDestination,
    AddService,
    EditDestination,
    EditService,
    Outcome,
    QuiesceDestination,
    RemoveAddress,
    RemoveDestination,
    RemoveService,
    Result,
    SetTimeouts,
    WriteSysctl,
)
from tests.unit.plan.samples import connected, place, real, service, virtual, weighing

WEB, MAIL = service("192.0.2.10", 80), service("192.0.2.10", 25)
A, B = real("10.0.0.11"), real("10.0.0.12")
WLC = virtual().attributes
VIP = place("eth0", "192.0.2.10")
FORWARD = Sysctl("net/ipv4/ip_forward", "1", "Routes.")
IPVS_ACTIONS: tuple[Action, ...] = (
    AddService(WEB, WLC),
    EditService(WEB, WLC, WLC._replace(scheduler="rr")),
    AddDestination(WEB, A, weighing(1)),
    EditDestination(WEB, A, weighing(1), weighing(2)),
    QuiesceDestination(WEB, A, weighing(2), 60.0),
    RemoveDestination(WEB, A),
    RemoveService(WEB),
    SetTimeouts(None, Timeouts()),
)
WRITE = WriteSysctl(FORWARD.path, "0", "1", "Routes.")
ADD_VIP = AddAddress(VIP, AddressAttributes())
NO_IPVS = NotSupported("open IPVS", "", errno.ENOENT, "the kernel has no IPVS", "modprobe ip_vs")

Batch = tuple[str, list[Action]]


class FakeTable:
    """The IPVS driver; `batches` collects what it is given, in one list with the other drivers."""

    def __init__(self, batches: list[Batch]) -> None:
        self.batches = batches
        self.services: ServiceTable = {WEB: virtual((A, weighing(1))), MAIL: virtual()}
        self.closed = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.closed += 1

    def read(self) -> tuple[ServiceTable, None]:
        return self.services, None

    def read_services(self, keys: Collection[ServiceKey]) -> ServiceTable:
        return {key: self.services[key] for key in keys if key in self.services}

    def read_timeouts(self) -> Timeouts:
        return Timeouts(1, 2, 3)

    def read_info(self) -> SimpleNamespace:
        return SimpleNamespace(connection_buckets=4096)

    def read_counters(self, keys: Collection[ServiceKey]) -> dict[ServiceKey, object]:
        return {key: {A: connected(1)} for key in keys}

    def perform(self, actions: Sequence[Action]) -> list[Outcome]:
        self.batches.append(("ipvs", list(actions)))
        return [Outcome(action, Result.DONE) for action in actions]


class FakeNetwork:
    """All other drivers."""

    def __init__(self, batches: list[Batch]) -> None:
        self.batches = batches
        self.closed = 0
        self.checked: list[NftTable] = []

    def observe(self, sysctls: Collection[str], state: ObservedState) -> ObservedState:
        state.sysctls.update(dict.fromkeys(sysctls, "0"))
        return state

    def perform(self, actions: Sequence[Action]) -> list[Outcome]:
        self.batches.append(("network", list(actions)))
        return [Outcome(action, Result.DONE) for action in actions]

    def check_table(self, table: NftTable) -> None:
        self.checked.append(table)

    def close(self) -> None:
        self.closed += 1


class Bench:
    """A kernel with fake drivers; `errors` are what opening IPVS ends with, call by call."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.batches: list[Batch] = []
        self.table = FakeTable(self.batches)
        self.network = FakeNetwork(self.batches)
        self.errors: list[KernelError] = []
        self.loaded: list[str] = []
        self.opened = 0
        self.loading = ModuleLoad("ip_vs", loaded=True)
        monkeypatch.setattr(linux, "IpvsTable", SimpleNamespace(open=self.open))
        monkeypatch.setattr(linux, "NetworkDrivers", lambda: self.network)
        monkeypatch.setattr(linux, "load_module", self.load)
        self.kernel = LinuxKernel()

    def open(self) -> FakeTable:
        self.opened += 1
        if self.errors:
            raise self.errors.pop(0)
        return self.table

    def load(self, name: str) -> ModuleLoad:
        self.loaded.append(name)
        return self.loading


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(monkeypatch)


# --- opening and closing ---


def test_driver_is_opened_once_and_when_first_needed(bench: Bench) -> None:
    assert bench.opened == 0
    assert bench.kernel.ipvs is bench.kernel.ipvs
    assert (bench.opened, bench.loaded) == (1, [])


def test_everything_is_closed_at_the_end_and_opened_anew(bench: Bench) -> None:
    with bench.kernel as kernel:
        _ = kernel.ipvs
    assert (bench.table.closed, bench.network.closed) == (1, 1)
    _ = bench.kernel.ipvs
    assert bench.opened == 2


# --- the module ---


def test_module_is_loaded_when_the_kernel_did_not(bench: Bench) -> None:
    bench.errors = [NO_IPVS]
    assert bench.kernel.ipvs is bench.table
    assert (bench.loaded, bench.opened) == (["ip_vs"], 2)


def test_module_that_cannot_be_loaded_leaves_the_error_with_its_hint(bench: Bench) -> None:
    bench.errors = [NO_IPVS, NO_IPVS]
    bench.loading = ModuleLoad("ip_vs", loaded=False, message="there is no modprobe", hint="other")
    with pytest.raises(NotSupported) as caught:
        _ = bench.kernel.ipvs
    assert caught.value is NO_IPVS
    assert caught.value.hint == "modprobe ip_vs"
    assert bench.opened == 1, "nothing has changed since"


def test_module_that_helps_nothing_is_loaded_once(bench: Bench) -> None:
    bench.errors = [NO_IPVS] * 3
    for _ in range(2):
        with pytest.raises(NotSupported):
            _ = bench.kernel.ipvs
    assert (bench.loaded, bench.opened) == (["ip_vs"], 3)


def test_ipvs_that_comes_later_is_noticed(bench: Bench) -> None:
    bench.errors = [NO_IPVS]
    bench.loading = ModuleLoad("ip_vs", loaded=False)
    assert not bench.kernel.observe().ipvs_available
    assert bench.kernel.observe().ipvs_available


def test_missing_capability_loads_nothing(bench: Bench) -> None:
    bench.errors = [NotPermitted("open", "", errno.EPERM, "no")]
    with pytest.raises(NotPermitted):
        _ = bench.kernel.ipvs
    assert bench.loaded == []


# --- reading ---


def test_observation_holds_what_every_driver_reads(bench: Bench) -> None:
    assert bench.kernel.observe(("net/a",)) == ObservedState(
        services=bench.table.services,
        timeouts=Timeouts(1, 2, 3),
        connection_table_size=4096,
        sysctls={"net/a": "0"},
    )


@pytest.mark.parametrize("names", [{WEB}, set()])
def test_only_the_named_services_are_read(bench: Bench, names: set[ServiceKey]) -> None:
    assert bench.kernel.observe(services=names).services.keys() == names


def test_kernel_without_ipvs_is_observed_all_the_same(bench: Bench) -> None:
    bench.errors = [NO_IPVS]
    bench.loading = ModuleLoad("ip_vs", loaded=False)
    observed = bench.kernel.observe(("net/a",))
    assert observed == ObservedState(ipvs_available=False, sysctls={"net/a": "0"})


def test_other_errors_are_no_missing_ipvs(bench: Bench) -> None:
    bench.errors = [NotPermitted("open", "", errno.EPERM, "no")]
    with pytest.raises(NotPermitted):
        bench.kernel.observe()


def test_counters_are_those_of_the_driver(bench: Bench) -> None:
    assert bench.kernel.read_counters({WEB}) == {WEB: {A: connected(1)}}


def test_rules_are_checked_by_the_network_drivers(bench: Bench) -> None:
    bench.kernel.check_table(EMPTY_TABLE)
    assert bench.network.checked == [EMPTY_TABLE]


# --- performing ---


def test_runs_of_one_kind_go_to_their_driver_in_order(bench: Bench) -> None:
    actions = (WRITE, *IPVS_ACTIONS[:3], ADD_VIP, RemoveAddress(VIP), IPVS_ACTIONS[5])
    outcomes = bench.kernel.perform(actions)
    assert bench.batches == [
        ("network", [WRITE]),
        ("ipvs", list(IPVS_ACTIONS[:3])),
        ("network", [ADD_VIP, RemoveAddress(VIP)]),
        ("ipvs", [IPVS_ACTIONS[5]]),
    ]
    assert [outcome.action for outcome in outcomes] == list(actions)


@pytest.mark.parametrize("action", IPVS_ACTIONS, ids=lambda action: type(action).__name__)
def test_every_ipvs_action_goes_to_ipvs(bench: Bench, action: Action) -> None:
    bench.kernel.perform([action])
    assert bench.batches == [("ipvs", [action])]


def test_nothing_to_do_opens_nothing(bench: Bench) -> None:
    assert bench.kernel.perform([]) == []
    assert bench.opened == 0


def test_progress_counts_up_to_all(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linux, "ACTIONS_PER_STEP", 2)
    seen: list[tuple[int, int]] = []
    outcomes = bench.kernel.perform([*IPVS_ACTIONS[:5], WRITE], lambda *args: seen.append(args))
    assert seen == [(2, 6), (4, 6), (5, 6), (6, 6)]
    assert [len(actions) for _, actions in bench.batches] == [2, 2, 1, 1]
    assert len(outcomes) == 6


def test_without_ipvs_its_actions_fail_and_the_others_are_performed(bench: Bench) -> None:
    bench.errors = [NO_IPVS]
    bench.loading = ModuleLoad("ip_vs", loaded=False)
    outcomes = bench.kernel.perform([WRITE, IPVS_ACTIONS[0]])
    assert outcomes == [
        Outcome(WRITE, Result.DONE),
        Outcome(IPVS_ACTIONS[0], Result.FAILED, errno.ENOENT, "the kernel has no IPVS", "modprobe ip_vs"),
    ]


# --- what follows from a service that could not be added ---


def failed(action: Action, message: str = "refused") -> Outcome:
    """An action that the kernel refused."""
    return Outcome(action, Result.FAILED, errno.ESRCH, message)


def test_real_server_of_a_lost_service_was_not_tried() -> None:
    lost = failed(AddService(WEB, WLC), "no scheduler `wlc`")
    orphan = failed(AddDestination(WEB, A, weighing(1)))
    assert skip_orphans([lost, orphan]) == [
        lost,
        orphan._replace(result=Result.SKIPPED, message="its service could not be added: no scheduler `wlc`"),
    ]


@pytest.mark.parametrize(
    "other",
    [
        failed(AddDestination(MAIL, A, weighing(1))),
        failed(EditDestination(WEB, B, weighing(1), weighing(2))),
        Outcome(AddDestination(WEB, B, weighing(1)), Result.DONE),
    ],
    ids=["of another service", "not an addition", "done after all"],
)
def test_other_outcomes_stay_as_they_are(other: Outcome) -> None:
    outcomes = [failed(AddService(WEB, WLC)), other]
    assert skip_orphans(outcomes) == outcomes


def test_service_that_was_there_makes_no_orphans() -> None:
    outcomes = [
        Outcome(AddService(WEB, WLC), Result.ALREADY, errno.EEXIST),
        failed(AddDestination(WEB, A, weighing(1))),
    ]
    assert skip_orphans(outcomes) == outcomes


def test_performing_tells_orphans(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeTable, "perform", lambda _, actions: [failed(action) for action in actions])
    outcomes = bench.kernel.perform([AddService(WEB, WLC), AddDestination(WEB, A, weighing(1))])
    assert [outcome.result for outcome in outcomes] == [Result.FAILED, Result.SKIPPED]
