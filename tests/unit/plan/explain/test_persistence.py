import pytest

from kernelbal.model.address import Address
from kernelbal.model.ipvs import Connection, DestinationKey, Protocol, ServiceKey, VirtualServer
from kernelbal.plan.explain.persistence import (
    CONN_REUSE_MODE,
    EXPIRE_NODEST,
    EXPIRE_QUIESCENT,
    PersistenceLookup,
    mask,
    masked_clients,
    recall,
)
from kernelbal.plan.explain.query import ExplainQuery
from kernelbal.plan.explain.result import StepVerdict
from tests.unit.plan.explain.scene import (
    CLIENT,
    PERSISTENT,
    VIRTUAL,
    address,
    mark_key,
    query,
    real_server,
    service,
    service_key,
    view,
)

NETWORK = address("198.51.100.0")
GIVEN = real_server(12)
GONE = real_server(99)


def template(
    client: Address = CLIENT,
    to: DestinationKey = GIVEN,
    protocol: int = Protocol.TCP,
    virtual: Address = VIRTUAL,
    port: int = 80,
) -> Connection:
    return Connection(protocol, client, 0, virtual, port, to, "NONE", 250)


def connection(state: str = "ESTABLISHED", to: DestinationKey = GIVEN) -> Connection:
    return Connection(Protocol.TCP, CLIENT, 4711, VIRTUAL, 80, to, state, 899)


def remembered(
    server: VirtualServer,
    *entries: Connection,
    key: ServiceKey | None = None,
    asked: ExplainQuery | None = None,
    **sysctls: str,
) -> PersistenceLookup:
    seen = view(server, key, connections=entries, sysctls=sysctls)
    return recall(asked or query(), seen, key or service_key(), server)


def test_not_persistent() -> None:
    memory = remembered(service("rr", 1, 1), template())
    assert (memory.destination, memory.step.verdict) == (None, StepVerdict.OFF)


def test_template_of_the_client() -> None:
    memory = remembered(service("rr", 1, 1, flags=PERSISTENT), template())
    assert (memory.destination, memory.step.verdict) == (real_server(12), StepVerdict.TEMPLATE)
    assert "persistent for 5m by client address" in memory.step.reason
    assert "expires in 250 s" in memory.step.reason


def test_prefix_makes_one_client_of_a_network() -> None:
    server = service("rr", 1, 1, flags=PERSISTENT, prefix=24)
    memory = remembered(server, template(NETWORK))
    assert memory.destination == real_server(12)
    assert "all of 198.51.100.0/24 counts as one client" in memory.step.reason
    assert remembered(server, template(CLIENT)).step.verdict is StepVerdict.NEW_CLIENT


@pytest.mark.parametrize(
    "other",
    [
        template(address("198.51.100.8")),
        template(protocol=Protocol.UDP),
        template(port=81),
        template(virtual=address("192.0.2.11")),
        connection(),
    ],
)
def test_entry_of_somebody_else(other: Connection) -> None:
    memory = remembered(service("rr", 1, 1, flags=PERSISTENT), other)
    assert (memory.destination, memory.step.verdict) == (None, StepVerdict.NEW_CLIENT)


def test_template_of_a_mark_service_has_the_mark_for_an_address() -> None:
    server = service("rr", 1, 1, flags=PERSISTENT, port=0)
    entry = template(to=real_server(12, 0), protocol=0, virtual=Address(b"\x4b\0\0\1"), port=0)
    memory = remembered(server, entry, key=mark_key(0x4B000001))
    assert memory.destination == real_server(12, 0)


def test_template_of_a_mark_service_over_ipv6_is_padded() -> None:
    server = service("rr", 1, 1, flags=PERSISTENT, port=0, prefix=64)
    client = address("2001:db8:1:2::7")
    entry = template(address("2001:db8:1:2::"), real_server(12, 0), 0, Address(b"\x4b\0\0\1" + bytes(12)), 0)
    asked = query(443, client, virtual=address("2001:db8::10"))
    memory = remembered(server, entry, key=mark_key(0x4B000001)._replace(family=10), asked=asked)
    assert memory.destination == real_server(12, 0)


@pytest.mark.parametrize(
    ("service_port", "asked_port", "kept_port"), [(0, 8080, 0), (21, 21, 0), (21, 40000, 0)]
)
def test_any_port_and_ftp_keep_templates_without_a_port(
    service_port: int, asked_port: int, kept_port: int
) -> None:
    server = service("rr", 1, 1, flags=PERSISTENT, port=service_port)
    entry = template(to=real_server(12, 0), port=kept_port)
    memory = remembered(server, entry, key=service_key(service_port), asked=query(asked_port))
    assert memory.destination == real_server(12, service_port)


def test_template_to_a_removed_real_server_is_ignored() -> None:
    memory = remembered(service("rr", 1, 1, flags=PERSISTENT), template(to=GONE))
    assert (memory.destination, memory.step.verdict) == (None, StepVerdict.NEW_CLIENT)
    assert "no longer in the service" in memory.step.reason


@pytest.mark.parametrize(
    ("sysctls", "expected"),
    [({}, real_server(12)), ({EXPIRE_QUIESCENT: "0"}, real_server(12)), ({EXPIRE_QUIESCENT: "1"}, None)],
)
def test_template_of_a_quiesced_real_server(sysctls: dict[str, str], expected: DestinationKey | None) -> None:
    memory = remembered(service("rr", 1, 0, flags=PERSISTENT), template(), **sysctls)
    assert memory.destination == expected
    assert "expire_quiescent_template" in memory.step.reason


def test_connection_that_is_there() -> None:
    memory = remembered(service("rr", 1, 1), connection(), asked=query(client_port=4711))
    assert (memory.destination, memory.step.verdict) == (real_server(12), StepVerdict.CONNECTION)


def test_connection_from_another_port() -> None:
    assert remembered(service("rr", 1), connection(), asked=query(client_port=4712)).destination is None
    assert remembered(service("rr", 1), connection()).destination is None


@pytest.mark.parametrize(
    ("state", "mode", "followed"),
    [
        ("ESTABLISHED", "1", True),
        ("TIME_WAIT", "1", False),
        ("CLOSE", "1", False),
        ("TIME_WAIT", "0", True),
        ("FIN_WAIT", "1", True),
        ("FIN_WAIT", "3", False),
    ],
)
def test_port_that_a_closed_connection_had(state: str, mode: str, followed: bool) -> None:
    asked = query(client_port=4711)
    memory = remembered(service("rr", 1, 1), connection(state), asked=asked, **{CONN_REUSE_MODE: mode})
    assert (memory.destination is not None) is followed


def test_closed_connection_of_a_persistent_service_is_followed() -> None:
    server = service("rr", 1, 1, flags=PERSISTENT)
    memory = remembered(server, connection("TIME_WAIT"), asked=query(client_port=4711))
    assert memory.step.verdict is StepVerdict.CONNECTION


@pytest.mark.parametrize(("expire", "word"), [("0", "in silence"), ("1", "which ends it")])
def test_connection_to_a_removed_real_server_is_dropped(expire: str, word: str) -> None:
    memory = remembered(
        service("rr", 1), connection(to=GONE), asked=query(client_port=4711), **{EXPIRE_NODEST: expire}
    )
    assert (memory.destination, memory.dropped) == (None, True)
    assert word in memory.step.reason


def test_persistence_engine_is_not_guessed() -> None:
    memory = remembered(service("rr", 1, flags=PERSISTENT, engine="sip"), template())
    assert (memory.destination, memory.step.verdict) == (None, StepVerdict.UNKNOWN)
    assert "`sip`" in memory.step.reason


def test_connection_table_that_was_not_read() -> None:
    server = service("rr", 1, flags=PERSISTENT)
    memory = recall(query(), view(server, connections=None), service_key(), server)
    assert memory.step.verdict is StepVerdict.UNKNOWN


def test_addresses_under_which_a_client_may_be_kept() -> None:
    services = {
        service_key(80): service("rr", flags=PERSISTENT, prefix=24),
        service_key(81): service("rr", flags=PERSISTENT, prefix=16),
        service_key(82): service("rr", prefix=8),
        service_key(80, virtual=address("2001:db8::10")): service("rr", flags=PERSISTENT, prefix=64),
    }
    assert masked_clients(services, CLIENT) == {CLIENT, NETWORK, address("198.51.0.0")}


@pytest.mark.parametrize(
    ("text", "prefix", "expected"),
    [
        ("198.51.100.7", 32, "198.51.100.7"),
        ("198.51.100.7", 25, "198.51.100.0"),
        ("198.51.100.7", 0, "0.0.0.0"),
        ("2001:db8:1:2:3::7", 64, "2001:db8:1:2::"),
    ],
)
def test_mask(text: str, prefix: int, expected: str) -> None:
    assert mask(address(text), prefix) == address(expected)
