"""Probes through the virtual address, by the real checker, on a real kernel.

A real server is good that answers clients, and only that one: what a check of its own address cannot see.
"""

import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from kernelbal.health.path_cause import explain_path
from kernelbal.health.probes import plan_probes
from kernelbal.kernel.linux import LinuxKernel
from kernelbal.lab.factory import LabFactory
from kernelbal.lab.namespaces import Host, NamespaceLab
from kernelbal.lab.traffic import http_counts
from kernelbal.model.address import format_address
from kernelbal.model.health import Health, ProbePlan, ProbeState
from kernelbal.model.node import Node
from kernelbal.model.overlay import Overlay
from kernelbal.model.site import Site
from kernelbal.plan.desire import desired_state
from kernelbal.plan.kind import DesiredState, Options
from kernelbal.plan.kinds.addresses import ADDRESSES
from kernelbal.plan.kinds.services import SERVICES
from kernelbal.reconcile.round import Reconciler
from tests.lab.test_daemon import Daemon
from tests.lab.test_forwarding import EVERYONE, METHODS, REAL, Method, behind, direct
from tests.support import realserver_by_hand
from tests.support.checker_link import CheckerLink, states_of
from tests.support.fake_store import MemoryStore
from tests.support.lab_commands import NODE, Operator

pytestmark = pytest.mark.needs_ipvs

VIRTUAL = {"one-arm": {4: "10.0.0.80", 6: "fd00::80"}, "two-arm": {4: "192.0.2.80", 6: "2001:db8:1::80"}}
NETWORKS = (
    "networks: {outside: {shared_addresses: [192.0.2.10/24]}, inside: {shared_addresses: [10.0.0.2/24]}}"
)
SITE = """
{networks}
virtual_services:
  - name: web
    address: "{virtual}"
    protocol: {protocol}
    ports: {port}
    forwarding: {forwarding}
    scheduler: rr
    {extra}
    check: {{{check}, interval: 2s, timeout: 1s, rise: 1, fall: 1}}
    real_servers: [{servers}]
"""
PATHS = [method for method in METHODS if method.forwarding != "nat"]
DSR = {version: Method("dsr", "dsr", "", version, version, direct) for version in (4, 6)}
IPIP = Method("ipip", "tunnel", "tunnel: {type: ipip}", 4, 4, behind("tunl0"))
HOLDING, NOT_HOLDING = True, False
PATIENCE_S = 30.0


def site_of(
    method: Method,
    virtual: str,
    protocol: str = "tcp",
    port: str = "80",
    *,
    check: str = "tcp: {}",
    networks: str = NETWORKS,
) -> str:
    """The site file for a method."""
    return SITE.format(
        networks=networks,
        virtual=virtual,
        protocol=protocol,
        port=port,
        forwarding=method.forwarding,
        extra=method.extra,
        check=check,
        servers=", ".join(f'{{address: "{address}"}}' for address in REAL[method.real]),
    )


@dataclass
class Watched:
    """A director that checks real servers through a virtual address.

    Attributes:
        wanted: what its kernel was made to hold.
        holds: whether it has the virtual address, as the active one of a pair has.
    """

    lab: NamespaceLab
    method: Method
    protocol: str = "tcp"
    port: str = "80"
    check: str = "tcp: {}"
    networks: str = NETWORKS
    holds: bool = HOLDING
    virtual: str = ""

    def __post_init__(self) -> None:
        self.virtual = self.virtual or VIRTUAL[self.lab.topology.name][self.method.virtual]
        text = site_of(
            self.method, self.virtual, self.protocol, self.port, check=self.check, networks=self.networks
        )
        self.site = Site.model_validate(yaml.safe_load(text))
        self.plan: ProbePlan = plan_probes(self.site)
        self.store = MemoryStore()
        node = Node.model_validate(yaml.safe_load(NODE[self.lab.topology.name]))
        wanted = desired_state(self.site, node, Overlay(paths=self.plan.paths))
        self.wanted = wanted if self.holds else wanted.having(ADDRESSES, {})
        self.become(self.wanted)

    def become(self, wanted: DesiredState) -> None:
        """Bring the director's kernel to a state."""
        with self.lab.director.inside(), LinuxKernel() as kernel:
            reconciler = Reconciler(kernel, self.store, lambda: time.clock_gettime(time.CLOCK_BOOTTIME))
            cutting = Options(cut=True)
            report = reconciler.perform(reconciler.prepare(wanted, cutting), cutting)
            assert report.converged, (report.failed, report.remaining)

    def probe(self) -> "Found":
        """Run the checker on the director until every probe has a result."""
        states: dict[str, ProbeState] = {}
        with checker(self.lab.director) as connection:
            link = CheckerLink(connection)
            link.send(self.plan.probes)
            give_up_at = time.monotonic() + PATIENCE_S
            while any(states.get(key, ProbeState()).last_at is None for key in self.plan.probes):
                assert time.monotonic() < give_up_at, states
                states |= states_of(link.read())
        return Found(self, states)


@contextmanager
def checker(host: Host) -> Iterator[socket.socket]:
    """The product's checker as a process on a host, and the connection to it."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.settimeout(PATIENCE_S)
        command = [sys.executable, "-m", "kernelbal.runtime.checker", f"--fd={theirs.fileno()}"]
        with host.inside():
            process = subprocess.Popen(command, pass_fds=[theirs.fileno()])
        theirs.close()
        try:
            yield ours
        finally:
            ours.close()
            assert process.wait(PATIENCE_S) == 0


@dataclass
class Found:
    """What a run of the checker found."""

    watched: Watched
    states: dict[str, ProbeState]

    def _pairs(self) -> Iterator[tuple[str, ProbeState, ProbeState]]:
        plan = self.watched.plan
        for server, keys in plan.checks.items():
            (key,) = keys
            host = REAL[self.watched.method.real].index(format_address(server.address)) + 1
            yield f"rs{host}", self.states[key], self.states[plan.causes[key]]

    @property
    def through(self) -> dict[str, bool]:
        """Which real servers are good through the virtual address."""
        return {host: state.health is Health.UP for host, state, _ in self._pairs()}

    @property
    def direct(self) -> dict[str, bool]:
        """Which real servers are good by their own address."""
        return {host: state.health is Health.UP for host, _, state in self._pairs()}

    def reason(self, host: str) -> str:
        """Why a real server is not good through the virtual address, as the status says it."""
        forwarding = self.watched.site.virtual_services[0].forwarding
        told = {name: (state, beside) for name, state, beside in self._pairs()}
        through, beside = told[host]
        return explain_path(through, beside._replace(last_at=through.since_at), forwarding)


ALL_GOOD = {"rs1": True, "rs2": True, "rs3": True}
RS2_BAD = {"rs1": True, "rs2": False, "rs3": True}


def prepared(made: NamespaceLab, method: Method, *, without: str = "") -> NamespaceLab:
    """Prepare all real servers but one."""
    for host in made.real_servers:
        if host.name != without:
            method.prepare(host, VIRTUAL[made.topology.name][method.virtual])
    return made


@pytest.mark.parametrize("holds", [HOLDING, NOT_HOLDING], ids=["active", "standby"])
@pytest.mark.parametrize("method", PATHS, ids=lambda method: method.name)
def test_real_servers_that_can_answer_clients_are_good(lab: LabFactory, method: Method, holds: bool) -> None:
    made = prepared(lab("one-arm"), method)
    lab.serve(made.real_servers)
    assert Watched(made, method, holds=holds).probe().through == ALL_GOOD


@pytest.mark.parametrize("networks", [NETWORKS, ""], ids=["networks given", "no networks"])
@pytest.mark.parametrize("holds", [HOLDING, NOT_HOLDING], ids=["active", "standby"])
@pytest.mark.parametrize("method", [DSR[4], DSR[6], IPIP], ids=["dsr", "dsr-6", "ipip"])
def test_a_director_between_two_segments_with_strict_filters_receives_the_answers(
    lab: LabFactory, method: Method, holds: bool, networks: str
) -> None:
    made = prepared(lab("two-arm"), method)
    lab.serve(made.real_servers)
    for device in ("all", "eth0", "eth1"):
        made.director.sysctl(f"net/ipv4/conf/{device}/rp_filter", 1)
    assert Watched(made, method, holds=holds, networks=networks).probe().through == ALL_GOOD


@pytest.mark.parametrize("holds", [HOLDING, NOT_HOLDING], ids=["active", "standby"])
@pytest.mark.parametrize("method", [DSR[4], DSR[6]], ids=["dsr", "dsr-6"])
def test_a_real_server_without_the_virtual_address_is_bad_though_it_answers_by_its_own(
    lab: LabFactory, method: Method, holds: bool
) -> None:
    made = prepared(lab("one-arm"), method, without="rs2")
    lab.serve(made.real_servers)
    found = Watched(made, method, holds=holds).probe()
    assert found.through == RS2_BAD
    assert found.direct == ALL_GOOD
    assert "virtual address is probably missing on its `lo`" in found.reason("rs2")


def without_address(host: Host, virtual: str) -> None:
    """A tunnel that is open, and nobody behind it."""
    behind("tunl0")(host, virtual)
    host.run(["ip", "address", "del", f"{virtual}/32", "dev", "lo"])


def closed(host: Host, virtual: str) -> None:
    """The address without the tunnel."""
    direct(host, virtual)


def filtered(host: Host, virtual: str) -> None:
    """A tunnel whose packets are taken for forgeries."""
    behind("tunl0")(host, virtual)
    host.sysctl("net/ipv4/conf/tunl0/rp_filter", 1)


@pytest.mark.parametrize("holds", [HOLDING, NOT_HOLDING], ids=["active", "standby"])
@pytest.mark.parametrize(
    ("prepare", "cause"),
    [
        (without_address, "or the virtual address is missing on its `lo`"),
        (closed, "tunnel device is"),
        (filtered, "drops packets (strict rp_filter)"),
    ],
)
def test_mistakes_in_tunnels_are_found(
    lab: LabFactory, prepare: Callable[[Host, str], None], cause: str, holds: bool
) -> None:
    made = prepared(lab("one-arm"), IPIP, without="rs2")
    prepare(made["rs2"], VIRTUAL["one-arm"][4])
    lab.serve(made.real_servers)
    found = Watched(made, IPIP, holds=holds).probe()
    assert found.through == RS2_BAD
    assert found.direct == ALL_GOOD
    assert cause in found.reason("rs2")


@pytest.mark.parametrize("method", [DSR[4], DSR[6], IPIP], ids=["dsr", "dsr-6", "ipip"])
def test_a_program_that_listens_on_the_real_servers_own_address_alone_is_found(
    lab: LabFactory, method: Method
) -> None:
    made = prepared(lab("one-arm"), method)
    first, second, third = made.real_servers
    lab.serve([first, third])
    with second.inside():
        family = socket.AF_INET if method.real == 4 else socket.AF_INET6
        listener = socket.create_server((second.address(method.real), 80), family=family)
    with listener:
        found = Watched(made, method).probe()
    assert found.through == RS2_BAD
    assert found.direct == ALL_GOOD
    assert "probably nothing listens on the virtual address there" in found.reason("rs2")


def test_a_real_server_that_is_down_is_itself_the_cause(lab: LabFactory) -> None:
    made = prepared(lab("one-arm"), DSR[4])
    first, _, third = made.real_servers
    lab.serve([first, third])
    found = Watched(made, DSR[4]).probe()
    assert found.through == found.direct == RS2_BAD
    assert found.reason("rs2") == "connection refused (by its own address, too)"


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("protocol", ["tcp", "udp"])
@pytest.mark.parametrize("holds", [HOLDING, NOT_HOLDING], ids=["active", "standby"])
def test_a_real_server_that_forwards_packets_cannot_borrow_the_answer_of_another(
    lab: LabFactory, holds: bool, protocol: str, version: int
) -> None:
    """It sends the probe on to the active director, which would have another real server answer it."""
    made = prepared(lab("one-arm"), DSR[version], without="rs2")
    virtual = VIRTUAL["one-arm"][version]
    lab.serve(made.real_servers)
    second = made["rs2"]
    second.sysctl("net.ipv4.ip_forward", 1)
    second.sysctl("net.ipv6.conf.all.forwarding", 1)
    for device in ("all", "eth0"):
        second.sysctl(f"net/ipv4/conf/{device}/send_redirects", 0)
    port, check = {"tcp": ("80", "tcp: {}"), "udp": ("53", "udp: {send: x, expect: 'rs[0-9]:x'}")}[protocol]
    watched = Watched(made, DSR[version], protocol, port, check, holds=holds)
    with ExitStack() as stack:
        if not holds:
            stack.enter_context(active_director(made.client, virtual, protocol, port, version))
        found = watched.probe()
    assert found.through == RS2_BAD
    assert found.direct == ALL_GOOD
    assert "virtual address is probably missing on its `lo`" in found.reason("rs2")


@contextmanager
def active_director(host: Host, virtual: str, protocol: str, port: str, version: int) -> Iterator[None]:
    """Lets another host hold the virtual address and balance to a real server that is good."""
    realserver_by_hand.hold_address(host, virtual)
    if version == 4:
        host.run(["ip", "address", "del", f"{virtual}/32", "dev", "lo"])
        host.run(["ip", "address", "add", f"{virtual}/32", "dev", "eth0"])
    else:
        host.run(["ip", "address", "del", f"{virtual}/128", "dev", "lo"])
        host.run(["ip", "address", "add", f"{virtual}/128", "dev", "eth0", "nodad"])
    where = f"[{virtual}]:{port}" if version == 6 else f"{virtual}:{port}"
    server = REAL[version][0]
    real = f"[{server}]:{port}" if version == 6 else f"{server}:{port}"
    service = ["-t" if protocol == "tcp" else "-u", where]
    host.run(["ipvsadm", "--add-service", *service, "--scheduler", "rr"])
    host.run(["ipvsadm", "--add-server", *service, "--real-server", real, "--gatewaying"])
    yield


@pytest.mark.parametrize("port", ["80", "80-90"], ids=["by address", "by mark"])
def test_clients_go_their_own_way_beside_the_probes(lab: LabFactory, port: str) -> None:
    made = prepared(lab("one-arm"), DSR[4])
    lab.serve(made.real_servers)
    watched = Watched(made, DSR[4], port=port, check="tcp: {}, port: 80")
    assert watched.probe().through == ALL_GOOD
    by_path = [
        key
        for key in watched.wanted.of(SERVICES).table
        if key.mark in {path.mark for path in watched.plan.paths}
    ]
    assert len(by_path) == 3

    def connections() -> list[int]:
        time.sleep(3)  # the kernel adds up every two seconds; this is virtual time
        with made.director.inside(), LinuxKernel() as kernel:
            table = kernel.read_counters(tuple(watched.wanted.of(SERVICES).table))
        return [sum(counters.connections for counters in table[key].values()) for key in by_path]

    before = connections()
    assert min(before) > 0
    assert http_counts(made.client, watched.virtual, count=6) == EVERYONE
    assert connections() == before


def test_what_probes_needed_is_given_back(lab: LabFactory) -> None:
    made = lab("two-arm")
    paths = [f"net/ipv4/conf/{device}/{name}" for device in ("all", "eth0", "eth1")
             for name in ("accept_local", "rp_filter")]  # fmt: skip
    made.director.sysctl("net/ipv4/conf/all/rp_filter", 1)
    before = {path: made.director.sysctl(path) for path in paths}
    watched = Watched(made, DSR[4])
    during = {path: made.director.sysctl(path) for path in paths}
    assert {path for path in paths if during[path] != before[path]} == {
        "net/ipv4/conf/eth1/accept_local",
        "net/ipv4/conf/eth1/rp_filter",
    }
    watched.become(DesiredState())
    assert {path: made.director.sysctl(path) for path in paths} == before


def test_a_filter_that_is_off_stays_off(lab: LabFactory) -> None:
    made = lab("two-arm")
    Watched(made, DSR[4])
    assert made.director.sysctl("net/ipv4/conf/eth1/rp_filter") == "0"


@pytest.mark.parametrize("holds", [HOLDING, NOT_HOLDING], ids=["active", "standby"])
def test_a_standby_director_without_a_route_is_the_cause(lab: LabFactory, holds: bool) -> None:
    made = lab("one-arm")
    lab.serve(made.real_servers)
    method = Method("dsr", "dsr", "", 4, 4, direct)
    watched = Watched(made, method, virtual="198.51.100.80", holds=holds)
    for host in made.real_servers:
        direct(host, watched.virtual)
    found = watched.probe()
    if holds:
        assert found.through == ALL_GOOD
    else:
        assert not any(found.through.values())
        assert "probes need a route to the virtual address on this director" in found.reason("rs1")


@pytest.mark.parametrize("holds", [HOLDING, NOT_HOLDING], ids=["active", "standby"])
@pytest.mark.parametrize("method", PATHS, ids=lambda method: method.name)
def test_requests_of_many_packets_arrive(lab: LabFactory, method: Method, holds: bool) -> None:
    made = prepared(lab("one-arm"), method)
    lab.serve(made.real_servers)
    headers = ", ".join(f"X-{number}: {'y' * 1000}" for number in range(5))
    found = Watched(made, method, check=f"http: {{headers: {{{headers}}}}}", holds=holds).probe()
    assert found.through == ALL_GOOD


def test_the_daemon_keeps_clients_from_a_real_server_without_the_virtual_address(
    lab: LabFactory, tmp_path: Path
) -> None:
    made = prepared(lab("one-arm"), DSR[4], without="rs2")
    lab.serve(made.real_servers)
    virtual = VIRTUAL["one-arm"][4]
    daemon = Daemon(Operator(made, tmp_path))
    daemon.at.write(site_of(DSR[4], virtual, networks=""))
    daemon.start()
    try:
        daemon.await_line(r"10\.0\.0\.12.*virtual address is probably missing on its `lo`")
        assert http_counts(made.client, virtual, count=6) == {"rs1": 3, "rs3": 3}
        began = len(daemon.log())
        direct(made["rs2"], virtual)
        daemon.await_line(r"real_server\.up.*10\.0\.0\.12", after=began)
        assert set(http_counts(made.client, virtual, count=9)) == {"rs1", "rs2", "rs3"}
        began = len(daemon.log())
        made["rs2"].run(["ip", "address", "del", f"{virtual}/32", "dev", "lo"])
        daemon.await_line(r"real_server\.down.*10\.0\.0\.12.*virtual address", after=began)
        assert http_counts(made.client, virtual, count=6) == {"rs1": 3, "rs3": 3}
    finally:
        assert daemon.end() == 0
