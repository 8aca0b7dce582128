"""The actions between the kernel as it is and the kernel as it should be."""

import pytest

from kernelbal.model.ipvs import (
    CounterTable,
    DestinationAttributes,
    Drain,
    DrainKey,
    Forwarding,
    ServiceFlag,
    ServiceKey,
    ServicePolicy,
    Timeouts,
)
from kernelbal.model.network import AddressAttributes, AddressKey, GueListener, LinkState, Sysctl
from kernelbal.model.nft import EMPTY_TABLE, NftTable
from kernelbal.model.policy_route import ANYWHERE, NextHop, Rule, TableRouteKey
from kernelbal.plan.action import Action
from kernelbal.plan.classifier import build_table
from kernelbal.plan.kind import (
    DEFAULT_OPTIONS,
    DesiredState,
    Note,
    ObservedState,
    Options,
    Ownership,
    Planning,
)
from kernelbal.plan.kinds import DIRECTOR, describe
from kernelbal.plan.kinds.addresses import AddAddress, RemoveAddress, ReplaceAddress
from kernelbal.plan.kinds.files import FILES, RemoveFile, WriteFile
from kernelbal.plan.kinds.links import LINKS, EnsureLink, RemoveLink
from kernelbal.plan.kinds.listeners import CloseListener, OpenListener
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
from kernelbal.plan.kinds.tables import TABLES, ReplaceTable
from kernelbal.plan.kinds.timeouts import SetTimeouts
from kernelbal.plan.planning import Plan, make_plan
from tests.support.builders import (
    by_mark,
    connected,
    desired,
    held,
    link,
    place,
    real,
    route,
    service,
    virtual,
    weighing,
)
from tests.support.states import desired_of, observed_of, owned_of

WEB, DNS, MARKED = service("192.0.2.10", 80), service("192.0.2.10", 53, "udp"), by_mark(7)
A, B, SORRY = real("10.0.0.11"), real("10.0.0.12"), real("10.0.0.99")
VIP = place("eth0", "192.0.2.10")
VIP6 = place("eth0", "2001:db8::10")
PLAIN = AddressAttributes()
FORWARD = Sysctl("net/ipv4/ip_forward", "1", "Routes.")
NOW = 1000.0
NOBODY = Ownership()
OURS = owned_of(services=frozenset({WEB, DNS, MARKED}))
NOTHING = DesiredState()
BUSY: CounterTable = {WEB: {A: connected(3), B: connected(0)}, MARKED: {A: connected(3)}}


def _plan(
    desired: DesiredState,
    observed: ObservedState,
    ownership: Ownership = NOBODY,
    options: Options = DEFAULT_OPTIONS,
) -> Plan:
    return make_plan(DIRECTOR, desired, observed, ownership, NOW, options)


def _wanting(*destinations: tuple[object, object], drain_s: float = 60.0) -> DesiredState:
    policies = {WEB: ServicePolicy("web", drain_s)}
    return desired_of(services={WEB: virtual(*destinations)}, policies=policies)


def _holding(*destinations: tuple[object, object], counters: CounterTable | None = None) -> ObservedState:
    return observed_of(services={WEB: virtual(*destinations)}, counters=counters or {})


# --- services and real servers ---


def test_new_service_comes_with_its_real_servers() -> None:
    plan = _plan(_wanting((A, weighing(1)), (B, weighing(2))), ObservedState())
    assert plan.actions == (
        AddService(WEB, virtual().attributes),
        AddDestination(WEB, A, weighing(1)),
        AddDestination(WEB, B, weighing(2)),
    )


def test_kernel_that_is_as_wanted_needs_no_action() -> None:
    plan = _plan(_wanting((A, weighing(1)), (B, weighing(2))), _holding((B, weighing(2)), (A, weighing(1))))
    assert plan.empty


def test_changed_attributes_are_edited_in_place() -> None:
    desired = desired_of(services={WEB: virtual(scheduler="sh")})
    plan = _plan(desired, _holding())
    edit = EditService(WEB, virtual().attributes, virtual(scheduler="sh").attributes)
    assert plan.actions == (edit,)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (weighing(1), weighing(2)),
        (weighing(1), weighing(1, upper_threshold=100)),
        (weighing(1, upper_threshold=100), weighing(1, upper_threshold=100, lower_threshold=50)),
        (weighing(1), weighing(1, Forwarding.DSR)),
        (weighing(1, Forwarding.TUNNEL), weighing(1, Forwarding.TUNNEL, tunnel_type=2)),
        (weighing(1, Forwarding.LOCAL), weighing(1)),
    ],
)
def test_changed_real_server_is_edited_in_place(
    old: DestinationAttributes, new: DestinationAttributes
) -> None:
    assert _plan(_wanting((A, new)), _holding((A, old))).actions == (EditDestination(WEB, A, old, new),)


def test_removed_real_server_without_connections_is_quiesced_and_then_removed() -> None:
    plan = _plan(_wanting((A, weighing(1))), _holding((A, weighing(1)), (B, weighing(1)), counters=BUSY))
    assert plan.actions == (QuiesceDestination(WEB, B, weighing(1), 60),)
    known = owned_of(services=frozenset({WEB}), drains={DrainKey(WEB, B): Drain(NOW - 1, NOW + 59)})
    then = _plan(_wanting((A, weighing(1))), _holding((A, weighing(1)), (B, weighing(0))), known)
    assert then.actions == (RemoveDestination(WEB, B),)


def test_hash_gives_clients_of_a_draining_real_server_another_one() -> None:
    """Without its fallback flag, it would refuse them for as long as the drain lasts."""
    plain = virtual((A, weighing(1)), scheduler="mh")
    fallen = virtual((A, weighing(1)), (B, weighing(0)), scheduler="mh", flags=ServiceFlag.SCHED1)
    desired = desired_of(services={WEB: plain})
    before = observed_of(services={WEB: virtual((A, weighing(1)), (B, weighing(1)), scheduler="mh")})
    assert _plan(desired, before).actions == (
        EditService(WEB, plain.attributes, fallen.attributes),
        QuiesceDestination(WEB, B, weighing(1), 60),
    )
    drains = {DrainKey(WEB, B): Drain(NOW - 1, NOW + 59)}
    under_way = owned_of(services=frozenset({WEB}), drains=drains)
    assert _plan(
        desired, observed_of(services={WEB: fallen}, counters={WEB: {B: connected(1)}}), under_way
    ).empty
    assert _plan(desired, observed_of(services={WEB: fallen}), under_way).actions == (
        RemoveDestination(WEB, B),
        EditService(WEB, fallen.attributes, plain.attributes),
    )


def test_removed_real_server_with_connections_drains_for_as_long_as_its_service_says() -> None:
    desired = _wanting((B, weighing(1)), drain_s=300)
    plan = _plan(desired, _holding((A, weighing(9)), (B, weighing(1)), counters=BUSY))
    assert plan.actions == (QuiesceDestination(WEB, A, weighing(9), 300),)
    assert plan.drains == {DrainKey(WEB, A): Drain(NOW, NOW + 300)}


def test_local_real_server_is_quiesced_as_what_it_is() -> None:
    local = weighing(9, Forwarding.LOCAL)
    plan = _plan(_wanting(), _holding((A, local), counters=BUSY))
    assert plan.actions == (QuiesceDestination(WEB, A, local, 60),)


def test_cut_removes_at_once() -> None:
    plan = _plan(_wanting(), _holding((A, weighing(9)), counters=BUSY), options=Options(cut=True))
    assert plan.actions == (RemoveDestination(WEB, A),)


def test_replacement_is_there_before_its_predecessor_is_quiesced() -> None:
    plan = _plan(_wanting((B, weighing(1))), _holding((A, weighing(1)), counters=BUSY))
    assert [type(action) for action in plan.actions] == [AddDestination, QuiesceDestination]


def test_sorry_server_is_there_before_the_last_real_server_stops() -> None:
    desired = _wanting((A, weighing(0)), (SORRY, weighing(1)))
    plan = _plan(desired, _holding((A, weighing(1)), counters=BUSY))
    assert plan.actions == (
        AddDestination(WEB, SORRY, weighing(1)),
        EditDestination(WEB, A, weighing(1), weighing(0)),
    )


def test_weights_rise_before_others_fall_to_zero() -> None:
    desired = _wanting((A, weighing(0)), (B, weighing(1)))
    plan = _plan(desired, _holding((A, weighing(1)), (B, weighing(0))))
    assert plan.actions == (
        EditDestination(WEB, B, weighing(0), weighing(1)),
        EditDestination(WEB, A, weighing(1), weighing(0)),
    )


def test_sorry_server_in_use_drains_once_a_real_server_is_back() -> None:
    counters = {WEB: {SORRY: connected(2)}}
    plan = _plan(
        _wanting((A, weighing(1))), _holding((A, weighing(0)), (SORRY, weighing(1)), counters=counters)
    )
    assert plan.actions == (
        EditDestination(WEB, A, weighing(0), weighing(1)),
        QuiesceDestination(WEB, SORRY, weighing(1), 60),
    )


def test_sorry_server_that_drains_comes_back_when_needed() -> None:
    known = owned_of(services=frozenset({WEB}), drains={DrainKey(WEB, SORRY): Drain(900, 1100)})
    plan = _plan(_wanting((SORRY, weighing(1))), _holding((SORRY, weighing(0)), counters=BUSY), known)
    assert plan.actions == (EditDestination(WEB, SORRY, weighing(0), weighing(1)),)
    assert plan.drains == {}


# --- services that leave ---


def test_removed_service_that_takes_no_connections_goes_whole() -> None:
    plan = _plan(NOTHING, _holding((A, weighing(0)), (B, weighing(0))), OURS)
    assert plan.actions == (RemoveService(WEB),)


def test_removed_service_takes_no_new_connections_while_old_ones_end() -> None:
    plan = _plan(NOTHING, _holding((A, weighing(1)), (B, weighing(0)), counters=BUSY), OURS)
    assert plan.actions == (QuiesceDestination(WEB, A, weighing(1), 60), RemoveDestination(WEB, B))


def test_removed_service_goes_with_its_last_connection() -> None:
    known = owned_of(services=frozenset({WEB}), drains={DrainKey(WEB, A): Drain(990, 1050)})
    assert _plan(NOTHING, _holding((A, weighing(0)), counters=BUSY), known).empty
    assert _plan(NOTHING, _holding((A, weighing(0))), known).actions == (RemoveService(WEB),)


def test_foreign_service_is_shown_and_left_alone() -> None:
    plan = _plan(NOTHING, _holding((A, weighing(1))))
    assert plan.empty
    assert plan.noted(Note.FOREIGN) == {"services": (WEB,)}


def test_found_service_that_the_site_names_is_adopted() -> None:
    plan = _plan(_wanting((A, weighing(1))), _holding((A, weighing(2))))
    assert plan.keys(Note.ADOPTED) == (WEB,)
    assert not plan.noted(Note.FOREIGN)
    assert plan.actions == (EditDestination(WEB, A, weighing(2), weighing(1)),)
    assert _plan(_wanting((A, weighing(1))), _holding((A, weighing(2))), OURS).keys(Note.ADOPTED) == ()


@pytest.mark.parametrize(
    ("desired", "ownership", "counted"),
    [
        (_wanting((A, weighing(1))), OURS, ()),
        (_wanting((A, weighing(2))), OURS, (WEB,)),
        (_wanting(), NOBODY, (WEB,)),
        (NOTHING, OURS, (WEB,)),
        (NOTHING, NOBODY, ()),
    ],
    ids=["matches", "changes", "adopted", "leaves", "foreign"],
)
def test_only_what_loses_or_changes_real_servers_is_counted(
    desired: DesiredState, ownership: Ownership, counted: tuple[ServiceKey, ...]
) -> None:
    observed = _holding((A, weighing(1)))
    assert SERVICES.counted(desired.of(SERVICES), observed.of(SERVICES), ownership.of(SERVICES)) == counted


# --- addresses ---


def _addresses(*keys: AddressKey) -> DesiredState:
    return desired_of(addresses=dict.fromkeys(keys, PLAIN))


def _held(*keys: AddressKey, ours: bool = True) -> ObservedState:
    return observed_of(addresses=tuple(held(key, ours=ours) for key in keys))


MOVED = place("eth2", "192.0.2.10")
SHARED = place("eth0", "192.0.2.10", 24)
SHARED6 = place("eth0", "2001:db8::10", 64)


@pytest.mark.parametrize(
    ("desired", "observed", "actions"),
    [
        (_addresses(VIP), _held(), (AddAddress(VIP, PLAIN),)),
        (_addresses(VIP), _held(VIP), ()),
        (NOTHING, _held(VIP), (RemoveAddress(VIP),)),
        (NOTHING, _held(VIP, ours=False), ()),
        (_addresses(VIP), _held(VIP, ours=False), ()),
        (_addresses(VIP), _held(SHARED, ours=False), ()),
        (_addresses(VIP6), _held(SHARED6, ours=False), ()),
        (_addresses(VIP), _held(MOVED, ours=False), (AddAddress(VIP, PLAIN),)),
    ],
    ids=[
        "new",
        "there",
        "leaves",
        "foreign",
        "wanted and foreign",
        "other prefix",
        "other prefix, ipv6",
        "elsewhere",
    ],
)
def test_address(desired: DesiredState, observed: ObservedState, actions: tuple[Action, ...]) -> None:
    assert _plan(desired, observed).actions == actions


@pytest.mark.parametrize(
    ("old", "new", "in_place"),
    [
        (VIP, MOVED, False),
        (VIP, SHARED, False),
        (SHARED, VIP, False),
        (VIP6, place("eth2", "2001:db8::10"), False),
        (VIP6, SHARED6, True),  # the kernel refuses the second one
    ],
    ids=["device", "to shared", "from shared", "device, ipv6", "to shared, ipv6"],
)
def test_address_that_moves_is_not_away_in_between(old: AddressKey, new: AddressKey, in_place: bool) -> None:
    come, go = AddAddress(new, PLAIN), RemoveAddress(old)
    assert _plan(_addresses(new), _held(old)).actions == ((go, come) if in_place else (come, go))


def test_other_addresses_leave_before_everything_else() -> None:
    leaving = place("eth0", "192.0.2.77")
    desired = desired_of(services={WEB: virtual()}, addresses={VIP: PLAIN})
    actions = _plan(desired, _held(leaving)).actions
    assert actions == (RemoveAddress(leaving), AddService(WEB, virtual().attributes), AddAddress(VIP, PLAIN))


def test_flags_of_our_address_are_corrected() -> None:
    wrong, right = AddressAttributes(no_dad=True), AddressAttributes(no_dad=True, deprecated=True)
    desired = desired_of(addresses={VIP6: right})
    ours = observed_of(addresses=(held(VIP6, ours=True, no_dad=True),))
    assert _plan(desired, ours).actions == (ReplaceAddress(VIP6, wrong, right),)
    foreign = observed_of(addresses=(held(VIP6, no_dad=True),))
    assert _plan(desired, foreign).empty
    recorded = owned_of(addresses=frozenset({VIP6}))
    assert len(_plan(desired, foreign, recorded).actions) == 1


def test_duplicate_address_detection_is_no_difference() -> None:
    desired = desired_of(addresses={VIP6: AddressAttributes(no_dad=True)})
    assert _plan(desired, observed_of(addresses=(held(VIP6, ours=True),))).empty


def test_recorded_address_is_ours_without_the_kernels_mark() -> None:
    plan = _plan(NOTHING, _held(VIP, ours=False), owned_of(addresses=frozenset({VIP})))
    assert plan.actions == (RemoveAddress(VIP),)


def test_wanted_address_of_others_is_borrowed() -> None:
    plan = _plan(_addresses(VIP), _held(VIP, ours=False))
    assert (plan.keys(Note.BORROWED), plan.actions) == ((VIP,), ())
    assert _plan(_addresses(VIP), _held(VIP)).keys(Note.BORROWED) == ()


def test_foreign_address_is_shown() -> None:
    assert _plan(NOTHING, _held(VIP, ours=False)).keys(Note.FOREIGN) == (VIP,)


@pytest.mark.parametrize(
    ("key", "address", "stays"),
    [
        (WEB, VIP, True),
        (WEB, place("eth0", "192.0.2.11"), False),
        (MARKED, VIP, True),  # the address of a service by mark is not known any more
    ],
    ids=["its own", "another", "by mark"],
)
def test_service_that_drains_keeps_its_address(key: ServiceKey, address: AddressKey, stays: bool) -> None:
    observed = observed_of(
        services={key: virtual((A, weighing(1)))}, counters=BUSY, addresses=(held(address, ours=True),)
    )
    plan = _plan(NOTHING, observed, OURS)
    assert (RemoveAddress(address) not in plan.actions) is stays
    assert RemoveAddress(address) in _plan(NOTHING, observed, OURS, Options(cut=True)).actions


# --- sysctls, timeouts, links ---


@pytest.mark.parametrize(
    ("value", "optional", "actions", "missing"),
    [
        ("0", False, 1, ()),
        ("1", False, 0, ()),
        (None, False, 1, ()),
        (None, True, 0, (FORWARD.path,)),
    ],
)
def test_sysctl(value: str | None, optional: bool, actions: int, missing: tuple[str, ...]) -> None:
    desired = desired_of(sysctls=(FORWARD._replace(optional=optional),))
    plan = _plan(desired, observed_of(sysctls={FORWARD.path: value}))
    assert plan.actions == (WriteSysctl(FORWARD.path, value or "", "1", "Routes."),) * actions
    assert plan.keys(Note.MISSING) == missing


def test_sysctl_of_several_numbers_is_compared_without_its_tabs() -> None:
    threshold = Sysctl("net/ipv4/vs/sync_threshold", "2 50", "Early.")
    assert _plan(desired_of(sysctls=(threshold,)), observed_of(sysctls={threshold.path: "2\t50"})).empty


@pytest.mark.parametrize(
    ("everywhere", "device", "actions"), [("0", "1", 1), ("1", "0", 1), ("0", "0", 0), ("2", "1", 0)]
)
def test_sysctl_that_replaces_one_value_leaves_others_alone(
    everywhere: str, device: str, actions: int
) -> None:
    loosened = Sysctl("net/eth0/rp_filter", "2", "Why.", replaces="1", beside="net/all/rp_filter")
    desired = desired_of(sysctls=(loosened,))
    assert {loosened.path, loosened.beside} <= set(SYSCTLS.scope(desired.of(SYSCTLS), {}) or ())
    plan = _plan(desired, observed_of(sysctls={loosened.path: device, loosened.beside: everywhere}))
    assert plan.actions == (WriteSysctl(loosened.path, device, "2", "Why."),) * actions


ROUTING6, ADVERTISED = "net/ipv6/conf/all/forwarding", "net/ipv6/conf/eth0/accept_ra"


@pytest.mark.parametrize(
    ("advertised", "owned", "written"),
    [
        (False, False, [ROUTING6]),
        (True, False, [ADVERTISED, ROUTING6]),
        (False, True, [ADVERTISED, ROUTING6]),
    ],
)
def test_routing_keeps_a_default_route_that_was_advertised(
    advertised: bool, owned: bool, written: list[str]
) -> None:
    want = desired(
        "virtual_services: [{name: web, address: 'fd00::80', ports: 80, forwarding: nat, real_servers: []}]"
    )
    values = {sysctl.path: sysctl.value for sysctl in want.of(SYSCTLS)}
    observed = observed_of(
        routes=(route("::/0", "eth0", "fe80::1")._replace(advertised=advertised), route("::/0", "eth1")),
        sysctls={**values, ROUTING6: "0", ADVERTISED: "1", ADVERTISED.replace("eth0", "eth1"): "1"},
    )
    plan = _plan(want, observed, owned_of(sysctls={ADVERTISED: "1"} if owned else {}))
    assert [each.path for each in plan.actions if isinstance(each, WriteSysctl)] == written


@pytest.mark.parametrize(("value", "restored"), [("1", True), ("0", False), (None, False)])
def test_sysctl_that_is_no_longer_wanted_gets_its_first_value(value: str | None, restored: bool) -> None:
    plan = _plan(NOTHING, observed_of(sysctls={FORWARD.path: value}), owned_of(sysctls={FORWARD.path: "0"}))
    assert [(type(a), a.value) for a in plan.actions if isinstance(a, WriteSysctl)] == [
        (WriteSysctl, "0")
    ] * restored


SLOW, FAST = Timeouts(), Timeouts(60, 10, 30)


@pytest.mark.parametrize(
    ("wanted", "first", "value", "action"),
    [
        (FAST, None, SLOW, SetTimeouts(SLOW, FAST)),
        (FAST, SLOW, FAST, None),
        (None, None, FAST, None),
        (None, SLOW, FAST, SetTimeouts(FAST, SLOW)),
        (None, SLOW, SLOW, None),
    ],
)
def test_timeouts(
    wanted: Timeouts | None, first: Timeouts | None, value: Timeouts, action: SetTimeouts | None
) -> None:
    plan = _plan(desired_of(timeouts=wanted), observed_of(timeouts=value), owned_of(timeouts=first))
    assert plan.actions == ((action,) if action else ())


@pytest.mark.parametrize(
    ("present", "wanted", "changes"),
    [
        ((), LinkState("tunl0", "ipip"), True),
        ((link("tunl0", up=False),), LinkState("tunl0", "ipip"), True),
        ((link("tunl0"),), LinkState("tunl0", "ipip"), False),
        ((link("tunl0", mtu_bytes=1500),), LinkState("tunl0", "ipip", 1480), True),
        ((link("tunl0", mtu_bytes=1480),), LinkState("tunl0", "ipip", 1480), False),
    ],
    ids=["missing", "down", "up", "other mtu", "same mtu"],
)
def test_link(present: tuple[object, ...], wanted: LinkState, changes: bool) -> None:
    plan = _plan(desired_of(links=(wanted,)), observed_of(links=present))
    assert plan.actions == (EnsureLink(wanted),) * changes


def test_only_our_links_are_removed() -> None:
    observed = observed_of(links=(link("tunl0"), link("eth0")))
    plan = _plan(NOTHING, observed, owned_of(links=frozenset({"tunl0", "long-gone"})))
    assert plan.actions == (RemoveLink("tunl0"),)


def test_device_of_a_module_that_is_off_again_is_forgotten() -> None:
    """Whoever switches it on after that is its owner, also when the run that switched it off was killed."""
    observed = observed_of(links=(link("tunl0", up=False), link("kb0", up=False)))
    owned = frozenset({"tunl0", "kb0"})
    assert LINKS.claim(owned, (), Planning(NOTHING, observed, owned_of(links=owned))) == {"kb0"}


FORWARDED, MASQUERADING = (
    "outside: 192.0.2.9, ports: 22, inside: 10.0.0.9",
    "inside: 10.0.0.0/24, masquerade: true",
)
EDGE_SITE = f"edge: {{forward: [{{name: a, {FORWARDED}}}]}}"

# --- nftables ---

WHERE = (VIP.address, 6, 80, 90)
MARKS = build_table({WHERE: 7}, frozenset())
MASQUERADED = build_table({WHERE: 7}, frozenset({7}))


@pytest.mark.parametrize(
    ("want", "have", "becomes"),
    [
        (MARKS, None, MARKS),
        (MARKS, MARKS, None),
        (MARKS, MASQUERADED, MARKS),
        (EMPTY_TABLE, MARKS, EMPTY_TABLE),
        (EMPTY_TABLE, EMPTY_TABLE, EMPTY_TABLE),  # an empty table of ours is there: it goes
        (EMPTY_TABLE, None, None),
    ],
)
def test_table(want: NftTable, have: NftTable | None, becomes: NftTable | None) -> None:
    plan = _plan(desired_of(nft=want), observed_of(nft=have))
    assert plan.actions == (() if becomes is None else (ReplaceTable(have, becomes),))


def test_other_tables_are_shown() -> None:
    assert _plan(NOTHING, observed_of(foreign_nft=("ip filter",))).keys(Note.FOREIGN) == ("ip filter",)


def test_marks_lead_to_a_service_that_is_there_and_away_from_one_that_still_answers() -> None:
    """A service moves from its address to a mark, and back."""
    old, new = virtual((A, weighing(1))), virtual((real("10.0.0.11", 0), weighing(1)))
    there = _plan(
        desired_of(services={MARKED: new}, nft=MARKS),
        observed_of(services={WEB: old}, counters=BUSY),
        OURS,
    )
    back = _plan(
        desired_of(services={WEB: old}),
        observed_of(services={MARKED: virtual((A, weighing(1)))}, counters=BUSY, nft=MARKS),
        OURS,
    )
    for plan in (there, back):
        order = [AddService, AddDestination, ReplaceTable, QuiesceDestination]
        assert [type(action) for action in plan.actions] == order


# --- what connections need while they drain ---


def test_nothing_that_open_connections_need_is_taken_back_before_they_end() -> None:
    observed = observed_of(
        services={WEB: virtual((A, weighing(0)))},
        counters=BUSY,
        links=(link("tunl0"),),
        sysctls={FORWARD.path: "1"},
        timeouts=FAST,
        nft=build_table({}, frozenset({7})),
    )
    ours = owned_of(
        services=frozenset({WEB}),
        links=frozenset({"tunl0"}),
        sysctls={FORWARD.path: "0"},
        timeouts=SLOW,
        drains={DrainKey(WEB, A): Drain(990, 1050)},
    )
    assert _plan(NOTHING, observed, ours).empty
    after = _plan(NOTHING, observed, ours, Options(cut=True))
    kinds = [SetTimeouts, RemoveService, ReplaceTable, WriteSysctl, RemoveLink]
    assert [type(action) for action in after.actions] == kinds


def test_marks_go_at_once_but_translation_lasts_as_long_as_the_drain() -> None:
    observed = _holding((A, weighing(0)), counters=BUSY)
    observed = observed_of(services=observed.of(SERVICES), counters=BUSY, nft=MASQUERADED)
    ours = owned_of(services=frozenset({WEB}), drains={DrainKey(WEB, A): Drain(990, 1050)})
    other = build_table({(VIP.address, 17, 53, 54): 9}, frozenset())
    (action,) = _plan(desired_of(nft=other), observed, ours).actions
    assert isinstance(action, ReplaceTable)
    kept = {each.name for each in MASQUERADED.sets} - {each.name for each in MARKS.sets}
    assert {chain.kind for chain in action.table.chains} == {"filter", "nat"}
    assert set(other.sets) < set(action.table.sets)
    assert {each.name for each in action.table.sets} - {each.name for each in other.sets} == kept
    again = observed_of(services=observed.of(SERVICES), counters=BUSY, nft=action.table)
    assert _plan(desired_of(nft=other), again, ours).empty


# --- what was decided ---


def test_real_server_that_leaves_by_decision_has_its_own_deadline() -> None:
    policies = {WEB: ServicePolicy("web", 60.0, ((A, NOW + 300.0), (B, 0.0)))}
    desired = desired_of(services={WEB: virtual()}, policies=policies)
    plan = _plan(desired, _holding((A, weighing(1)), (B, weighing(1)), counters=BUSY), OURS)
    assert plan.actions == (QuiesceDestination(WEB, A, weighing(1), 300.0), RemoveDestination(WEB, B))


def test_removed_service_drains_for_its_own_time() -> None:
    ownership = owned_of(services=frozenset({WEB}), drain_s={WEB: 7.0})
    plan = _plan(NOTHING, _holding((A, weighing(1)), counters=BUSY), ownership)
    assert plan.actions == (QuiesceDestination(WEB, A, weighing(1), 7.0),)


def test_drain_keeps_no_forward_where_something_else_is_translated() -> None:
    """Any NAT chain keeps established connections translated, so a forward that is gone is gone at once."""
    before = desired(EDGE_SITE).of(TABLES).get(EMPTY_TABLE.title, EMPTY_TABLE)
    after = (
        desired(EDGE_SITE.replace("forward:", "source_nat:").replace(FORWARDED, MASQUERADING))
        .of(TABLES)
        .get(EMPTY_TABLE.title, EMPTY_TABLE)
    )
    observed = observed_of(
        services={WEB: virtual((A, weighing(1)))}, counters={WEB: {A: connected(3)}}, nft=before
    )
    plan = _plan(desired_of(nft=after), observed, owned_of(services=frozenset({WEB})))
    assert [action.table for action in plan.actions if isinstance(action, ReplaceTable)] == [after]
    assert plan.drains


# --- policy routes ---

RULE = Rule(2, 500, 300, ANYWHERE[2], 0, ANYWHERE[2], 0)
KEY, HOP = TableRouteKey(300, ANYWHERE[2], 0), NextHop(None, "eth0")
OTHER_HOP = NextHop(None, "eth1")
ROUTED = desired_of(rules=frozenset({RULE}), table_routes={KEY: HOP})


def test_table_comes_before_the_rule_that_leads_to_it_and_goes_after_it() -> None:
    assert _plan(ROUTED, ObservedState()).actions == (AddRoute(KEY, HOP), AddRule(RULE))
    there = observed_of(rules=ROUTED.of(ROUTING).rules, table_routes=ROUTED.of(ROUTING).routes)
    assert _plan(NOTHING, there).actions == (RemoveRule(RULE), RemoveRoute(KEY))
    assert _plan(ROUTED, there).empty


def test_rule_that_changes_its_priority_leaves_no_gap() -> None:
    moved = RULE._replace(priority=600)
    there = observed_of(rules=frozenset({moved}), table_routes={KEY: OTHER_HOP})
    assert _plan(ROUTED, there).actions == (
        ReplaceRoute(KEY, OTHER_HOP, HOP),
        AddRule(RULE),
        RemoveRule(moved),
    )


def test_policy_routes_stay_while_connections_drain() -> None:
    observed = observed_of(
        services={WEB: virtual((A, weighing(1)))},
        counters={WEB: {A: connected(3)}},
        rules=ROUTED.of(ROUTING).rules,
        table_routes=ROUTED.of(ROUTING).routes,
    )
    plan = _plan(NOTHING, observed, owned_of(services=frozenset({WEB})))
    assert not [action for action in plan.actions if isinstance(action, RemoveRule | RemoveRoute)]


@pytest.mark.parametrize(
    ("action", "line"),
    [
        (WriteFile("/etc/a", None, "x"), ("+", "file /etc/a")),
        (WriteFile("/etc/a", "y", "x"), ("~", "file /etc/a")),
        (RemoveFile("/etc/a", None), ("-", "file /etc/a")),
        (RemoveFile("/etc/a", "y"), ("~", "file /etc/a as it was")),
        (OpenListener(GueListener(5555, 2)), ("+", "listener gue 5555/udp ipv4")),
        (CloseListener(GueListener(5555, 10)), ("-", "listener gue 5555/udp ipv6")),
    ],
)
def test_words_of_files_and_listeners(action: Action, line: tuple[str, str]) -> None:
    assert describe(action, {}) == line


def test_file_that_is_no_longer_desired_gets_its_former_contents_back() -> None:
    planning = Planning(
        DesiredState().having(FILES, {"/etc/a": "new"}),
        ObservedState().having(FILES, {"/etc/a": "old", "/etc/b": "ours"}),
        Ownership().having(FILES, {"/etc/b": None}),
    )
    FILES.diff(planning)
    actions = list(planning.put_so_far(FILES))
    assert actions == [WriteFile("/etc/a", "old", "new"), RemoveFile("/etc/b", None)]
    claimed = FILES.claim({"/etc/b": None}, actions, planning)
    assert claimed == {"/etc/a": "old", "/etc/b": None}
    assert FILES.settle(claimed, actions, {"/etc/a": "new"}) == {"/etc/a": "old"}


def test_sysctls_are_read_with_those_that_count_beside_them() -> None:
    desired = (
        Sysctl("net/ipv4/ip_forward", "1", "why"),
        Sysctl("net/ipv4/conf/eth1/rp_filter", "2", "why", beside="net/ipv4/conf/all/rp_filter"),
    )
    assert {
        "net/ipv4/ip_forward",
        "net/ipv4/conf/eth1/rp_filter",
        "net/ipv4/conf/all/rp_filter",
    } <= set(SYSCTLS.scope(desired, {}) or ())
