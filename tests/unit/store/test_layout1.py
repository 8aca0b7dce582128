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
from kernelbal.model.ipvs import (
    TunnelType,
)
from kernelbal.model.network import AddressKey, GueListener
from kernelbal.model.overlay import Admin, OperatorKey, Order
from kernelbal.plan.kinds.services import SERVICES
from kernelbal.realserver.preparation import Encapsulation, Method, PortMap, Preparation
from kernelbal.realserver.setup import ARP_TABLE, Record
from kernelbal.realserver.store import DIRECTORY, RECORD, RecordStore
from kernelbal.store import layout1
from kernelbal.store.codec import Malformed
from kernelbal.store.daemon import HEALTH, ORDERS, DaemonState
from kernelbal.store.records import LAYOUT, OWNERSHIP, SNAPSHOT, RecordFile, Snapshot
from tests.support.records import BOOT, OWNED, SERVER, SERVER6, STATE, V4, V6, WEB
from tests.support.states import owned_of

FILES = Path(__file__).with_name("layout1")
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
