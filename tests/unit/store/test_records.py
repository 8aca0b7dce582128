"""The records of the state directory come back as they were written, and nothing else is taken for them."""

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernelbal.health.decision import Memory, ServerMemory, ServiceMemory
from kernelbal.model.address import AF_INET, Address
from kernelbal.model.health import AgentReading, AgentRequest, Health, ProbeState
from kernelbal.model.ipvs import (
    DestinationAttributes,
    DestinationKey,
    ServiceAttributes,
    ServiceKey,
    TunnelType,
    VirtualServer,
)
from kernelbal.model.network import AddressKey, GueListener
from kernelbal.model.overlay import Admin, Mode, OperatorKey, Order
from kernelbal.model.site.services import ServerKey
from kernelbal.plan.kind import DesiredState, Ownership
from kernelbal.plan.kinds.services import SERVICES
from kernelbal.plan.kinds.sysctls import SYSCTLS
from kernelbal.realserver.preparation import Encapsulation, Method, PortMap, Preparation
from kernelbal.realserver.setup import TABLES, Record
from kernelbal.realserver.store import RECORD
from kernelbal.store.codec import Malformed
from kernelbal.store.daemon import HEALTH, ORDERS, HealthRecord
from kernelbal.store.records import LAYOUT, OWNERSHIP, SNAPSHOT, RecordFile, Snapshot
from tests.support.records import BOOT, MARKED, OWNED, SERVER, SERVER6, STATE, V4, WEB
from tests.support.states import desired_of, owned_of

TEXT = st.text(max_size=20)
NUMBER = st.floats(0, 1e9)
OPTIONAL = st.none() | NUMBER
ADDRESSES = (st.binary(min_size=4, max_size=4) | st.binary(min_size=16, max_size=16)).map(Address)
PORTS = st.integers(1, 65535)
ORDERS_IN_FORCE = st.dictionaries(
    st.builds(OperatorKey, ADDRESSES, TEXT, st.integers(0, 65535)),
    st.builds(Order, st.sampled_from(Admin), NUMBER, NUMBER, st.booleans(), TEXT, TEXT),
    max_size=5,
)
STATES = st.builds(
    ProbeState,
    st.sampled_from(Health),
    NUMBER,
    TEXT,
    OPTIONAL,
    OPTIONAL,
    st.integers(0, 99),
    TEXT,
    st.none()
    | st.builds(
        AgentReading, OPTIONAL, st.none() | st.sampled_from(AgentRequest), st.none() | st.integers(0, 9), TEXT
    ),
)
SERVER_MEMORIES = st.builds(
    ServerMemory,
    since_at=NUMBER,
    up=st.booleans(),
    ramp_at=OPTIONAL,
    warned_at=OPTIONAL,
    ramp_from=NUMBER,
    share=OPTIONAL,
    share_at=NUMBER,
    weight=st.integers(0, 65535),
    applied=OPTIONAL,
    deadline=NUMBER,
    cut_at=NUMBER,
    warning=TEXT,
)
HEALTH_RECORDS = st.builds(
    HealthRecord,
    TEXT,
    st.dictionaries(TEXT, STATES, max_size=4),
    st.builds(
        Memory,
        st.dictionaries(
            st.builds(ServerKey, TEXT, ADDRESSES, st.integers(0, 65535)), SERVER_MEMORIES, max_size=4
        ),
        st.dictionaries(
            TEXT, st.builds(ServiceMemory, st.sampled_from(Mode), NUMBER, st.booleans(), OPTIONAL), max_size=3
        ),
    ),
)
NAMES = st.text("abc.-@0", min_size=1, max_size=15)
REAL_SERVER_RECORDS = st.builds(
    Record,
    preparations=st.lists(
        st.builds(
            Preparation,
            virtual=ADDRESSES,
            real=ADDRESSES,
            interfaces=st.lists(NAMES, max_size=3).map(tuple),
            method=st.sampled_from(Method),
            tunnel=st.none() | st.builds(Encapsulation, st.sampled_from(TunnelType), st.integers(0, 65535)),
            own=st.none() | ADDRESSES,
            ports=st.lists(st.builds(PortMap, st.sampled_from([6, 17, 132]), PORTS, PORTS), max_size=3).map(
                tuple
            ),
            mtu_bytes=st.integers(576, 65535),
            at_boot=st.booleans(),
        ),
        max_size=3,
    ).map(tuple),
    owned=st.builds(
        owned_of,
        sysctls=st.dictionaries(NAMES, st.text(max_size=5), max_size=3),
        links=st.frozensets(NAMES, max_size=3),
        addresses=st.frozensets(st.builds(AddressKey, NAMES, ADDRESSES, st.integers(0, 128)), max_size=3),
        listeners=st.frozensets(st.builds(GueListener, PORTS, st.sampled_from([2, 10])), max_size=2),
        files=st.dictionaries(NAMES, st.none() | st.text(), max_size=3),
        tables=st.frozensets(st.sampled_from([table.title for table in TABLES])),
    ),
    persist=st.sampled_from(["", "unit"]),
)
PAIRS: list[tuple[RecordFile[object], object]] = [
    (OWNERSHIP, OWNED),
    (OWNERSHIP, Ownership()),
    (SNAPSHOT, Snapshot(STATE, 99.5, BOOT, frozenset({WEB}))),
    (SNAPSHOT, Snapshot(DesiredState(), 0.0, "")),
]


@pytest.mark.parametrize(("file", "value"), PAIRS)
def test_a_record_comes_back(file: RecordFile[object], value: object) -> None:
    assert file.decode(file.encode(value)) == value


@given(ORDERS_IN_FORCE)
def test_orders_come_back(orders: dict[OperatorKey, Order]) -> None:
    assert ORDERS.decode(ORDERS.encode(orders)) == orders


@given(HEALTH_RECORDS)
def test_health_comes_back(health: HealthRecord) -> None:
    assert HEALTH.decode(HEALTH.encode(health)) == health


@given(REAL_SERVER_RECORDS)
def test_the_record_of_a_real_server_comes_back(record: Record) -> None:
    assert RECORD.decode(RECORD.encode(record)) == record


def test_real_servers_keep_their_order() -> None:
    """Schedulers such as `rr` go by it."""
    found = SNAPSHOT.decode(SNAPSHOT.encode(Snapshot(STATE, 1.0, BOOT))).state
    assert list(found.of(SERVICES).table) == [WEB, MARKED]
    assert list(found.of(SERVICES).table[WEB].destinations) == [SERVER6, SERVER]


def test_equal_records_are_equal_bytes() -> None:
    other = OWNED.having(SYSCTLS, dict(reversed(OWNED.of(SYSCTLS).items())))
    assert OWNERSHIP.encode(other) == OWNERSHIP.encode(OWNED)


@given(HEALTH_RECORDS, st.data())
def test_damage_is_malformed_and_nothing_worse(health: HealthRecord, data: st.DataObject) -> None:
    text = HEALTH.encode(health)
    at = data.draw(st.integers(0, len(text) - 1))
    damaged = (
        text[:at]
        + data.draw(st.sampled_from([b"x", b'"', b"[", b"]", b"{", b"}", b"0", b","]))
        + text[at + 1 :]
    )
    try:
        HEALTH.decode(damaged)
    except Malformed:
        return


NO_RECORDS = (
    *(b"", b"{", b"[]", b"null", b"{}", b"\0", b"[" * 100_000),
    *(b'{"record":{}}', b'{"schema":2}', b'{"schema":2,"record":{}}'),
)


@pytest.mark.parametrize("data", NO_RECORDS)
@pytest.mark.parametrize("file", [OWNERSHIP, SNAPSHOT, HEALTH, ORDERS, RECORD])
def test_what_is_no_record_is_refused(file: RecordFile[object], data: bytes) -> None:
    with pytest.raises(Malformed, match="it is damaged: "):
        file.decode(data)


@pytest.mark.parametrize(("file", "value"), PAIRS)
def test_a_record_in_which_a_part_is_missing_is_refused(file: RecordFile[object], value: object) -> None:
    """An empty ownership record would turn everything of ours into foreign objects."""
    record = json.loads(file.encode(value))["record"]
    for missing in record:
        rest = {name: part for name, part in record.items() if name != missing}
        with pytest.raises(Malformed, match=f"it is damaged: .*missing required field `{missing}`"):
            file.decode(json.dumps({"schema": LAYOUT, "record": rest}).encode())


def test_another_layout_is_refused_by_its_number() -> None:
    with pytest.raises(Malformed, match="its layout has number 3, this version knows 2"):
        OWNERSHIP.decode(b'{"schema":3,"boot_id":"5f1b","services":[]}')


@pytest.mark.parametrize("cut", [2, 50, 200, 300])
def test_a_record_that_was_cut_off_is_refused(cut: int) -> None:
    with pytest.raises(Malformed):
        OWNERSHIP.decode(OWNERSHIP.encode(OWNED)[:-cut])


@pytest.mark.parametrize(("file", "value"), PAIRS)
def test_a_part_of_another_type_is_named(file: RecordFile[object], value: object) -> None:
    record = json.loads(file.encode(value))["record"]
    for name, part in record.items():
        if isinstance(part, float):
            continue
        for wrong in (7.5, [[7.5]], {"x": 7.5}):
            text = json.dumps({"schema": LAYOUT, "record": {**record, name: wrong}})
            with pytest.raises(Malformed, match=rf"at `\$\.{name}"):
                file.decode(text.encode())


ORDER = ["drain", 1, 2, True, "root", ""]
KEY = ["10.0.0.11", "web", 0]


@pytest.mark.parametrize(
    ("key", "order", "place"),
    [
        (KEY, [*ORDER[:3], 1, *ORDER[4:]], "$[0][1][3]"),
        (["10.0.0.11", "web", True], ORDER, "$[0][0][2]"),
        (["10.0.0.11", "web", 65536], ORDER, "$[0][0][2]"),
        (["10.0.0", "web", 0], ORDER, "$[0][0][0]"),
        (KEY, ["sleep", *ORDER[1:]], "$[0][1][0]"),
        (KEY, ["drain", "1", *ORDER[2:]], "$[0][1][1]"),
        (KEY, ORDER[:5], "$[0][1]"),
    ],
)
def test_a_wrong_value_is_named_with_its_place(key: list[object], order: list[object], place: str) -> None:
    with pytest.raises(Malformed) as caught:
        ORDERS.decode(json.dumps({"schema": LAYOUT, "record": [[key, order]]}).encode())
    assert f"at `{place}`" in caught.value.message


@pytest.mark.parametrize("port", [-5, 70_000])
@pytest.mark.parametrize("place", ["tunnel", "ports", "listeners"])
def test_a_port_of_a_real_server_out_of_range_is_refused(place: str, port: int) -> None:
    each = Preparation(
        V4, V4, ("eth0",), tunnel=Encapsulation(TunnelType.GUE, 5555), ports=(PortMap(6, 80, 80),)
    )
    document = json.loads(
        RECORD.encode(Record((each,), owned_of(listeners=frozenset({GueListener(5555, 2)}))))
    )
    record = document["record"]
    row = {"tunnel": record["preparations"][0]["tunnel"], "ports": record["preparations"][0]["ports"][0]}
    row["listeners"] = record["owned"]["listeners"][0]
    row[place][0 if place == "listeners" else -1] = port
    with pytest.raises(Malformed, match=r"Expected `int` [<>]="):
        RECORD.decode(json.dumps(document).encode())


@pytest.mark.slow
def test_a_hundred_thousand_real_servers_take_seconds_at_most() -> None:
    services = {
        ServiceKey(AF_INET, 6, Address(bytes([10, n >> 8 & 255, n & 255, 1])), 80): VirtualServer(
            ServiceAttributes("wlc", 0, 0, 32, ""),
            {
                DestinationKey(Address(bytes([172, n >> 8 & 255, n & 255, m])), 80): DestinationAttributes(
                    0, 100
                )
                for m in range(10)
            },
        )
        for n in range(10_000)
    }
    snapshot = Snapshot(desired_of(services=services), 1.0, BOOT)
    owned = owned_of(services=frozenset(services))
    started = time.process_time()
    assert SNAPSHOT.decode(SNAPSHOT.encode(snapshot)) == snapshot
    assert OWNERSHIP.decode(OWNERSHIP.encode(owned)) == owned
    assert time.process_time() - started < 3
