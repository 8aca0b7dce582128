"""The steps, their order, and what the record makes of them."""

from dataclasses import replace

from kernelbal.model.address import parse_address
from kernelbal.model.network import AddressAttributes, GueListener
from kernelbal.plan.actions import (
    AddAddress,
    CloseListener,
    EnsureLink,
    OpenListener,
    RemoveAddress,
    RemoveLink,
    ReplaceAddress,
    ReplaceTable,
    WriteSysctl,
)
from kernelbal.realserver.plan import claim, make_plan, settle
from kernelbal.realserver.preparation import Method, Preparation
from kernelbal.realserver.rules import tables
from kernelbal.realserver.setup import HostState, Record, Setup
from kernelbal.realserver.steps import RemoveFile, Step, WriteFile
from kernelbal.realserver.wanted import setup_for
from tests.unit.plan.samples import held, link, place
from tests.unit.realserver.samples import GUE, IPIP, LINKS, OTHER, REAL, SYSCTLS, VIP6, host, prepared

LO_VIP = place("lo", "10.0.0.80")
FILES = {"/etc/one": "1\n"}


def plan(
    *preparations: Preparation,
    at: HostState | None = None,
    record: Record | None = None,
    files: dict[str, str] | None = None,
) -> tuple[Step, ...]:
    state = at or host()
    return make_plan(setup_for(preparations, state), files or {}, state, record or Record())


def kinds(steps: tuple[Step, ...]) -> list[str]:
    return [type(step).__name__ for step in steps]


def test_silence_comes_before_the_address_and_files_last() -> None:
    steps = plan(prepared(), files=FILES)
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
        links=(*LINKS, link("tunl0", kind="ipip")),
        tables=tables([prepared(tunnel=GUE)], {"eth0": REAL}),
        listeners=frozenset({GueListener(5555, 2)}),
        sysctls=dict.fromkeys(SYSCTLS, "2"),
    )
    assert plan(prepared(tunnel=GUE), at=up) == ()


def test_address_of_somebody_else_is_used_and_left_alone() -> None:
    there = host(held(LO_VIP, deprecated=True))
    assert "AddAddress" not in kinds(plan(prepared(), at=there))
    assert plan(at=there) == ()
    ours = Record(addresses=frozenset({LO_VIP}))
    assert ReplaceAddress(LO_VIP, AddressAttributes(deprecated=True), AddressAttributes()) in plan(
        prepared(), at=there, record=ours
    )


def everything() -> tuple[HostState, Record]:
    state = host(
        held(place("tunl0", "10.0.0.80")),
        links=(*LINKS, link("tunl0", kind="ipip")),
        tables=tables([prepared(tunnel=GUE)], {}),
        listeners=frozenset({GueListener(5555, 2)}),
        sysctls={**SYSCTLS, "net/ipv4/conf/all/arp_ignore": "1"},
        files={"/etc/one": "1\n", "/etc/two": "2\n"},
    )
    record = Record(
        preparations=(prepared(tunnel=GUE),),
        sysctls={"net/ipv4/conf/all/arp_ignore": "0", "net/ipv4/conf/gone/arp_ignore": "0"},
        links=frozenset({"tunl0"}),
        addresses=frozenset({place("tunl0", "10.0.0.80"), place("lo", "10.0.0.99")}),
        listeners=frozenset({GueListener(5555, 2), GueListener(6666, 2)}),
        files={"/etc/one": None, "/etc/two": "before\n"},
    )
    return state, record


def test_undo_takes_the_address_first_and_only_what_is_recorded() -> None:
    state, record = everything()
    steps = make_plan(Setup(), {}, state, record)
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
    steps = plan(prepared(tunnel=IPIP), files=FILES)
    record = claim(Record(), (prepared(tunnel=IPIP),), steps, host(), "unit")
    assert record.sysctls["net/ipv4/conf/tunl0/rp_filter"] == "1"
    assert record.links == {"tunl0"}
    assert record.addresses == {place("tunl0", "10.0.0.80")}
    assert record.files == {"/etc/one": None}
    assert record.persist == "unit"
    again = claim(
        replace(record, sysctls={"net/ipv4/conf/tunl0/rp_filter": "0"}),
        record.preparations,
        steps,
        host(),
        "",
    )
    assert again.sysctls["net/ipv4/conf/tunl0/rp_filter"] == "0", "the first value counts"


def test_sysctl_that_the_kernel_lacks_has_no_value_to_come_back_to() -> None:
    bare = host(sysctls={})
    steps = plan(prepared(), at=bare)
    assert [type(step) for step in steps][:4] == [WriteSysctl] * 4
    assert claim(Record(), (prepared(),), steps, bare, "").sysctls == {}


def test_settled_record_holds_what_is_wanted() -> None:
    state, record = everything()
    kept = settle(record, setup_for([prepared(tunnel=GUE)], state), {"/etc/one": "1\n"})
    assert kept.addresses == {place("tunl0", "10.0.0.80")}
    assert kept.listeners == {GueListener(5555, 2)}
    assert list(kept.sysctls) == ["net/ipv4/conf/all/arp_ignore"]
    assert list(kept.files) == ["/etc/one"]
    gone = settle(record, Setup(), {})
    assert gone == Record(preparations=record.preparations)


def test_a_second_address_leaves_the_first_alone() -> None:
    state = host(held(LO_VIP), sysctls=dict.fromkeys(SYSCTLS, "2"))
    record = Record(preparations=(prepared(),), addresses=frozenset({LO_VIP}))
    steps = plan(prepared(), prepared(VIP6), at=state, record=record)
    assert steps == (AddAddress(place("lo", "fd00::80"), AddressAttributes(no_dad=True, deprecated=True), 0),)
    assert plan(prepared(VIP6), at=state, record=record)[:2] == (*steps, RemoveAddress(LO_VIP))


def test_what_takes_its_place_is_there_before_an_address_goes() -> None:
    silent = dict.fromkeys(SYSCTLS, "2")
    state = host(held(LO_VIP), sysctls=silent)
    record = Record(
        preparations=(prepared(),), sysctls=dict.fromkeys(SYSCTLS, "1"), addresses=frozenset({LO_VIP})
    )
    redirected = plan(prepared(method=Method.REDIRECT), at=state, record=record)
    assert kinds(redirected)[:3] == ["ReplaceTable", "RemoveAddress", "WriteSysctl"]
    tunnelled = kinds(plan(prepared(tunnel=IPIP), at=state, record=record))
    assert tunnelled.index("AddAddress") < tunnelled.index("RemoveAddress") < len(tunnelled)


def test_devices_that_are_up_and_ports_that_are_open_stay() -> None:
    steps = plan(prepared(tunnel=GUE))
    assert EnsureLink in map(type, steps)
    assert OpenListener in map(type, steps)
    assert WriteFile not in map(type, plan(prepared(), at=host(files=FILES), files=FILES))


def test_an_address_leaves_before_its_silence_when_others_stay() -> None:
    both = (prepared(method=Method.ARP), prepared(OTHER, Method.ARP))
    own = {"eth0": REAL, "eth1": parse_address("192.0.2.11")}
    (table,) = tables(both, own)
    leaving = place("lo", "10.0.0.80")
    state = host(held(leaving), held(place("lo", "10.0.0.81")), tables=(table,))
    record = Record(preparations=both, addresses=frozenset({leaving, place("lo", "10.0.0.81")}))
    (alone,) = tables(both[1:], own)
    assert plan(both[1], at=state, record=record) == (RemoveAddress(leaving), ReplaceTable(table, alone))
    redirected = kinds(plan(prepared(method=Method.REDIRECT), both[1], at=state, record=record))
    assert redirected[:3] == ["ReplaceTable", "RemoveAddress", "ReplaceTable"]


def test_a_device_that_is_not_there_yet_comes_back_to_what_it_started_with() -> None:
    values = {path: value for path, value in SYSCTLS.items() if "tunl0" not in path}
    bare = host(sysctls={**values, "net/ipv4/conf/default/rp_filter": "0"})
    steps = plan(prepared(tunnel=IPIP), at=bare)
    assert claim(Record(), (), steps, bare, "").sysctls["net/ipv4/conf/tunl0/rp_filter"] == "0"
