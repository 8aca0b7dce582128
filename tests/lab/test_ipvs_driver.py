"""The IPVS driver on a real kernel, with `ipvsadm` as the oracle of what it did and of what it read."""

import errno
import socket
import subprocess
import time
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest

from kernelbal.errors import NotPermitted
from kernelbal.kernel.ipvs import (
    ConnectionFilter,
    IpvsTable,
    available,
    read_connections,
    wire,
)
from kernelbal.lab.linuxns import create_namespace, delete_namespace, inside
from kernelbal.model.address import AF_INET, AF_INET6, Address, parse_address
from kernelbal.model.ipvs import (
    DestinationAttributes,
    DestinationCounters,
    DestinationKey,
    Forwarding,
    Protocol,
    ServiceAttributes,
    ServiceFlag,
    ServiceKey,
    ServiceTable,
    Timeouts,
    TunnelFlag,
    TunnelType,
    VirtualServer,
)
from kernelbal.plan.action import Action, Outcome, Result
from kernelbal.plan.kinds.service_actions import (
    AddDestination,
    AddService,
    EditDestination,
    EditService,
    QuiesceDestination,
    RemoveDestination,
    RemoveService,
)
from tests.support import ipvsadm
from tests.support.privileges import as_nobody

pytestmark = [pytest.mark.needs_ipvs, pytest.mark.interop]

NAMESPACE = "driver"
SCHEDULERS = ["rr", "wrr", "lc", "wlc", "sed", "nq", "sh", "mh", "dh", "lblc", "lblcr", "fo", "ovf"]
PLAIN = ServiceAttributes("rr", 0, 0, 32, "")
PLAIN6 = PLAIN._replace(prefix=128)
NAT, DSR = DestinationAttributes(Forwarding.NAT, 1), DestinationAttributes(Forwarding.DSR, 1)
PERSISTENT = int(ServiceFlag.PERSISTENT)


def v4(port: int = 80, protocol: int = Protocol.TCP) -> ServiceKey:
    return ServiceKey(AF_INET, protocol, parse_address("192.0.2.10"), port)


def v6(port: int = 80, protocol: int = Protocol.TCP) -> ServiceKey:
    return ServiceKey(AF_INET6, protocol, parse_address("2001:db8::10"), port)


def mark(number: int, family: int = AF_INET) -> ServiceKey:
    return ServiceKey(family, 0, Address(b""), 0, number)


def server(text: str, port: int = 80) -> DestinationKey:
    return DestinationKey(parse_address(text), port)


@pytest.fixture(autouse=True)
def _namespace() -> Iterator[None]:
    create_namespace(NAMESPACE)
    try:
        with inside(NAMESPACE):
            subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
            yield
    finally:
        delete_namespace(NAMESPACE)


@pytest.fixture
def table(_namespace: None) -> Iterator[IpvsTable]:
    with IpvsTable.open() as opened:
        yield opened


def building(wanted: ServiceTable) -> list[Action]:
    actions: list[Action] = []
    for key, virtual in wanted.items():
        actions.append(AddService(key, virtual.attributes))
        actions += [AddDestination(key, place, values) for place, values in virtual.destinations.items()]
    return actions


def assert_done(outcomes: list[Outcome]) -> None:
    assert [outcome for outcome in outcomes if outcome.result is not Result.DONE] == []


def assert_roundtrip(table: IpvsTable, wanted: ServiceTable) -> None:
    """What was programmed is what the driver reads, each way that it has, and what ipvsadm sees."""
    assert_done(table.perform(building(wanted)))
    assert ipvsadm.table() == wanted
    assert table.read()[0] == wanted
    held, counters = table.read(counters=True)
    assert held == wanted
    assert {key: set(found) for key, found in counters.items()} == {
        key: set(virtual.destinations) for key, virtual in wanted.items()
    }
    assert table.read_services(wanted) == wanted


def test_kernel_is_found_capable() -> None:
    assert available()


def one(attributes: ServiceAttributes, key: ServiceKey | None = None) -> ServiceTable:
    """A service, by default of IPv4 and TCP, with one real server on the same port."""
    key = key or v4()
    address = "10.0.0.11" if key.family == AF_INET else "fd00::11"
    return {key: VirtualServer(attributes, {server(address, key.port): NAT})}


def both(values: DestinationAttributes) -> ServiceTable:
    """Services of both families whose real servers have these attributes."""
    return {
        v4(): VirtualServer(PLAIN, {server("10.0.0.11"): values, server("10.0.0.12"): values}),
        v6(): VirtualServer(PLAIN6, {server("fd00::11"): values}),
    }


def tunnelled(kind: TunnelType, port: int, flag: TunnelFlag) -> ServiceTable:
    """Real servers of both families behind services of both."""
    values = DestinationAttributes(Forwarding.TUNNEL, 5, 0, 0, kind, port, flag)
    places = {server("10.0.0.11"): values, server("fd00::11"): values}
    return {
        v4(): VirtualServer(PLAIN, {**places, server("10.0.0.12"): NAT}),
        v6(): VirtualServer(PLAIN6, places),
    }


def marked(number: int) -> ServiceTable:
    """Services by one firewall mark in both families."""
    persistent = ServiceAttributes("wlc", PERSISTENT, 30, 24, "")
    return one(persistent, mark(number)) | one(persistent._replace(prefix=64), mark(number, AF_INET6))


THRESHOLDS = ((10, 7), (100_000, 0), (5, 5))
SIP = ServiceAttributes("rr", PERSISTENT, 60, 32, "sip")
ROUNDTRIPS: dict[str, ServiceTable] = {
    **{f"scheduler {name}": one(PLAIN._replace(scheduler=name)) for name in SCHEDULERS},
    **{
        f"{name} flags {flags}": {v4(): VirtualServer(PLAIN._replace(scheduler=name, flags=flags))}
        for name, flags in product(("sh", "mh"), (0, 8, 16, 24))
    },
    **{
        f"{protocol.name} {port}": one(PLAIN, v4(port, protocol)) | one(PLAIN6, v6(port, protocol))
        for protocol, port in product(Protocol, (1, 80, 65535))
    },
    **{
        f"{forwarding.name} weight {weight}": both(DestinationAttributes(forwarding, weight))
        for forwarding, weight in product((Forwarding.NAT, Forwarding.DSR, Forwarding.TUNNEL), (0, 1, 65535))
    },
    "ipip": tunnelled(TunnelType.IPIP, 0, TunnelFlag.NOCSUM),
    "gue": tunnelled(TunnelType.GUE, 5555, TunnelFlag.NOCSUM),
    "gue csum": tunnelled(TunnelType.GUE, 1, TunnelFlag.CSUM),
    "gue remcsum": tunnelled(TunnelType.GUE, 65535, TunnelFlag.REMCSUM),
    "gre": tunnelled(TunnelType.GRE, 0, TunnelFlag.NOCSUM),
    "gre csum": tunnelled(TunnelType.GRE, 0, TunnelFlag.CSUM),
    **{f"persistence /{n}": one(ServiceAttributes("wlc", PERSISTENT, 300, n, "")) for n in (1, 24, 32)},
    **{
        f"IPv6 persistence /{n}": one(ServiceAttributes("wlc", PERSISTENT, 300, n, ""), v6())
        for n in (1, 64, 128)
    },
    "every port": {
        v4(0): VirtualServer(PLAIN._replace(flags=PERSISTENT, timeout_s=60), {server("10.0.0.11", 0): DSR})
    },
    "persistence engine": one(SIP, v4(5060, Protocol.UDP)),
    "one-packet": {
        v4(53, Protocol.UDP): VirtualServer(
            PLAIN._replace(flags=int(ServiceFlag.ONE_PACKET)), {server("10.0.0.11", 53): DSR}
        )
    },
    "thresholds": {
        v4(): VirtualServer(
            PLAIN,
            {
                server(f"10.0.0.{at}"): NAT._replace(upper_threshold=upper, lower_threshold=lower)
                for at, (upper, lower) in enumerate(THRESHOLDS, 11)
            },
        )
    },
    **{f"mark {number}": marked(number) for number in (1, 7, 0x7FFFFFFF)},
}


@pytest.mark.parametrize("wanted", ROUNDTRIPS.values(), ids=ROUNDTRIPS)
def test_what_is_programmed_is_read(table: IpvsTable, wanted: ServiceTable) -> None:
    assert_roundtrip(table, wanted)


def test_tunnel_fields_count_for_tunnels_alone(table: IpvsTable) -> None:
    odd = NAT._replace(tunnel_type=TunnelType.GUE, tunnel_port=5555, tunnel_flags=TunnelFlag.CSUM)
    assert_done(table.perform([AddService(v4(), PLAIN), AddDestination(v4(), server("10.0.0.11"), odd)]))
    assert table.read()[0] == {v4(): VirtualServer(PLAIN, {server("10.0.0.11"): NAT})}


def test_engine_is_taken_away(table: IpvsTable) -> None:
    without = SIP._replace(engine="")
    key = v4(5060, Protocol.UDP)
    assert_done(table.perform([AddService(key, SIP), EditService(key, SIP, without)]))
    assert ipvsadm.table() == {key: VirtualServer(without)}


def test_edits_and_removals(table: IpvsTable) -> None:
    old, new = PLAIN, ServiceAttributes("mh", PERSISTENT | 8, 60, 24, "")
    heavier = NAT._replace(weight=9, upper_threshold=4, lower_threshold=2)
    kept, quiesced, removed = server("10.0.0.11"), server("10.0.0.12"), server("10.0.0.13")
    places = dict.fromkeys([kept, quiesced, removed], NAT)
    assert_done(table.perform(building({v4(): VirtualServer(old, places), v6(): VirtualServer(PLAIN6)})))
    outcomes = table.perform(
        [
            EditService(v4(), old, new),
            EditDestination(v4(), kept, NAT, heavier),
            QuiesceDestination(v4(), quiesced, NAT, 60.0),
            RemoveDestination(v4(), removed),
            RemoveService(v6()),
        ]
    )
    assert_done(outcomes)
    wanted = {v4(): VirtualServer(new, {kept: heavier, quiesced: NAT._replace(weight=0)})}
    assert ipvsadm.table() == wanted
    assert table.read()[0] == wanted


def test_a_flag_is_taken_away(table: IpvsTable) -> None:
    fallback = PLAIN._replace(scheduler="sh", flags=24)
    port = PLAIN._replace(scheduler="sh", flags=16)
    assert_done(table.perform([AddService(v4(), fallback), EditService(v4(), fallback, port)]))
    assert ipvsadm.table() == {v4(): VirtualServer(port)}


def test_what_ipvsadm_programs_is_read(table: IpvsTable) -> None:
    lines = """
        -A -t 192.0.2.10:80 -s sh -b sh-port,sh-fallback -p 300 -M 255.255.255.0
        -a -t 192.0.2.10:80 -r 10.0.0.1:80 -g -w 5 -x 10 -y 7
        -a -t 192.0.2.10:80 -r 10.0.0.2:80 -i -w 5 --tun-type gue --tun-port 5555 --tun-csum
        -a -t 192.0.2.10:80 -r [fd00::1]:80 -i -w 65535
        -A -t [2001:db8::10]:80 -s rr -p 60 -M 64
        -a -t [2001:db8::10]:80 -r [fd00::2]:81 -m -w 0
        -A -f 7 -6 -s rr
        -A -f 7 -s wlc -p 20
        """
    ipvsadm.run("-R", text="\n".join(line.strip() for line in lines.strip().splitlines()) + "\n")
    assert table.read()[0] == ipvsadm.table()
    assert len(table.read()[0]) == 4


def test_empty_table(table: IpvsTable) -> None:
    assert table.read() == ({}, {})
    assert table.read(counters=True) == ({}, {})
    assert table.perform([]) == []


def test_only_existing_services_are_found_by_name(table: IpvsTable) -> None:
    assert_done(table.perform([AddService(v4(), PLAIN)]))
    assert table.read_services([v4(), v4(81), v6(), mark(3)]) == {v4(): VirtualServer(PLAIN)}
    assert table.read_counters([v4(), v4(81)]) == {v4(): {}}


def test_one_failure_stops_nothing(table: IpvsTable) -> None:
    actions: list[Action] = [
        AddService(v4(), PLAIN),
        AddService(v4(), PLAIN),
        AddService(v4(81), PLAIN._replace(scheduler="nonesuch")),
        AddDestination(v4(81), server("10.0.0.11"), NAT),
        RemoveDestination(v4(), server("10.0.0.99")),
        EditDestination(v4(), server("10.0.0.99"), NAT, NAT._replace(weight=2)),
        RemoveService(v6()),
        AddDestination(v4(), server("fd00::11"), NAT),
        AddDestination(v4(), server("10.0.0.11"), NAT._replace(upper_threshold=1, lower_threshold=2)),
        AddDestination(v4(), server("10.0.0.12"), NAT),
    ]
    outcomes = table.perform(actions)
    assert [outcome.action for outcome in outcomes] == actions
    assert [(outcome.result, outcome.errno) for outcome in outcomes] == [
        (Result.DONE, 0),
        (Result.ALREADY, errno.EEXIST),
        (Result.FAILED, errno.ENOENT),
        (Result.FAILED, errno.ESRCH),
        (Result.ALREADY, errno.ENOENT),
        (Result.FAILED, errno.ENOENT),
        (Result.ALREADY, errno.ESRCH),
        (Result.FAILED, errno.EINVAL),
        (Result.FAILED, errno.ERANGE),
        (Result.DONE, 0),
    ]
    assert "nonesuch" in outcomes[2].message
    assert outcomes[2].hint == "modprobe ip_vs_nonesuch"
    assert table.read()[0] == {v4(): VirtualServer(PLAIN, {server("10.0.0.12"): NAT})}


def test_unknown_engine_is_named(table: IpvsTable) -> None:
    attributes = PLAIN._replace(flags=PERSISTENT, timeout_s=60, engine="nonesuch")
    (outcome,) = table.perform([AddService(v4(), attributes)])
    assert (outcome.result, outcome.errno) == (Result.FAILED, errno.ENOENT)
    assert "nonesuch" in outcome.message
    assert "ip_vs_pe_nonesuch" in outcome.hint


def test_many_failures_in_one_batch_are_all_reported(table: IpvsTable) -> None:
    actions = [AddDestination(v4(), server("10.0.0.11", port), NAT) for port in range(1, 3001)]
    outcomes = table.perform(actions)
    assert {(outcome.result, outcome.errno) for outcome in outcomes} == {(Result.FAILED, errno.ESRCH)}
    assert [outcome.action for outcome in outcomes] == actions


def test_user_without_capability_is_told() -> None:
    with as_nobody(), pytest.raises(NotPermitted) as refusal, IpvsTable.open() as powerless:
        powerless.read()
    assert refusal.value.errno == errno.EPERM
    assert "CAP_NET_ADMIN" in refusal.value.message
    assert "sudo" in (refusal.value.hint or "")


def test_timeouts(table: IpvsTable) -> None:
    assert table.order(wire.CMD_SET_CONFIG, wire.timeouts(Timeouts(1000, 100, 200))) is None
    assert table.read_timeouts() == Timeouts(1000, 100, 200)
    assert "1000 100 200" in ipvsadm.run("-L", "--timeout")


def test_info(table: IpvsTable) -> None:
    version = ".".join(map(str, table.read_info().version))
    assert f"Server version {version} (size={table.read_info().connection_buckets})" in ipvsadm.run("-Ln")


def test_big_table_is_complete(table: IpvsTable) -> None:
    wanted: ServiceTable = {}
    for number in range(2000):
        family = AF_INET6 if number % 4 == 0 else AF_INET
        head = b"\xfd" + bytes(11) if family == AF_INET6 else b""
        key = ServiceKey(family, Protocol.TCP, Address(head + (0x0AC80000 + number).to_bytes(4, "big")), 80)
        places = {
            DestinationKey(Address(head + (0x0A000000 + number * 10 + count).to_bytes(4, "big")), 8080): NAT
            for count in range(10)
        }
        wanted[key] = VirtualServer(PLAIN6 if family == AF_INET6 else PLAIN, places)
    assert_done(table.perform(building(wanted)))
    assert table.read()[0] == wanted  # at once, while the kernel still resizes its table
    assert ipvsadm.run("-Sn").count("\n") == 2000 * 11


@pytest.mark.parametrize("family", [AF_INET, AF_INET6])
def test_service_with_more_destinations_than_one_datagram_holds(table: IpvsTable, family: int) -> None:
    key, attributes = (v4(), PLAIN) if family == AF_INET else (v6(), PLAIN6)
    address = parse_address("10.0.0.11" if family == AF_INET else "fd00::11")
    places = {DestinationKey(address, port): NAT._replace(weight=port % 7) for port in range(1, 1001)}
    assert_roundtrip(table, {key: VirtualServer(attributes, places)})


def exchange_over(key: ServiceKey) -> None:
    """Tries to connect from this host itself: enough for an entry in the connection table."""
    kind = socket.SOCK_STREAM if key.protocol == Protocol.TCP else socket.SOCK_DGRAM
    with socket.socket(key.family, kind) as client:
        client.setblocking(False)
        client.connect_ex((socket.inet_ntop(key.family, key.address), key.port))
        if kind == socket.SOCK_DGRAM:
            client.send(b"?")


@pytest.fixture
def traffic(table: IpvsTable) -> ServiceTable:
    """A network of its own with both addresses local, and one exchange over each of four services."""
    for command in (
        "link add outside type dummy",
        "link set outside up",
        "address add 10.0.0.1/24 dev outside",
        "address add 192.0.2.10/32 dev lo",
        "-6 address add fd00::1/64 dev outside nodad",
        "-6 address add 2001:db8::10/128 dev lo nodad",
    ):
        subprocess.run(["ip", *command.split()], check=True)
    sticky = PLAIN._replace(flags=PERSISTENT, timeout_s=60, prefix=24)
    wanted = {
        v4(): VirtualServer(sticky, {server("10.0.0.11"): NAT}),
        v4(53, Protocol.UDP): VirtualServer(PLAIN, {server("10.0.0.11", 5353): NAT}),
        v6(): VirtualServer(sticky._replace(prefix=64), {server("fd00::11"): NAT}),
    }
    assert_done(table.perform(building(wanted)))
    for key in wanted:
        exchange_over(key)
    return wanted


def test_connections_and_templates(traffic: ServiceTable) -> None:
    found = {(entry.template, entry.protocol, entry.virtual): entry for entry in read_connections()}
    assert len(found) == 5
    template = found[True, Protocol.TCP, v4().address]
    assert (template.client, template.destination) == (parse_address("192.0.2.0"), server("10.0.0.11"))
    assert 0 < template.expires_s <= 60
    assert found[True, Protocol.TCP, v6().address].client == parse_address("2001:db8::")
    udp = found[False, Protocol.UDP, v4().address]
    assert (udp.client, udp.virtual_port, udp.destination) == (*(v4().address, 53), server("10.0.0.11", 5353))
    assert len(ipvsadm.run("-Lcn").splitlines()) == 2 + len(found)


def test_connections_are_filtered(traffic: ServiceTable) -> None:
    of_service = read_connections(ConnectionFilter(service=v6()))
    assert {entry.destination for entry in of_service} == {server("fd00::11")}
    assert len(of_service) == 2
    assert len(read_connections(ConnectionFilter(templates=True))) == 2
    assert len(read_connections(ConnectionFilter(destination=server("10.0.0.11", 5353)))) == 1
    assert read_connections(ConnectionFilter(client=parse_address("203.0.113.1"))) == []


def after_estimation(table: IpvsTable, key: ServiceKey, place: DestinationKey) -> DestinationCounters:
    """Waits for the kernel's estimator, which adds up the totals every two seconds."""
    for _ in range(100):
        counters = table.read_counters([key])[key][place]
        if counters.connections:
            return counters
        time.sleep(0.1)
    raise AssertionError("the totals stayed at 0")


def test_counters_are_read(table: IpvsTable, traffic: ServiceTable) -> None:
    udp = v4(53, Protocol.UDP)
    exchange_over(udp)
    counters = after_estimation(table, udp, server("10.0.0.11", 5353))
    assert (counters.connections, counters.packets_in, counters.packets_out) == (2, 2, 0)
    assert counters.bytes_in == 2 * (20 + 8 + 1)
    assert (counters.active, counters.inactive) == (0, 2)
    assert table.read_counters([v4()])[v4()][server("10.0.0.11")].persistent == 1
    assert table.read(counters=True)[1][udp] == {server("10.0.0.11", 5353): counters}


def test_table_stays_in_the_namespace_where_it_was_opened(table: IpvsTable) -> None:
    assert_done(table.perform([AddService(v4(), PLAIN)]))
    create_namespace("elsewhere")
    try:
        with inside("elsewhere"):
            assert table.read()[0] == {v4(): VirtualServer(PLAIN)}
            assert Path("/proc/thread-self/net/ip_vs").read_text().count("\n") == 3
    finally:
        delete_namespace("elsewhere")
