"""What a build of layout 1 wrote is read: an upgrade drops nothing, and takes nothing of ours for foreign.

The files in `layout1/` were written by the codecs of such a build.
"""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kernelbal.errors import StateError
from kernelbal.model.address import AF_INET, AF_INET6, Address, parse_address
from kernelbal.model.ipvs import (
    DestinationAttributes,
    DestinationKey,
    Drain,
    DrainKey,
    ServiceAttributes,
    ServiceKey,
    ServicePolicy,
    Timeouts,
    TunnelType,
    VirtualServer,
)
from kernelbal.model.network import AddressAttributes, AddressKey, GueListener, LinkState, Sysctl
from kernelbal.model.overlay import Admin, OperatorKey, Order
from kernelbal.model.policy_route import ANYWHERE, NextHop, Rule, TableRouteKey
from kernelbal.plan.classifier import build_table
from kernelbal.plan.kinds.services import SERVICES
from kernelbal.realserver.preparation import Encapsulation, Method, PortMap, Preparation
from kernelbal.realserver.setup import ARP_TABLE, Record
from kernelbal.realserver.store import DIRECTORY, RECORD, RecordStore
from kernelbal.store import layout1
from kernelbal.store.codec import Malformed
from kernelbal.store.daemon import HEALTH, ORDERS, DaemonState
from kernelbal.store.records import LAYOUT, OWNERSHIP, SNAPSHOT, RecordFile, Snapshot
from tests.support.states import desired_of, owned_of

FILES = Path(__file__).with_name("layout1")
BOOT = "5f1b"
V4, V6 = parse_address("192.0.2.10"), parse_address("2001:db8::10")
WEB = ServiceKey(AF_INET, 6, V4, 80)
WEB6 = ServiceKey(AF_INET6, 17, V6, 53)
MARKED = ServiceKey(AF_INET6, 0, Address(b""), 0, 0x4B000001)
SERVER = DestinationKey(parse_address("10.0.0.11"), 80)
SERVER6 = DestinationKey(parse_address("fd00::11"), 0)

OWNED = owned_of(
    boot_id=BOOT,
    services=frozenset({WEB, WEB6, MARKED}),
    addresses=frozenset({AddressKey("eth0", V4, 24), AddressKey("eth0.5", V6, 128)}),
    links=frozenset({"tunl0"}),
    sysctls={"net/ipv4/vs/sync_threshold": "3\t50", "net/ipv4/ip_forward": "0"},
    timeouts=Timeouts(900, 120, 300),
    drains={DrainKey(WEB, SERVER): Drain(12.5, 72.5), DrainKey(MARKED, SERVER6): Drain(1.0, 2.0)},
    drain_s={MARKED: 0.0, WEB: 7.5},
)
STATE = desired_of(
    services={
        WEB: VirtualServer(
            ServiceAttributes("wlc", 1, 300, 24, ""),
            {
                SERVER6: DestinationAttributes(2, 0, 0, 0, 1, 5555, 1),
                SERVER: DestinationAttributes(0, 65535, 10, 5),
            },
        ),
        MARKED: VirtualServer(ServiceAttributes("mh", 0x18, 0, 128, "sip")),
    },
    policies={WEB: ServicePolicy("web", 60.0)},
    addresses={AddressKey("eth0", V6, 128): AddressAttributes(no_dad=True, deprecated=True)},
    links=(LinkState("tunl0", "ipip", 1480),),
    sysctls=(Sysctl("net/ipv4/ip_forward", "1", "Replies are routed.", optional=True),),
    nft=build_table({(V4, 6, 80, 443): 1, (V6, 17, 53, 53): 2}, frozenset({1})),
    timeouts=Timeouts(),
    rules=frozenset(
        {Rule(2, 500, 300, V4, 32, ANYWHERE[2], 0), Rule(10, 19200, 19300, ANYWHERE[10], 0, V6, 64)}
    ),
    table_routes={
        TableRouteKey(300, ANYWHERE[2], 0): NextHop(V4, "eth0"),
        TableRouteKey(19300, ANYWHERE[10], 0): NextHop(None, "eth1"),
    },
)
GIVEN = {
    OperatorKey(SERVER.address): Order(Admin.DRAIN, 1.5, 61.5, True, "root", "new disk"),
    OperatorKey(SERVER6.address, "web", 8080): Order(Admin.DISABLE, 2.0, 2.0, False, "token deploy", ""),
}
PREPARED = Record(
    preparations=(
        Preparation(V4, SERVER.address, ("eth0",), ports=(PortMap(6, 80, 80),)),
        Preparation(
            virtual=V6,
            real=SERVER6.address,
            interfaces=("eth0", "eth1"),
            method=Method.REDIRECT,
            tunnel=Encapsulation(TunnelType.GUE, 5555),
            own=SERVER6.address,
            ports=(PortMap(17, 53, 5353),),
            mtu_bytes=1480,
            at_boot=False,
        ),
    ),
    owned=owned_of(
        sysctls={"net/ipv4/conf/all/arp_ignore": "0"},
        links=frozenset({"tunl0"}),
        addresses=frozenset({AddressKey("lo", V4, 32)}),
        listeners=frozenset({GueListener(5555, 2)}),
        files={"/etc/a": None, "/etc/b": "old\n"},
        tables=frozenset({ARP_TABLE.title}),
    ),
    persist="unit",
)
READ: list[tuple[RecordFile[Any], object]] = [
    (OWNERSHIP, OWNED),
    (SNAPSHOT, Snapshot(STATE, 99.5, BOOT, frozenset({WEB}))),
    (ORDERS, GIVEN),
    (RECORD, PREPARED),
]
every_file = pytest.mark.parametrize(
    ("file", "value"), READ, ids=[file.name.removesuffix(".json") for file, _ in READ]
)


def content(name: str) -> Any:  # noqa: ANN401 - whatever the file holds
    return json.loads((FILES / name).read_bytes())


@every_file
def test_what_layout_1_says_is_read(file: RecordFile[Any], value: object) -> None:
    assert file.decode((FILES / file.name).read_bytes()) == value


def test_every_file_that_can_be_read_is_among_them() -> None:
    assert {file.name for file, _ in READ} == set(layout1.CONVERTERS)


@every_file
def test_what_is_missing_or_wrong_is_refused(file: RecordFile[Any], value: object) -> None:
    document = content(file.name)
    for name in document.keys() - {"schema", "drain_s"}:
        rest = {key: part for key, part in document.items() if key != name}
        for damaged in (rest, {**document, name: True}, {**document, name: [["xyz"]]}):
            with pytest.raises(Malformed, match="it is damaged: "):
                file.decode(json.dumps(damaged).encode())


def test_parts_that_came_later_may_be_missing() -> None:
    owned = content("owned.json")
    del owned["drain_s"]
    assert OWNERSHIP.decode(json.dumps(owned).encode()) == OWNED.having(
        SERVICES, replace(OWNED.of(SERVICES), drain_s={})
    )
    snapshot = content("snapshot.json")
    for length in range(4, 8):
        snapshot["sysctls"] = [row[:length] for row in content("snapshot.json")["sysctls"]]
        assert SNAPSHOT.decode(json.dumps(snapshot).encode()).state == STATE


def test_a_director_starts_with_them_and_writes_todays(tmp_path: Path) -> None:
    shutil.copytree(FILES, tmp_path, dirs_exist_ok=True)
    state = DaemonState(tmp_path, lambda: BOOT)
    assert (state.load(), state.load_orders()) == (OWNED, GIVEN)
    state.save(state.load())
    state.save_orders(state.load_orders())
    for file in (OWNERSHIP, ORDERS):
        assert json.loads((tmp_path / file.name).read_bytes())["schema"] == LAYOUT
    assert (state.load(), state.load_orders()) == (OWNED, GIVEN)


def test_a_real_server_can_be_taken_back(tmp_path: Path) -> None:
    (tmp_path / DIRECTORY).mkdir()
    shutil.copy(FILES / RECORD.name, tmp_path / DIRECTORY)
    assert RecordStore(tmp_path).load_record() == PREPARED


def test_states_of_probes_are_not_read(tmp_path: Path) -> None:
    """The daemon logs that, and probes anew."""
    shutil.copy(FILES / HEALTH.name, tmp_path)
    with pytest.raises(StateError, match="its layout has number 1, this version knows 2"):
        DaemonState(tmp_path, lambda: BOOT).load_health()
