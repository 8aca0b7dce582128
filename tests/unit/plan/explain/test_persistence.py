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


RR, KEPT = service("rr", 1, 1), service("rr", 1, 1, flags=PERSISTENT)
NET = service("rr", 1, 1, flags=PERSISTENT, prefix=24)
SIP = service("rr", 1, flags=PERSISTENT, engine="sip")
FROM_4711 = query(client_port=4711)
OTHER_CLIENT, OTHER_VIRTUAL = address("198.51.100.8"), address("192.0.2.11")
OFF, NEW, TEMPLATE = StepVerdict.OFF, StepVerdict.NEW_CLIENT, StepVerdict.TEMPLATE
FOUND, UNKNOWN = StepVerdict.CONNECTION, StepVerdict.UNKNOWN


@pytest.mark.parametrize(
    ("server", "entry", "asked", "to", "verdict", "words"),
    [
        (RR, template(), query(), None, OFF, ()),
        (KEPT, template(), query(), GIVEN, TEMPLATE, ("persistent for 5m by client address", "in 250 s")),
        (NET, template(NETWORK), query(), GIVEN, TEMPLATE, ("all of 198.51.100.0/24 counts as one client",)),
        (NET, template(CLIENT), query(), None, NEW, ()),
        (KEPT, template(OTHER_CLIENT), query(), None, NEW, ()),
        (KEPT, template(protocol=Protocol.UDP), query(), None, NEW, ()),
        (KEPT, template(port=81), query(), None, NEW, ()),
        (KEPT, template(virtual=OTHER_VIRTUAL), query(), None, NEW, ()),
        (KEPT, connection(), query(), None, NEW, ()),
        (KEPT, template(to=GONE), query(), None, NEW, ("no longer in the service",)),
        (RR, connection(), FROM_4711, GIVEN, FOUND, ()),
        (RR, connection(), query(client_port=4712), None, OFF, ()),
        (RR, connection(), query(), None, OFF, ()),
        (KEPT, connection("TIME_WAIT"), FROM_4711, GIVEN, FOUND, ()),
        (SIP, template(), query(), None, UNKNOWN, ("`sip`",)),
    ],
)
def test_what_is_remembered_of_a_client(
    server: VirtualServer,
    entry: Connection,
    asked: ExplainQuery,
    to: DestinationKey | None,
    verdict: StepVerdict,
    words: tuple[str, ...],
) -> None:
    memory = remembered(server, entry, asked=asked)
    assert (memory.destination, memory.step.verdict) == (to, verdict)
    assert all(each in memory.step.reason for each in words)


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


@pytest.mark.parametrize(
    ("sysctls", "expected"),
    [({}, real_server(12)), ({EXPIRE_QUIESCENT: "0"}, real_server(12)), ({EXPIRE_QUIESCENT: "1"}, None)],
)
def test_template_of_a_quiesced_real_server(sysctls: dict[str, str], expected: DestinationKey | None) -> None:
    memory = remembered(service("rr", 1, 0, flags=PERSISTENT), template(), **sysctls)
    assert memory.destination == expected
    assert "expire_quiescent_template" in memory.step.reason


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


@pytest.mark.parametrize(("expire", "word"), [("0", "in silence"), ("1", "which ends it")])
def test_connection_to_a_removed_real_server_is_dropped(expire: str, word: str) -> None:
    memory = remembered(
        service("rr", 1), connection(to=GONE), asked=query(client_port=4711), **{EXPIRE_NODEST: expire}
    )
    assert (memory.destination, memory.dropped) == (None, True)
    assert word in memory.step.reason


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
