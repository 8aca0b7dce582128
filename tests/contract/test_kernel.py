"""What the planner may expect of a kernel: the same tests on the fake and on the real one."""

import errno
from collections.abc import Collection, Iterator
from typing import NamedTuple

import pytest

from kernelbal.errors import KernelError
from kernelbal.kernel.interface import Kernel
from kernelbal.kernel.linux import LinuxKernel
from kernelbal.lab.linuxns import create_namespace, delete_namespace, inside
from kernelbal.model.address import parse_address
from kernelbal.model.ipvs import (
    DestinationAttributes,
    Forwarding,
    ServiceAttributes,
    ServiceFlag,
    ServiceKey,
    ServiceTable,
    Timeouts,
    TunnelFlag,
    TunnelType,
)
from kernelbal.model.network import AddressAttributes, AddressKey, Link, LinkState
from kernelbal.model.nft import EMPTY_TABLE
from kernelbal.model.policy_route import ANYWHERE, NextHop, Rule, TableRouteKey
from kernelbal.plan.action import Action, Result
from kernelbal.plan.classifier import build_table
from kernelbal.plan.desire import desired_state
from kernelbal.plan.kind import DesiredState, ObservedState, Options
from kernelbal.plan.kinds import DIRECTOR
from kernelbal.plan.kinds.addresses import ADDRESSES, AddAddress, RemoveAddress, ReplaceAddress
from kernelbal.plan.kinds.links import LINKS, EnsureLink, RemoveLink
from kernelbal.plan.kinds.routing import ROUTING, AddRoute, AddRule, RemoveRoute, RemoveRule, ReplaceRoute
from kernelbal.plan.kinds.service_actions import (
    AddDestination,
    AddService,
    EditDestination,
    EditService,
    QuiesceDestination,
    RemoveDestination,
    RemoveService,
)
from kernelbal.plan.kinds.services import SERVICES
from kernelbal.plan.kinds.sysctls import SYSCTLS, WriteSysctl
from kernelbal.plan.kinds.tables import TABLES as NFT
from kernelbal.plan.kinds.tables import ReplaceTable
from kernelbal.plan.kinds.timeouts import TIMEOUTS, SetTimeouts
from kernelbal.plan.planning import scopes
from kernelbal.reconcile.round import Reconciler
from tests.support.builders import by_mark, node, place, real, service, site, virtual, weighing
from tests.support.fake_kernel import FakeKernel
from tests.support.fake_store import MemoryStore
from tests.support.states import desired_of

NAMESPACE = "contract"
DEVICE = "kb0"
WEB, WEB6, DNS = service("192.0.2.10", 80), service("2001:db8::10", 80), service("192.0.2.10", 53, "udp")
MARKED, MARKED6 = by_mark(7), by_mark(7, 10)
A, B, A6 = real("10.0.0.11"), real("10.0.0.12"), real("fd00::11")
PLAIN, PLAIN6 = ServiceAttributes("rr", 0, 0, 32, ""), ServiceAttributes("rr", 0, 0, 128, "")
STICKY = ServiceAttributes("sh", int(ServiceFlag.PERSISTENT | ServiceFlag.SCHED1), 300, 24, "")
FORWARD = "net/ipv4/ip_forward"
FLAGS = AddressAttributes()
FLAGS6 = AddressAttributes(no_dad=True, deprecated=True)


def _fake() -> Iterator[Kernel]:
    yield FakeKernel(links={"lo": Link("lo", 1, True, "", 65536, "")}, sysctls={FORWARD: "0"})


def _linux() -> Iterator[Kernel]:
    create_namespace(NAMESPACE)
    try:
        with inside(NAMESPACE), LinuxKernel() as kernel:
            yield kernel
    finally:
        delete_namespace(NAMESPACE)


KERNELS = {"fake": _fake, "linux": _linux}


@pytest.fixture(params=["fake", pytest.param("linux", marks=pytest.mark.needs_ipvs)])
def kernel(request: pytest.FixtureRequest) -> Iterator[Kernel]:
    """A kernel with `lo` and one Ethernet device that leads to 10.0.0.0/24 and fd00::/64."""
    for kernel in KERNELS[request.param]():
        outcomes = kernel.perform(
            [
                EnsureLink(LinkState("lo")),
                EnsureLink(LinkState(DEVICE, "dummy")),
                AddAddress(place(DEVICE, "10.0.0.1", 24), FLAGS),
                AddAddress(place(DEVICE, "fd00::1", 64), AddressAttributes(no_dad=True)),
                WriteSysctl(FORWARD, "", "0", "A known start."),
            ]
        )
        assert not [outcome for outcome in outcomes if outcome.result is Result.FAILED]
        yield kernel


def look(
    kernel: Kernel, *, services: Collection[ServiceKey] | None = None, sysctls: Collection[str] = ()
) -> ObservedState:
    """Everything that a director reads."""
    return kernel.observe({**scopes(DIRECTOR), SERVICES: services, SYSCTLS: sysctls})


class Case(NamedTuple):
    """An action, what comes before it, and how it ends."""

    action: Action
    before: tuple[Action, ...]
    result: Result
    errno: int = 0


ADD_WEB, ADD_A = AddService(WEB, PLAIN), AddDestination(WEB, A, weighing(5))
VIP, VIP6 = place(DEVICE, "192.0.2.10"), place(DEVICE, "2001:db8::10")
VIP_SUBNET, VIP6_SUBNET = place(DEVICE, "192.0.2.10", 24), place(DEVICE, "2001:db8::10", 64)
TABLE = build_table({(VIP.address, 6, 80, 90): 7, (VIP6.address, 17, 53, 53): 8}, frozenset({8}))
GATEWAY, GATEWAY6 = parse_address("10.0.0.254"), parse_address("fd00::254")
TABLE_ROUTE, TABLE_ROUTE6 = TableRouteKey(19300, ANYWHERE[2], 0), TableRouteKey(100, ANYWHERE[10], 0)
HOP, HOP6, ON_LINK = NextHop(GATEWAY, DEVICE), NextHop(GATEWAY6, DEVICE), NextHop(None, DEVICE)
RULE = Rule(2, 500, 19300, parse_address("10.0.0.11"), 32, parse_address("198.51.100.0"), 24)
RULE6 = Rule(10, 19200, 100, parse_address("fd00::11"), 128, ANYWHERE[10], 0)
DONE, ALREADY, FAILED = Result.DONE, Result.ALREADY, Result.FAILED

CASES = (
    Case(ADD_WEB, (), DONE),
    Case(ADD_WEB, (ADD_WEB,), ALREADY, errno.EEXIST),
    Case(AddService(WEB, STICKY), (ADD_WEB,), ALREADY, errno.EEXIST),
    Case(EditService(WEB, PLAIN, STICKY), (ADD_WEB,), DONE),
    Case(EditService(WEB, PLAIN, STICKY), (), FAILED, errno.ESRCH),
    Case(RemoveService(WEB), (ADD_WEB, ADD_A), DONE),
    Case(RemoveService(WEB), (), ALREADY, errno.ESRCH),
    Case(ADD_A, (ADD_WEB,), DONE),
    Case(ADD_A, (ADD_WEB, ADD_A), ALREADY, errno.EEXIST),
    Case(EditDestination(WEB, A, weighing(5), weighing(6)), (ADD_WEB, ADD_A), DONE),
    Case(EditDestination(WEB, A, weighing(5), weighing(6)), (ADD_WEB,), FAILED, errno.ENOENT),
    Case(EditDestination(WEB, A, weighing(5), weighing(6)), (), FAILED, errno.ESRCH),
    Case(QuiesceDestination(WEB, A, weighing(5), 60), (ADD_WEB, ADD_A), DONE),
    Case(QuiesceDestination(WEB, A, weighing(5), 60), (ADD_WEB,), ALREADY, errno.ENOENT),
    Case(QuiesceDestination(WEB, A, weighing(5), 60), (), ALREADY, errno.ESRCH),
    Case(RemoveDestination(WEB, A), (ADD_WEB, ADD_A), DONE),
    Case(RemoveDestination(WEB, A), (ADD_WEB,), ALREADY, errno.ENOENT),
    Case(RemoveDestination(WEB, A), (), ALREADY, errno.ESRCH),
    Case(SetTimeouts(None, Timeouts(100, 20, 30)), (), DONE),
    Case(AddAddress(VIP, FLAGS), (), DONE),
    Case(AddAddress(VIP, FLAGS), (AddAddress(VIP, FLAGS),), ALREADY),
    Case(AddAddress(VIP6, FLAGS6), (AddAddress(VIP6, FLAGS6),), ALREADY),
    Case(AddAddress(VIP_SUBNET, FLAGS), (AddAddress(VIP, FLAGS),), DONE),
    Case(AddAddress(VIP6_SUBNET, FLAGS6), (AddAddress(VIP6, FLAGS6),), FAILED, errno.EEXIST),
    Case(AddAddress(place("nowhere", "192.0.2.10"), FLAGS), (), FAILED, errno.ENODEV),
    Case(ReplaceAddress(VIP6, FLAGS6, AddressAttributes(no_dad=True)), (AddAddress(VIP6, FLAGS6),), DONE),
    Case(RemoveAddress(VIP), (AddAddress(VIP, FLAGS),), DONE),
    Case(RemoveAddress(VIP), (), ALREADY, errno.EADDRNOTAVAIL),
    Case(RemoveAddress(VIP6), (), ALREADY, errno.EADDRNOTAVAIL),
    Case(EnsureLink(LinkState("kb1", "dummy")), (), DONE),
    Case(EnsureLink(LinkState("kb1", "dummy", 1400)), (EnsureLink(LinkState("kb1", "dummy")),), DONE),
    Case(EnsureLink(LinkState(DEVICE, "dummy")), (), ALREADY),
    Case(EnsureLink(LinkState("nowhere")), (), FAILED, errno.ENODEV),
    Case(RemoveLink(DEVICE), (), DONE),
    Case(RemoveLink("nowhere"), (), ALREADY, errno.ENODEV),
    Case(WriteSysctl(FORWARD, "0", "1", "Routes."), (), DONE),
    Case(WriteSysctl(FORWARD, "0", "0", "Routes."), (), ALREADY),
    Case(WriteSysctl("net/ipv4/no_such", "", "1", "None."), (), FAILED, errno.ENOENT),
    Case(AddRoute(TABLE_ROUTE, HOP), (), DONE),
    Case(AddRoute(TABLE_ROUTE, HOP), (AddRoute(TABLE_ROUTE, HOP),), FAILED, errno.EEXIST),
    Case(AddRoute(TABLE_ROUTE, HOP._replace(device="nowhere")), (), FAILED, errno.ENODEV),
    Case(AddRoute(TABLE_ROUTE6, HOP6), (), DONE),
    Case(ReplaceRoute(TABLE_ROUTE, HOP, ON_LINK), (AddRoute(TABLE_ROUTE, HOP),), DONE),
    Case(RemoveRoute(TABLE_ROUTE), (AddRoute(TABLE_ROUTE, HOP),), DONE),
    Case(RemoveRoute(TABLE_ROUTE), (), ALREADY, errno.ESRCH),
    Case(RemoveRoute(TABLE_ROUTE6), (), ALREADY, errno.ESRCH),
    Case(AddRule(RULE), (), DONE),
    Case(AddRule(RULE), (AddRule(RULE),), ALREADY, errno.EEXIST),
    Case(AddRule(RULE6), (), DONE),
    Case(RemoveRule(RULE), (AddRule(RULE),), DONE),
    Case(RemoveRule(RULE), (), ALREADY, errno.ENOENT),
    Case(RemoveRule(RULE6), (), ALREADY, errno.ENOENT),
    Case(ReplaceTable(None, TABLE), (), DONE),
    Case(ReplaceTable(TABLE, TABLE), (ReplaceTable(None, TABLE),), DONE),
    Case(ReplaceTable(TABLE, EMPTY_TABLE), (ReplaceTable(None, TABLE),), DONE),
    Case(ReplaceTable(None, EMPTY_TABLE), (), DONE),
)


def _name(case: Case) -> str:
    return f"{type(case.action).__name__}-after-{len(case.before)}-{case.result.value}"


@pytest.mark.parametrize("case", CASES, ids=_name)
def test_outcome(kernel: Kernel, case: Case) -> None:
    assert {outcome.result for outcome in kernel.perform(case.before)} <= {DONE}
    (outcome,) = kernel.perform([case.action])
    assert outcome.action == case.action
    assert (outcome.result, outcome.errno) == (case.result, case.errno)
    assert bool(outcome.message) is (case.result is FAILED) or case.result is ALREADY


# --- what is there afterwards ---

TUNNEL = weighing(
    3, Forwarding.TUNNEL, tunnel_type=int(TunnelType.GUE), tunnel_port=5555, tunnel_flags=int(TunnelFlag.CSUM)
)
FULL = weighing(9, Forwarding.DSR, upper_threshold=100, lower_threshold=50)
TABLES = (
    {WEB: virtual((A, weighing(5)), (B, weighing(0)), scheduler="rr")},
    {WEB6: virtual((A6, weighing(65535)), scheduler="wlc", prefix=128)},
    {DNS: virtual((real("10.0.0.11", 53), FULL), scheduler="rr", flags=ServiceFlag.ONE_PACKET)},
    {MARKED: virtual((real("10.0.0.11", 0), TUNNEL)), MARKED6: virtual(prefix=128)},
    {WEB: virtual((A6, TUNNEL))},
)


@pytest.mark.parametrize("services", TABLES, ids=["nat", "ipv6", "dsr", "mark", "mixed families"])
def test_services_read_back_as_they_were_added(kernel: Kernel, services: ServiceTable) -> None:
    reconciler = Reconciler(kernel, MemoryStore(), lambda: 0.0)
    assert reconciler.perform(reconciler.prepare(desired_of(services=services))).converged
    assert look(kernel).of(SERVICES) == services


def test_only_the_services_that_were_asked_for_are_read(kernel: Kernel) -> None:
    kernel.perform([ADD_WEB, AddService(DNS, PLAIN), AddService(WEB6, PLAIN6)])
    assert look(kernel, services=[DNS, MARKED]).of(SERVICES) == {DNS: virtual(scheduler="rr")}


def test_counters_are_read_of_what_exists(kernel: Kernel) -> None:
    kernel.perform([ADD_WEB, ADD_A, AddService(DNS, PLAIN)])
    counters = kernel.read_counters([WEB, DNS, MARKED])
    assert counters.keys() == {WEB, DNS}
    assert [(live.active, live.inactive, live.persistent) for live in counters[WEB].values()] == [(0, 0, 0)]


def test_edited_service_keeps_its_real_servers(kernel: Kernel) -> None:
    kernel.perform([ADD_WEB, ADD_A, EditService(WEB, PLAIN, STICKY)])
    assert look(kernel).of(SERVICES)[WEB].attributes == STICKY
    assert look(kernel).of(SERVICES)[WEB].destinations == {A: weighing(5)}


@pytest.mark.parametrize("attributes", [weighing(5), FULL, TUNNEL], ids=["nat", "thresholds", "tunnel"])
def test_quiescing_keeps_everything_but_the_weight(kernel: Kernel, attributes: DestinationAttributes) -> None:
    kernel.perform([ADD_WEB, AddDestination(WEB, A, attributes), QuiesceDestination(WEB, A, attributes, 60)])
    assert look(kernel).of(SERVICES)[WEB].destinations == {A: attributes._replace(weight=0)}


@pytest.mark.parametrize("forwarding", [Forwarding.NAT, Forwarding.DSR, Forwarding.TUNNEL])
def test_director_may_be_a_real_server_of_its_own(kernel: Kernel, forwarding: Forwarding) -> None:
    """The kernel keeps the forwarding method and takes the local way packet by packet."""
    desired = desired_of(services={WEB: virtual((real("10.0.0.1"), weighing(5, forwarding)))})
    reconciler = Reconciler(kernel, MemoryStore(), lambda: 0.0)
    assert reconciler.perform(reconciler.prepare(desired)).converged
    assert reconciler.prepare(desired).plan.empty
    assert look(kernel).of(SERVICES) == desired.of(SERVICES).table


def test_thresholds_alone_can_be_edited(kernel: Kernel) -> None:
    limited = weighing(5, upper_threshold=100, lower_threshold=50)
    kernel.perform([ADD_WEB, ADD_A, EditDestination(WEB, A, weighing(5), limited)])
    assert look(kernel).of(SERVICES)[WEB].destinations == {A: limited}
    kernel.perform([EditDestination(WEB, A, limited, weighing(5))])
    assert look(kernel).of(SERVICES)[WEB].destinations == {A: weighing(5)}


def test_refused_action_does_not_stop_the_others(kernel: Kernel) -> None:
    missing = EditDestination(WEB, B, weighing(1), weighing(2))
    steps: list[tuple[int, int]] = []
    outcomes = kernel.perform(
        [ADD_WEB, missing, ADD_A, AddAddress(VIP, FLAGS)], lambda done, total: steps.append((done, total))
    )
    assert [outcome.result for outcome in outcomes] == [DONE, FAILED, DONE, DONE]
    assert steps[-1] == (4, 4)
    assert look(kernel).of(SERVICES)[WEB].destinations == {A: weighing(5)}


def _addresses(kernel: Kernel) -> dict[AddressKey, tuple[AddressAttributes, bool]]:
    observed = look(kernel).of(ADDRESSES)
    return {a.key: (a.attributes, a.ours) for a in observed if a.key in (VIP, VIP6, VIP_SUBNET)}


def test_addresses_read_back_as_they_were_added_and_bear_our_mark(kernel: Kernel) -> None:
    kernel.perform([AddAddress(VIP, FLAGS), AddAddress(VIP6, FLAGS6)])
    assert _addresses(kernel) == {VIP: (FLAGS, True), VIP6: (FLAGS6, True)}


def test_address_of_another_prefix_stays_when_its_twin_is_removed(kernel: Kernel) -> None:
    kernel.perform([AddAddress(VIP, FLAGS), AddAddress(VIP_SUBNET, FLAGS), RemoveAddress(VIP)])
    assert list(_addresses(kernel)) == [VIP_SUBNET]


def test_link_is_up_and_of_the_wanted_size(kernel: Kernel) -> None:
    kernel.perform([EnsureLink(LinkState("kb1", "dummy", 1400))])
    found = {link.name: (link.up, link.kind, link.mtu_bytes) for link in look(kernel).of(LINKS)}
    assert found["kb1"] == (True, "dummy", 1400)


def test_sysctls_read_as_text_and_missing_ones_as_none(kernel: Kernel) -> None:
    kernel.perform([WriteSysctl(FORWARD, "0", "1", "Routes.")])
    assert look(kernel, sysctls=[FORWARD, "net/ipv4/no_such"]).of(SYSCTLS) == {
        FORWARD: "1",
        "net/ipv4/no_such": None,
    }


def test_timeouts_read_back(kernel: Kernel) -> None:
    assert look(kernel).of(TIMEOUTS) == Timeouts(900, 120, 300)
    kernel.perform([SetTimeouts(None, Timeouts(100, 20, 30))])
    assert look(kernel).of(TIMEOUTS) == Timeouts(100, 20, 30)


def test_table_reads_back_as_it_was_written(kernel: Kernel) -> None:
    assert look(kernel).of(NFT) == {}
    kernel.check([ReplaceTable(None, TABLE)])
    assert look(kernel).of(NFT) == {}
    kernel.perform([ReplaceTable(None, TABLE)])
    assert look(kernel).of(NFT).get(TABLE.title) == TABLE
    kernel.perform([ReplaceTable(TABLE, EMPTY_TABLE)])
    assert look(kernel).of(NFT) == {}


def test_policy_routes_read_back_as_they_were_added(kernel: Kernel) -> None:
    routes = {TABLE_ROUTE: HOP, TABLE_ROUTE6: HOP6, TableRouteKey(9, VIP.address, 32): ON_LINK}
    kernel.perform([*(AddRoute(*route) for route in routes.items()), AddRule(RULE), AddRule(RULE6)])
    observed = look(kernel)
    assert (observed.of(ROUTING).routes, observed.of(ROUTING).rules) == (routes, {RULE, RULE6})
    kernel.perform([ReplaceRoute(TABLE_ROUTE, HOP, ON_LINK), RemoveRule(RULE6), RemoveRoute(TABLE_ROUTE6)])
    del routes[TABLE_ROUTE6]
    observed = look(kernel)
    assert observed.of(ROUTING).routes == {**routes, TABLE_ROUTE: ON_LINK}
    assert observed.of(ROUTING).rules == {RULE}


# --- whole sites ---

SITE = """
networks:
  outside: {shared_addresses: [192.0.2.10/24, "2001:db8::10/64"]}
virtual_services:
  - name: web
    address: 192.0.2.10
    ports: [80, 443]
    port_following: true
    forwarding: nat
    one_armed: true
    persistence: {source_ip: {timeout: 5m, prefix: 24}}
    real_servers: [{address: 10.0.0.11}, {address: 10.0.0.12, weight: 0}]
    sorry_server: {address: 10.0.0.99}
  - name: web6
    address: "2001:db8::10"
    ports: ["8000-8010"]
    forwarding: tunnel
    scheduler: mh
    scheduler_flags: [mh-port]
    real_servers: [{address: "fd00::11", upper_threshold: 10}]
  - {name: dns, address: 192.0.2.11, protocol: udp, ports: 53, one_packet: true, forwarding: dsr,
     real_servers: [{address: 10.0.0.11}]}
kernel: {timeouts: {tcp: 5m}}
edge:
  one_to_one:
    - {name: a, outside: 192.0.2.51, inside: 10.0.0.21}
    - {name: b, outside: "2001:db8::51", inside: "fd00::21"}
  forward:
    - {name: a, outside: 192.0.2.10, ports: 2222, inside: 10.0.0.22, inside_port: 22}
    - {name: b, outside: 192.0.2.10, protocol: udp, ports: [53, 1024-2047, 5000-5010], inside: 10.0.0.22}
    - {name: c, outside: "2001:db8::10", ports: all, protocol: sctp, inside: "fd00::22"}
  source_nat:
    - {name: a, inside: 10.0.0.128/25, outside: 192.0.2.10}
    - {name: b, inside: 10.0.0.0/8, masquerade: true}
    - {name: c, inside: 0.0.0.0/0, outside: 192.0.2.53}
    - {name: d, inside: "fd00::/16", masquerade: true}
  routes:
    - {name: a, source: 10.0.0.21, destination: 198.51.100.0/24, gateway: 192.0.2.254}
    - {name: b, destination: "2001:db8:9::/48", gateway: "2001:db8::254", table: 77, priority: 500}
"""
LATER = (
    SITE.replace("port_following: true", "port_following: false")
    .replace("192.0.2.11", "192.0.2.12")
    .replace("inside: 10.0.0.22", "inside: 10.0.0.23")
    .replace("gateway: 192.0.2.254", "gateway: 192.0.2.253")
)


def _desired(text: str) -> DesiredState:
    return desired_state(site(text), node(outside=DEVICE, inside=DEVICE))


def test_site_comes_changes_and_goes_without_a_trace(kernel: Kernel) -> None:
    states = [_desired(SITE), _desired(LATER)]
    paths = {sysctl.path for state in states for sysctl in state.of(SYSCTLS)}
    if isinstance(kernel, FakeKernel):
        kernel.sysctls.update(dict.fromkeys(paths, "0"))
    before = look(kernel, sysctls=paths)
    reconciler = Reconciler(kernel, MemoryStore(), lambda: 0.0)
    for state in states:
        report = reconciler.perform(reconciler.prepare(state))
        assert report.failed == ()
        assert report.remaining.actions == ()
        assert reconciler.prepare(state).plan.empty
    options = Options(cut=True)
    assert reconciler.perform(reconciler.prepare(DesiredState(), options), options).converged
    after = look(kernel, sysctls=paths)
    assert (after.of(SERVICES), after.of(NFT).get(EMPTY_TABLE.title), after.of(TIMEOUTS)) == (
        {},
        before.of(NFT).get(EMPTY_TABLE.title),
        before.of(TIMEOUTS),
    )
    assert after.of(SYSCTLS) == before.of(SYSCTLS)
    assert (after.of(ROUTING).rules, after.of(ROUTING).routes) == (frozenset(), {})
    assert not any(address.ours for address in after.of(ADDRESSES))


def test_table_that_the_kernel_would_refuse_is_refused_beforehand(kernel: Kernel) -> None:
    """Two ranges of one address overlap."""
    overlapping = build_table({(VIP.address, 6, 80, 90): 7, (VIP.address, 6, 85, 95): 8}, frozenset())
    if isinstance(kernel, FakeKernel):
        kernel.refuse = kernel.forbid = lambda action: errno.EINVAL if isinstance(action, ReplaceTable) else 0
    with pytest.raises(KernelError):
        kernel.check([ReplaceTable(None, overlapping)])
    assert kernel.perform([ReplaceTable(None, overlapping)])[0].result is FAILED
    assert look(kernel).of(NFT) == {}
