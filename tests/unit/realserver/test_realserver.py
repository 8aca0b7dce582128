"""The actions of a real server, their order, and what the record makes of them."""

from collections.abc import Mapping
from typing import Any

from kernelbal.model.address import parse_address
from kernelbal.model.network import AddressAttributes, GueListener
from kernelbal.plan.action import Action
from kernelbal.plan.kind import ObservedState, Ownership
from kernelbal.plan.kinds.addresses import ADDRESSES, AddAddress, RemoveAddress, ReplaceAddress
from kernelbal.plan.kinds.files import FILES, NO_FILES, RemoveFile, WriteFile
from kernelbal.plan.kinds.links import LINKS, EnsureLink, RemoveLink
from kernelbal.plan.kinds.listeners import LISTENERS, CloseListener, OpenListener
from kernelbal.plan.kinds.sysctls import SYSCTLS, WriteSysctl
from kernelbal.plan.kinds.tables import TABLES, ReplaceTable
from kernelbal.plan.planning import NOTHING_OWNED, Plan, claim, make_plan
from kernelbal.realserver.desired import setup_for
from kernelbal.realserver.host import read_host
from kernelbal.realserver.preparation import Method, Preparation
from kernelbal.realserver.rules import tables
from kernelbal.realserver.run import KINDS
from kernelbal.realserver.setup import HostState
from tests.support.builders import held, link, place
from tests.support.realserver_host import GUE, IPIP, OTHER, REAL, VIP6, fake_host, host, prepared
from tests.support.realserver_host import LINKS as HOST_LINKS
from tests.support.realserver_host import SYSCTLS as VALUES
from tests.support.states import owned_of

LO_VIP = place("lo", "10.0.0.80")
BOOT_FILES = {"/etc/one": "1\n"}


def observed(at: HostState, files: Mapping[str, str | None]) -> ObservedState:
    return (
        ObservedState()
        .having(LINKS, at.links)
        .having(ADDRESSES, at.addresses)
        .having(LISTENERS, dict.fromkeys(at.listeners))
        .having(SYSCTLS, at.sysctls)
        .having(TABLES, {table.title: table for table in at.tables})
        .having(FILES, files)
    )


def planned(
    *preparations: Preparation,
    at: HostState | None = None,
    owned: Ownership = NOTHING_OWNED,
    files: Mapping[str, str] = NO_FILES,
    held_files: Mapping[str, str | None] = NO_FILES,
) -> tuple[Plan, Ownership]:
    """The plan, and what the record claims before it."""
    state = at or host()
    found = observed(state, held_files)
    desired = setup_for(preparations, state).desired.having(FILES, files)
    made = make_plan(KINDS, desired, found, owned, 0.0)
    return made, claim(KINDS, owned, made, desired, found)


def plan(*preparations: Preparation, **settings: Any) -> tuple[Action, ...]:  # noqa: ANN401 (as `planned` takes it)
    return planned(*preparations, **settings)[0].actions


def kinds(steps: tuple[Action, ...]) -> list[str]:
    return [type(step).__name__ for step in steps]


def test_silence_comes_before_the_address_and_files_last() -> None:
    steps = plan(prepared(), files=BOOT_FILES)
    assert kinds(steps) == ["WriteSysctl"] * 4 + ["AddAddress", "WriteFile"]
    assert steps[-2] == AddAddress(LO_VIP, AddressAttributes(), 0)
    table_first = plan(prepared(method=Method.ARP))
    assert kinds(table_first) == ["ReplaceTable", "AddAddress"]


def test_device_and_listener_come_first() -> None:
    steps = plan(prepared(tunnel=GUE))
    assert kinds(steps)[:2] == ["EnsureLink", "OpenListener"]
    assert isinstance(steps[-1], AddAddress)


def test_nothing_to_do_when_all_is_there() -> None:
    up = host(
        held(place("tunl0", "10.0.0.80")),
        links=(*HOST_LINKS, link("tunl0", kind="ipip")),
        tables=tables([prepared(tunnel=GUE)], {"eth0": REAL}),
        listeners=frozenset({GueListener(5555, 2)}),
        sysctls=dict.fromkeys(VALUES, "2"),
    )
    assert plan(prepared(tunnel=GUE), at=up) == ()


def test_address_of_somebody_else_is_used_and_left_alone() -> None:
    there = host(held(LO_VIP, deprecated=True))
    assert "AddAddress" not in kinds(plan(prepared(), at=there))
    assert plan(at=there) == ()
    ours = owned_of(addresses=frozenset({LO_VIP}))
    assert ReplaceAddress(LO_VIP, AddressAttributes(deprecated=True), AddressAttributes()) in plan(
        prepared(), at=there, owned=ours
    )


def everything() -> tuple[HostState, Ownership]:
    state = host(
        held(place("tunl0", "10.0.0.80")),
        links=(*HOST_LINKS, link("tunl0", kind="ipip")),
        tables=tables([prepared(tunnel=GUE)], {}),
        listeners=frozenset({GueListener(5555, 2)}),
        sysctls={**VALUES, "net/ipv4/conf/all/arp_ignore": "1"},
    )
    record = owned_of(
        sysctls={"net/ipv4/conf/all/arp_ignore": "0", "net/ipv4/conf/gone/arp_ignore": "0"},
        links=frozenset({"tunl0"}),
        addresses=frozenset({place("tunl0", "10.0.0.80"), place("lo", "10.0.0.99")}),
        listeners=frozenset({GueListener(5555, 2), GueListener(6666, 2)}),
        files={"/etc/one": None, "/etc/two": "before\n"},
    )
    return state, record


def test_undo_takes_the_address_first_and_only_what_is_recorded() -> None:
    state, record = everything()
    steps = plan(at=state, owned=record)
    assert steps[0] == RemoveAddress(place("tunl0", "10.0.0.80"))
    assert isinstance(steps[1], ReplaceTable)
    assert steps[1].table.empty
    assert steps[2:] == (
        WriteSysctl("net/ipv4/conf/all/arp_ignore", "1", "0", "No longer needed; this was its value before."),
        RemoveLink("tunl0"),
        CloseListener(GueListener(5555, 2)),
        RemoveFile("/etc/one", None),
        RemoveFile("/etc/two", "before\n"),
    )


def test_record_claims_what_will_be_done_with_first_values() -> None:
    _, record = planned(prepared(tunnel=IPIP), files=BOOT_FILES)
    assert record.of(SYSCTLS)["net/ipv4/conf/tunl0/rp_filter"] == "1"
    assert record.of(LINKS) == {"tunl0"}
    assert record.of(ADDRESSES) == {place("tunl0", "10.0.0.80")}
    assert record.of(FILES) == {"/etc/one": None}
    before = owned_of(sysctls={"net/ipv4/conf/tunl0/rp_filter": "0"})
    _, again = planned(prepared(tunnel=IPIP), owned=before)
    assert again.of(SYSCTLS)["net/ipv4/conf/tunl0/rp_filter"] == "0", "the first value counts"


def test_sysctl_that_the_kernel_lacks_has_no_value_to_come_back_to() -> None:
    made, record = planned(prepared(), at=host(sysctls={}))
    assert kinds(made.actions)[:4] == ["WriteSysctl"] * 4
    assert record.of(SYSCTLS) == {}


def test_record_forgets_what_has_gone_meanwhile() -> None:
    state, record = everything()
    _, kept = planned(prepared(tunnel=GUE), at=state, owned=record, files={"/etc/one": "1\n"})
    assert kept.of(ADDRESSES) == {place("tunl0", "10.0.0.80")}
    assert kept.of(LISTENERS) == {GueListener(5555, 2)}
    assert kept.of(SYSCTLS).keys() >= {"net/ipv4/conf/all/arp_ignore"}
    assert "net/ipv4/conf/gone/arp_ignore" not in kept.of(SYSCTLS)


def test_a_second_address_leaves_the_first_alone() -> None:
    state = host(held(LO_VIP), sysctls=dict.fromkeys(VALUES, "2"))
    record = owned_of(addresses=frozenset({LO_VIP}))
    steps = plan(prepared(), prepared(VIP6), at=state, owned=record)
    assert steps == (AddAddress(place("lo", "fd00::80"), AddressAttributes(no_dad=True, deprecated=True), 0),)
    assert plan(prepared(VIP6), at=state, owned=record)[:2] == (*steps, RemoveAddress(LO_VIP))


def test_what_takes_its_place_is_there_before_an_address_goes() -> None:
    silent = dict.fromkeys(VALUES, "2")
    state = host(held(LO_VIP), sysctls=silent)
    record = owned_of(sysctls=dict.fromkeys(VALUES, "1"), addresses=frozenset({LO_VIP}))
    redirected = plan(prepared(method=Method.REDIRECT), at=state, owned=record)
    assert kinds(redirected)[:3] == ["ReplaceTable", "RemoveAddress", "WriteSysctl"]
    tunnelled = kinds(plan(prepared(tunnel=IPIP), at=state, owned=record))
    assert tunnelled.index("AddAddress") < tunnelled.index("RemoveAddress") < len(tunnelled)


def test_devices_that_are_up_and_ports_that_are_open_stay() -> None:
    steps = plan(prepared(tunnel=GUE))
    assert EnsureLink in map(type, steps)
    assert OpenListener in map(type, steps)
    assert WriteFile not in map(type, plan(prepared(), held_files=BOOT_FILES, files=BOOT_FILES))


def test_an_address_leaves_before_its_silence_when_others_stay() -> None:
    both = (prepared(method=Method.ARP), prepared(OTHER, Method.ARP))
    own = {"eth0": REAL, "eth1": parse_address("192.0.2.11")}
    (table,) = tables(both, own)
    leaving = place("lo", "10.0.0.80")
    state = host(held(leaving), held(place("lo", "10.0.0.81")), tables=(table,))
    record = owned_of(addresses=frozenset({leaving, place("lo", "10.0.0.81")}))
    (alone,) = tables(both[1:], own)
    assert plan(both[1], at=state, owned=record) == (RemoveAddress(leaving), ReplaceTable(table, alone))
    redirected = kinds(plan(prepared(method=Method.REDIRECT), both[1], at=state, owned=record))
    assert redirected[:3] == ["ReplaceTable", "RemoveAddress", "ReplaceTable"]


def test_a_device_that_is_not_there_yet_comes_back_to_what_it_started_with() -> None:
    values = {path: value for path, value in VALUES.items() if "tunl0" not in path}
    bare = host(sysctls={**values, "net/ipv4/conf/default/rp_filter": "0"})
    _, record = planned(prepared(tunnel=IPIP), at=bare)
    assert record.of(SYSCTLS)["net/ipv4/conf/tunl0/rp_filter"] == "0"


def test_host_is_read_as_far_as_a_setup_depends_on_it() -> None:
    found = read_host(fake_host())
    assert (found.links, found.addresses, found.routes) == (HOST_LINKS, host().addresses, host().routes)
    assert (found.sysctls, found.tables, found.listeners) == ({}, (), frozenset())
