"""What is predicted is what the kernel does: real connections from many clients, one by one."""

import contextlib
import json
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from kernelbal.config.load import load_node, load_site
from kernelbal.kernel.ipvs import ConnectionFilter, IpvsTable, read_connections
from kernelbal.kernel.linux import LinuxKernel
from kernelbal.lab.factory import LabFactory
from kernelbal.lab.namespaces import Host, NamespaceLab
from kernelbal.lab.traffic import ask_connection, connect
from kernelbal.model.address import Address, family_of, format_address, host_prefix, parse_address
from kernelbal.model.ipvs import (
    DestinationAttributes,
    DestinationKey,
    Forwarding,
    Protocol,
    ServiceAttributes,
    ServiceFlag,
    ServiceKey,
)
from kernelbal.model.network import AddressAttributes, AddressKey, ObservedAddress
from kernelbal.plan.action import Result
from kernelbal.plan.desire import desired_state
from kernelbal.plan.explain.engine import explain
from kernelbal.plan.explain.persistence import masked_clients
from kernelbal.plan.explain.query import ExplainQuery
from kernelbal.plan.explain.result import Certainty, ExplainOutcome, Explanation, StepVerdict
from kernelbal.plan.explain.views import kernel_view
from kernelbal.plan.kind import Ownership
from kernelbal.plan.kinds import DIRECTOR
from kernelbal.plan.kinds.service_actions import AddDestination, AddService, EditDestination
from kernelbal.plan.planning import make_plan, scopes
from tests.support.lab_commands import run_here
from tests.support.states import observed_of

pytestmark = pytest.mark.needs_ipvs

VIRTUAL = {4: "192.0.2.1", 6: "2001:db8:1::1"}
REAL = {4: ("10.0.0.11", "10.0.0.12", "10.0.0.13"), 6: ("fd00::11", "fd00::12", "fd00::13")}
CLIENT_NETWORK = {4: "198.18.0.0/16", 6: "2001:db8:99::/64"}
CLIENT_GATEWAY = {4: "192.0.2.100", 6: "2001:db8:1::100"}
FALLBACK, HASH_PORT = ServiceFlag.SCHED1, ServiceFlag.SCHED2
PORT = 80


def clients(version: int, count: int) -> list[str]:
    """Addresses that differ in every byte that a hash may look at."""
    base = ip_address("198.18.0.0" if version == 4 else "2001:db8:99::")
    return [str(base + (7919 * number + 1) % 65521) for number in range(count)]


@dataclass
class Bench:
    """A two-armed lab whose director is programmed and asked by hand."""

    lab: NamespaceLab
    version: int
    virtual_text: str = ""
    expire_quiescent: int = 0

    @property
    def virtual(self) -> Address:
        return parse_address(self.virtual_text or VIRTUAL[self.version])

    @property
    def service(self) -> ServiceKey:
        return ServiceKey(family_of(self.virtual), Protocol.TCP, self.virtual, PORT)

    def program(
        self,
        scheduler: str,
        weights: Sequence[int],
        flags: int = 0,
        *,
        timeout_s: int = 0,
        prefix: int = 0,
        limits: Sequence[int] = (0, 0, 0),
    ) -> None:
        """Create the service with one NAT real server per weight."""
        bits = prefix or host_prefix(self.virtual)
        attributes = ServiceAttributes(scheduler, flags, timeout_s, bits, "")
        self._perform(AddService(self.service, attributes))
        for key, weight, limit in zip(self.destinations(), weights, limits, strict=False):
            values = DestinationAttributes(Forwarding.NAT, weight, limit)
            self._perform(AddDestination(self.service, key, values))

    def destinations(self) -> list[DestinationKey]:
        """The real servers in the order of the lab."""
        return [DestinationKey(parse_address(text), PORT) for text in REAL[self.version]]

    def set_weight(self, key: DestinationKey, weight: int) -> None:
        """Change a weight in place."""
        old = DestinationAttributes(Forwarding.NAT, 1)
        self._perform(EditDestination(self.service, key, old, old._replace(weight=weight)))

    def _perform(self, action: AddService | AddDestination | EditDestination) -> None:
        with self.lab.director.inside(), IpvsTable.open() as table:
            assert [outcome.result for outcome in table.perform([action])] == [Result.DONE]

    def predict(self, client: str, client_port: int | None = None) -> Explanation:
        """Ask the explanation, from the kernel as it is now."""
        source = parse_address(client)
        with self.lab.director.inside(), IpvsTable.open() as table:
            services, counters = table.read(counters=True)
            names = masked_clients(services, source)
            found = [c for name in names for c in read_connections(ConnectionFilter(client=name))]
        address = ObservedAddress(AddressKey("eth0", self.virtual, 24), AddressAttributes(), ours=False)
        sysctls: dict[str, str | None] = {"net/ipv4/vs/expire_quiescent_template": str(self.expire_quiescent)}
        observed = observed_of(services=services, counters=counters, addresses=(address,), sysctls=sysctls)
        query = ExplainQuery(source, self.virtual, PORT, Protocol.TCP, client_port)
        return explain(query, kernel_view(observed, tuple(found)))

    def open(self, client: str, client_port: int = 0) -> socket.socket:
        """Connect for real."""
        if not client_port:
            return connect(self.lab.client, format_address(self.virtual), PORT, source=client)
        family = socket.AF_INET if self.version == 4 else socket.AF_INET6
        with self.lab.client.inside():
            made = socket.socket(family, socket.SOCK_STREAM)
        made.settimeout(5)
        made.bind((client, client_port))
        made.connect((format_address(self.virtual), PORT))
        return made

    def actual(self, client: str, client_port: int = 0) -> str:
        """The real server that answers, or `refused`."""
        try:
            with self.open(client, client_port) as connection:
                return ask_connection(connection)
        except (ConnectionRefusedError, TimeoutError):
            # The kernel limits the rate of ICMP errors, so a refusal may be silent.
            return "refused"

    def named(self, explanation: Explanation) -> str:
        """The lab's name of the real server that was predicted, or `refused`."""
        if explanation.real_server is None:
            return explanation.outcome.value
        return self.name_of(explanation.real_server)

    def name_of(self, key: DestinationKey) -> str:
        """The lab's name of a real server."""
        return f"rs{REAL[self.version].index(format_address(key.address)) + 1}"


def build(lab: LabFactory, version: int) -> Bench:
    two_arm = lab("two-arm")
    lab.serve(two_arm.real_servers)
    _many_addresses(two_arm.client, two_arm.director, version)
    return Bench(two_arm, version)


def _many_addresses(client: Host, director: Host, version: int) -> None:
    """Give the client a whole network of addresses, and the director a route to it."""
    network = CLIENT_NETWORK[version]
    client.run(["ip", f"-{version}", "route", "add", "local", network, "dev", "lo"])
    if version == 6:
        client.sysctl("net.ipv6.ip_nonlocal_bind", 1)
    director.run(["ip", f"-{version}", "route", "add", network, "via", CLIENT_GATEWAY[version]])


@pytest.fixture
def bench(lab: LabFactory) -> Iterator[Bench]:
    return build(lab, 4)


HASHES = [
    pytest.param("sh", (1, 1, 1), 0, id="sh"),
    pytest.param("sh", (5, 1, 3), 0, id="sh-weights"),
    pytest.param("sh", (300, 10, 20), 0, id="sh-weights-beyond-the-table"),
    pytest.param("sh", (2, 0, 3), 0, id="sh-weight-0"),
    pytest.param("sh", (2, 0, 3), FALLBACK, id="sh-fallback"),
    pytest.param("mh", (1, 1, 1), 0, id="mh"),
    pytest.param("mh", (100, 50, 7), 0, id="mh-weights"),
    pytest.param("mh", (65535, 1000, 3), 0, id="mh-weights-shifted"),
]


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize(("scheduler", "weights", "flags"), HASHES)
def test_hash_of_the_client(
    lab: LabFactory, version: int, scheduler: str, weights: tuple[int, ...], flags: int
) -> None:
    bench = build(lab, version)
    bench.program(scheduler, weights, flags)
    asked = clients(version, 40)
    predicted = [bench.named(bench.predict(client)) for client in asked]
    assert predicted == [bench.actual(client) for client in asked]
    assert len(set(predicted)) > 1, "a test that only one answer could pass proves nothing"


@pytest.mark.parametrize("scheduler", ["sh", "mh"])
def test_hash_of_the_clients_port(bench: Bench, scheduler: str) -> None:
    bench.program(scheduler, (1, 2, 3), HASH_PORT)
    ports = range(20000, 20030)
    predicted = [bench.named(bench.predict("198.18.0.5", port)) for port in ports]
    assert predicted == [bench.actual("198.18.0.5", port) for port in ports]
    assert len(set(predicted)) > 1


@pytest.mark.parametrize("flags", [0, FALLBACK], ids=["plain", "fallback"])
@pytest.mark.parametrize("scheduler", ["sh", "mh"])
def test_hash_past_an_overloaded_real_server(bench: Bench, scheduler: str, flags: int) -> None:
    bench.program(scheduler, (1, 1, 1), flags, limits=(1, 0, 0))
    asked = clients(4, 40)
    first = next(client for client in asked if bench.named(bench.predict(client)) == "rs1")
    with bench.open(first) as held:
        assert ask_connection(held) == "rs1"
        predicted = [bench.named(bench.predict(client)) for client in asked]
        assert predicted == [bench.actual(client) for client in asked]
    assert "rs1" not in predicted
    assert ("refused" in predicted) == (not flags)


@pytest.mark.parametrize("version", [4, 6])
def test_hash_of_the_virtual_address(lab: LabFactory, version: int) -> None:
    """Ports are another service each, but `dh` does not look at them: the address decides."""
    bench = build(lab, version)
    virtuals = clients(version, 12)
    bench.lab.client.run(["ip", f"-{version}", "route", "del", "local", CLIENT_NETWORK[version], "dev", "lo"])
    bench.lab.client.run(
        ["ip", f"-{version}", "route", "add", CLIENT_NETWORK[version], "via", VIRTUAL[version]]
    )
    bench.lab.director.run(["ip", f"-{version}", "route", "del", CLIENT_NETWORK[version]])
    network = ["local", CLIENT_NETWORK[version], "dev", "lo"]
    bench.lab.director.run(["ip", f"-{version}", "route", "add", *network])
    asked = [replace(bench, virtual_text=virtual) for virtual in virtuals]
    for one in asked:
        one.program("dh", (1, 0, 1))
    predicted = [one.named(one.predict(CLIENT_GATEWAY[version])) for one in asked]
    assert predicted == [one.actual(CLIENT_GATEWAY[version]) for one in asked]
    assert {"rs1", "rs3", "refused"} == set(predicted)


def test_highest_weight(bench: Bench) -> None:
    bench.program("fo", (1, 7, 3))
    assert bench.named(bench.predict("198.18.0.1")) == bench.actual("198.18.0.1") == "rs2"


@pytest.mark.parametrize("scheduler", ["lc", "wlc", "sed", "nq", "ovf"])
def test_leader_by_counters(bench: Bench, scheduler: str) -> None:
    """Every other connection is held open, so that each prediction meets other counters."""
    bench.program(scheduler, (1, 4, 2))
    with contextlib.ExitStack() as held:
        open_count = 0
        for number, client in enumerate(clients(4, 24)):
            explanation = bench.predict(client)
            assert sum(one.counters.active for one in explanation.candidates) == open_count
            try:
                connection = held.enter_context(bench.open(client))
            except OSError:
                assert explanation.outcome is ExplainOutcome.REFUSED, explanation.answer
                continue
            answer = ask_connection(connection)
            assert (answer, explanation.certainty) == (bench.named(explanation), Certainty.NOW)
            open_count += number % 2
            if not number % 2:
                connection.close()
    assert open_count >= 8


@pytest.mark.parametrize("version", [4, 6])
def test_persistence_template(lab: LabFactory, version: int) -> None:
    bench = build(lab, version)
    bench.program("rr", (1, 1, 1), ServiceFlag.PERSISTENT, timeout_s=300, prefix=24 if version == 4 else 112)
    one, neighbour, stranger = (
        ("198.18.7.1", "198.18.7.200", "198.18.8.1")
        if version == 4
        else ("2001:db8:99::7:1", "2001:db8:99::7:200", "2001:db8:99::8:1")
    )
    assert bench.predict(one).steps[3].verdict is StepVerdict.NEW_CLIENT
    given = bench.actual(one)
    explanation = bench.predict(neighbour)
    assert explanation.steps[3].verdict is StepVerdict.TEMPLATE
    assert bench.named(explanation) == bench.actual(neighbour) == given
    assert bench.predict(stranger).outcome is ExplainOutcome.ONE_OF


@pytest.mark.parametrize("expire", [0, 1])
def test_template_of_a_quiesced_real_server(bench: Bench, expire: int) -> None:
    bench.program("rr", (1, 1, 0), ServiceFlag.PERSISTENT, timeout_s=300)
    bench.expire_quiescent = expire
    bench.lab.director.sysctl("net.ipv4.vs.expire_quiescent_template", expire)
    given = bench.actual("198.18.7.1")
    quiesced = next(key for key in bench.destinations() if bench.name_of(key) == given)
    bench.set_weight(quiesced, 0)
    predicted = bench.named(bench.predict("198.18.7.1"))
    assert predicted == bench.actual("198.18.7.1")
    assert (predicted == given) == (expire == 0)


def test_connection_that_is_there(bench: Bench) -> None:
    bench.program("rr", (1, 1, 1))
    with bench.open("198.18.7.1", 20001) as connection:
        serving = ask_connection(connection)
        explanation = bench.predict("198.18.7.1", 20001)
        assert explanation.steps[3].verdict is StepVerdict.CONNECTION
        assert bench.named(explanation) == ask_connection(connection) == serving
    assert bench.predict("198.18.7.1", 20002).outcome is ExplainOutcome.ONE_OF


def test_nobody_left(bench: Bench) -> None:
    bench.program("wlc", (0, 0))
    assert bench.predict("198.18.0.1").outcome is ExplainOutcome.REFUSED
    assert bench.actual("198.18.0.1") == "refused"


def test_no_service(bench: Bench) -> None:
    assert bench.predict("198.18.0.1").outcome is ExplainOutcome.OWN_STACK
    with pytest.raises(ConnectionRefusedError):
        bench.open("198.18.0.1")


def test_list_of_destinations_starts_with_the_newest(bench: Bench) -> None:
    """What a view of a site file assumes of the kernel."""
    bench.program("rr", (1, 1, 1))
    with bench.lab.director.inside(), IpvsTable.open() as table:
        services, _ = table.read()
    assert list(services[bench.service].destinations) == bench.destinations()[::-1]


# --- a whole site, asked by the command ---

SITE = """
networks:
  outside: {shared_addresses: [192.0.2.10/24]}
  inside: {shared_addresses: [10.0.0.2/24]}
virtual_services:
  - name: shop
    address: 192.0.2.10
    ports: [80, 443]
    port_following: true
    forwarding: nat
    scheduler: rr
    persistence: {source_ip: {timeout: 5m, prefix: 24}}
    real_servers: [{address: 10.0.0.11, name: rs1}, {address: 10.0.0.12, name: rs2}]
  - name: one-armed
    address: 192.0.2.10
    ports: 8080
    forwarding: nat
    one_armed: true
    scheduler: sh
    real_servers: [{address: 10.0.0.11, name: rs1}, {address: 10.0.0.12, name: rs2}]
"""
NODE = "name: d1\ninterfaces: {outside: eth0, inside: eth1}\n"


@pytest.fixture
def applied(lab: LabFactory) -> NamespaceLab:
    """A director that was programmed from a site file."""
    two_arm = lab("two-arm")
    lab.serve(two_arm.real_servers, tcp_ports=(80, 443, 8080))
    _many_addresses(two_arm.client, two_arm.director, 4)
    site, node = load_site(SITE.encode(), "site.yaml"), load_node(NODE.encode(), "node.yaml")
    desired = desired_state(site, node)
    with two_arm.director.inside(), LinuxKernel() as kernel:
        observed = kernel.observe(scopes(DIRECTOR, desired))
        plan = make_plan(DIRECTOR, desired, observed, Ownership(), now=0.0)
        outcomes = kernel.perform(plan.actions)
    assert [outcome for outcome in outcomes if outcome.result is Result.FAILED] == []
    return two_arm


def asked(director: Host, client: str, endpoint: str, *more: str) -> dict[str, Any]:
    """What the command prints."""
    done = run_here(director, ["explain", client, endpoint, "--json", *more])
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def answering(client: Host, source: str, port: int) -> str:
    with connect(client, "192.0.2.10", port, source=source) as connection:
        return ask_connection(connection)


def test_ports_that_follow_each_other(applied: NamespaceLab) -> None:
    before = asked(applied.director, "198.18.7.1", "192.0.2.10:80")
    assert (before["outcome"], before["steps"][3]["verdict"]) == ("one-of", "new-client")
    assert before["service"] == f"mark {before['mark']:#x}"
    given = answering(applied.client, "198.18.7.1", 80)
    after = asked(applied.director, "198.18.7.200", "192.0.2.10:443")
    assert after["steps"][3]["verdict"] == "template"
    assert answering(applied.client, "198.18.7.200", 443) == given
    assert after["real_server"] == {"rs1": "10.0.0.11:*", "rs2": "10.0.0.12:*"}[given]
    assert after["candidates"][0]["forwarding"]["port"] == 443


def test_one_armed_service(applied: NamespaceLab) -> None:
    for source in clients(4, 4):
        found = asked(applied.director, source, "192.0.2.10:8080")
        assert (found["masquerade"], found["steps"][-1]["verdict"]) == (True, "masqueraded")
        assert found["candidates"][0]["return"]["problems"] == []
        served_by = answering(applied.client, source, 8080)
        assert found["real_server"] == {"rs1": "10.0.0.11:8080", "rs2": "10.0.0.12:8080"}[served_by]


def test_site_file_predicts_its_first_apply(applied: NamespaceLab, tmp_path: Path) -> None:
    file = tmp_path / "site.yaml"
    file.write_text(SITE)
    for source in clients(4, 3):
        offline = asked(applied.client, source, "192.0.2.10:8080", "--file", str(file))
        assert offline["real_server"] == asked(applied.director, source, "192.0.2.10:8080")["real_server"]


def test_no_problem_is_seen_where_there_is_none(applied: NamespaceLab) -> None:
    found = asked(applied.director, "198.18.7.1", "192.0.2.10:443")
    assert [one["forwarding"]["problems"] + one["return"]["problems"] for one in found["candidates"]] == [
        [],
        [],
    ]
    assert found["candidates"][0]["forwarding"]["mtu_bytes"] == 1500
