"""Every driver but IPVS: what is read, and which driver performs what."""

import errno
from collections.abc import Callable, Collection, Sequence
from types import SimpleNamespace

import pytest

from kernelbal.errors import KernelError, NotPermitted, NotSupported
from kernelbal.kernel import network
from kernelbal.kernel.network import NetworkDrivers
from kernelbal.kernel.policy_routing import Routing
from kernelbal.model.network import AddressAttributes, LinkState
from kernelbal.model.nft import EMPTY_TABLE, NftTable
from kernelbal.model.policy_route import ANYWHERE, NextHop, Rule, TableRouteKey
from kernelbal.model.state import ObservedState
from kernelbal.plan.actions import (
    Action,
    AddAddress,
    AddRoute,
    AddRule,
    AddService,
    EnsureLink,
    Outcome,
    RemoveAddress,
    RemoveLink,
    RemoveRoute,
    RemoveRule,
    ReplaceAddress,
    ReplaceRoute,
    ReplaceTable,
    Result,
    WriteSysctl,
)
from kernelbal.plan.classifier import build_table
from tests.unit.plan.samples import held, link, place, route, service, virtual

WEB = service("192.0.2.10", 80)
VIP = place("eth0", "192.0.2.10")
TABLE = build_table({(WEB.address, 6, 80, 90): 7}, frozenset())
PLAIN = AddressAttributes()
ADDRESS_ACTIONS = (AddAddress(VIP, PLAIN), ReplaceAddress(VIP, PLAIN, PLAIN), RemoveAddress(VIP))
LINK_ACTIONS = (EnsureLink(LinkState("tunl0", "ipip")), RemoveLink("tunl0"))
RULE = Rule(2, 500, 300, ANYWHERE[2], 0, ANYWHERE[2], 0)
KEY, HOP = TableRouteKey(300, ANYWHERE[2], 0), NextHop(None, "eth0")
ROUTING = Routing((route("10.0.0.0/8", "eth0"),), {KEY: HOP}, frozenset({RULE}))
ROUTING_ACTIONS = (
    AddRoute(KEY, HOP),
    ReplaceRoute(KEY, HOP, HOP),
    AddRule(RULE),
    RemoveRule(RULE),
    RemoveRoute(KEY),
)
TABLE_ACTION = ReplaceTable(None, TABLE)
SYSCTL_ACTION = WriteSysctl("net/a", "0", "1", "Why.")


class Library:
    """The nftables library."""

    def __init__(self) -> None:
        self.checked: list[NftTable] = []

    def observe(self) -> NftTable:
        return TABLE

    def foreign_tables(self) -> tuple[str, ...]:
        return ("ip filter",)

    def check(self, table: NftTable) -> None:
        self.checked.append(table)


class Socket:
    """The rtnetlink socket."""

    def __init__(self) -> None:
        self.closed = 0

    def __enter__(self) -> "Socket":
        return self

    def __exit__(self, *_: object) -> None:
        self.closed += 1


class Bench:
    """The drivers, each of which notes what it was given."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.socket, self.library = Socket(), Library()
        self.opened: list[str] = []
        self.batches: list[tuple[str, list[Action]]] = []
        monkeypatch.setattr(network, "RtNetlink", SimpleNamespace(open=self._opens("rtnetlink", self.socket)))
        monkeypatch.setattr(network, "Nftables", SimpleNamespace(open=self._opens("nftables", self.library)))
        monkeypatch.setattr(network, "observe_links", lambda _: (link("eth0"),))
        monkeypatch.setattr(network, "observe_addresses", lambda *_: (held(VIP),))
        monkeypatch.setattr(network, "observe_routing", lambda *_: ROUTING)
        monkeypatch.setattr(network, "read_sysctls", self._read_sysctls)
        monkeypatch.setattr(network, "perform_addresses", self._performs("address", self.socket))
        monkeypatch.setattr(network, "perform_routing", self._performs("routing", self.socket))
        monkeypatch.setattr(network, "perform_links", self._performs("link", self.socket))
        monkeypatch.setattr(network, "perform_tables", self._performs("table", self.library))
        monkeypatch.setattr(network, "perform_sysctls", self._performs("sysctl"))
        self.drivers = NetworkDrivers()

    def _opens(self, name: str, made: object) -> Callable[[], object]:
        def open_it() -> object:
            self.opened.append(name)
            return made

        return open_it

    def _read_sysctls(self, paths: Collection[str]) -> dict[str, str | None]:
        return dict.fromkeys(paths, "1")

    def _performs(self, name: str, *through: object) -> Callable[..., list[Outcome]]:
        def perform(*args: object) -> list[Outcome]:
            *given, actions = args
            assert tuple(given) == through
            assert isinstance(actions, Sequence)
            self.batches.append((name, list(actions)))
            return [Outcome(action, Result.DONE) for action in actions]

        return perform


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(monkeypatch)


def refusing(error: KernelError) -> Callable[..., object]:
    """Return a function that always fails."""

    def refuse(*_: object) -> object:
        raise error

    return refuse


def test_observation_is_completed(bench: Bench) -> None:
    before = ObservedState(services={WEB: virtual()}, connection_table_size=4096)
    assert bench.drivers.observe(("net/a",), before) == ObservedState(
        services={WEB: virtual()},
        connection_table_size=4096,
        links=(link("eth0"),),
        addresses=(held(VIP),),
        routes=(route("10.0.0.0/8", "eth0"),),
        sysctls={"net/a": "1"},
        nft=TABLE,
        foreign_nft=("ip filter",),
        rules=ROUTING.rules,
        table_routes=ROUTING.routes,
    )


def test_drivers_are_opened_when_first_needed_and_once(bench: Bench) -> None:
    bench.drivers.perform([SYSCTL_ACTION])
    assert bench.opened == []
    bench.drivers.perform(LINK_ACTIONS)
    assert bench.opened == ["rtnetlink"]
    bench.drivers.observe((), ObservedState())
    bench.drivers.observe((), ObservedState())
    assert bench.opened == ["rtnetlink", "nftables"]


def test_closed_drivers_are_opened_anew(bench: Bench) -> None:
    bench.drivers.perform(LINK_ACTIONS)
    bench.drivers.close()
    assert bench.socket.closed == 1
    bench.drivers.perform(LINK_ACTIONS)
    assert bench.opened == ["rtnetlink"] * 2


def test_runs_of_one_kind_go_to_their_driver_in_order(bench: Bench) -> None:
    actions = (
        *(*LINK_ACTIONS, SYSCTL_ACTION, SYSCTL_ACTION, TABLE_ACTION),
        *(*ADDRESS_ACTIONS, *ROUTING_ACTIONS, LINK_ACTIONS[0]),
    )
    outcomes = bench.drivers.perform(actions)
    assert bench.batches == [
        ("link", list(LINK_ACTIONS)),
        ("sysctl", [SYSCTL_ACTION, SYSCTL_ACTION]),
        ("table", [TABLE_ACTION]),
        ("address", list(ADDRESS_ACTIONS)),
        ("routing", list(ROUTING_ACTIONS)),
        ("link", [LINK_ACTIONS[0]]),
    ]
    assert [outcome.action for outcome in outcomes] == list(actions)


def test_ipvs_action_is_a_fault_of_the_caller(bench: Bench) -> None:
    with pytest.raises(AssertionError):
        bench.drivers.perform([AddService(WEB, virtual().attributes)])


def test_driver_that_cannot_be_opened_fails_its_actions_alone(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = NotSupported("load", "nftables", errno.ENOENT, "libnftables is missing", "apt install it")
    monkeypatch.setattr(network, "Nftables", SimpleNamespace(open=refusing(missing)))
    outcomes = bench.drivers.perform([TABLE_ACTION, SYSCTL_ACTION])
    assert outcomes == [
        Outcome(TABLE_ACTION, Result.FAILED, errno.ENOENT, "libnftables is missing", "apt install it"),
        Outcome(SYSCTL_ACTION, Result.DONE),
    ]


def test_error_without_a_hint_has_an_empty_one(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "perform_sysctls", refusing(NotPermitted("write", "a", errno.EPERM, "no")))
    assert bench.drivers.perform([SYSCTL_ACTION]) == [
        Outcome(SYSCTL_ACTION, Result.FAILED, errno.EPERM, "no", "")
    ]


def test_kernel_that_cannot_be_read_is_an_error(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "observe_links", refusing(NotPermitted("read", "links", errno.EPERM, "no")))
    with pytest.raises(NotPermitted):
        bench.drivers.observe((), ObservedState())


def test_rules_are_checked_by_the_library(bench: Bench) -> None:
    bench.drivers.check_table(EMPTY_TABLE)
    assert bench.library.checked == [EMPTY_TABLE]
