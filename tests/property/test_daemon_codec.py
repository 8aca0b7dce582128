"""Orders and standings come back as they were written, and nothing else is taken for them."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernelbal.health.decision import Memory, ServerMemory, ServiceMemory
from kernelbal.kernel.daemon_codec import (
    Standings,
    decode_orders,
    decode_standings,
    encode_orders,
    encode_standings,
)
from kernelbal.kernel.record_codec import Malformed
from kernelbal.model.address import Address
from kernelbal.model.health import AgentReading, AgentRequest, Health, ProbeState
from kernelbal.model.site.services import ServerKey
from kernelbal.model.standing import Admin, Mode, OperatorKey, Order

TEXT = st.text(max_size=20)
NUMBER = st.floats(0, 1e9)
PACKED = st.binary(min_size=4, max_size=4) | st.binary(min_size=16, max_size=16)
OPTIONAL = st.none() | NUMBER
ORDERS = st.dictionaries(
    st.builds(OperatorKey, PACKED, TEXT, st.integers(0, 65535)),
    st.builds(Order, st.sampled_from(Admin), NUMBER, NUMBER, st.booleans(), TEXT, TEXT),
    max_size=5,
)
READING = st.builds(
    AgentReading, OPTIONAL, st.none() | st.sampled_from(AgentRequest), st.none() | st.integers(0, 9), TEXT
)
STATE = st.builds(
    ProbeState,
    st.sampled_from(Health),
    NUMBER,
    TEXT,
    OPTIONAL,
    OPTIONAL,
    st.integers(0, 99),
    TEXT,
    st.none() | READING,
)
SERVER = st.builds(
    ServerMemory,
    state=TEXT,
    since_at=NUMBER,
    up=st.booleans(),
    ramp_at=OPTIONAL,
    ramp_from=NUMBER,
    share=OPTIONAL,
    share_at=NUMBER,
    weight=st.integers(0, 65535),
    applied=OPTIONAL,
    deadline=NUMBER,
    cut_at=NUMBER,
    warning=TEXT,
)
SERVICE = st.builds(ServiceMemory, st.sampled_from(Mode), NUMBER, st.booleans(), OPTIONAL)
STANDINGS = st.builds(
    Standings,
    TEXT,
    st.dictionaries(TEXT, STATE, max_size=4),
    st.builds(
        Memory,
        st.dictionaries(
            st.builds(ServerKey, TEXT, PACKED.map(Address), st.integers(0, 65535)), SERVER, max_size=4
        ),
        st.dictionaries(TEXT, SERVICE, max_size=3),
    ),
)


@given(ORDERS)
def test_orders_come_back(orders: dict[OperatorKey, Order]) -> None:
    assert decode_orders(encode_orders(orders)) == orders


@given(STANDINGS)
def test_standings_come_back(standings: Standings) -> None:
    assert decode_standings(encode_standings(standings)) == standings


@given(STANDINGS, st.data())
def test_damage_is_malformed_and_nothing_worse(standings: Standings, data: st.DataObject) -> None:
    text = encode_standings(standings)
    at = data.draw(st.integers(0, len(text) - 1))
    damaged = text[:at] + data.draw(st.sampled_from('x"[]{}0,')) + text[at + 1 :]
    try:
        decode_standings(damaged)
    except Malformed:
        return


@pytest.mark.parametrize(
    "row",
    [
        ["0a00000b", "web", 0, "drain", 1, 2, 1, "root", ""],
        ["0a00000b", "web", True, "drain", 1, 2, True, "root", ""],
        ["0a00000b", "web", 0, "sleep", 1, 2, True, "root", ""],
        ["0a00000b", "web", 0, "drain", "1", 2, True, "root", ""],
        ["zz", "web", 0, "drain", 1, 2, True, "root", ""],
        ["0a00000b", "web", 0, "drain", 1, 2, True, "root"],
    ],
)
def test_a_row_of_other_kinds_of_values_is_refused(row: list[object]) -> None:
    with pytest.raises(Malformed):
        decode_orders(json.dumps({"schema": 1, "orders": [row]}))
