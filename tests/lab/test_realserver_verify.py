"""Verification of real servers on a real kernel: every error is named, whatever the method and the family."""

import contextlib
import socket
import time
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from kernelbal.lab.factory import LabFactory
from kernelbal.lab.namespaces import Host
from kernelbal.lab.traffic import http_counts
from kernelbal.model.address import format_address, parse_address
from kernelbal.model.ipvs import Protocol, TunnelType
from kernelbal.model.verification import RequirementResult, ResultStatus
from kernelbal.realserver.preparation import Encapsulation, Method, PortMap, Preparation
from kernelbal.realserver.tunnels import unwrapping
from kernelbal.realserver.verify.gather import Outside
from tests.support.lab_commands import Operator
from tests.support.lab_realserver_verify import faults, prepare, shown, unclear, verify

pytestmark = pytest.mark.needs_ipvs

VIRTUAL = {4: "10.0.0.80", 6: "fd00::80"}
REAL = {4: "10.0.0.11", 6: "fd00::11"}
OTHER = {4: "10.0.0.61", 6: "fd00::61"}
CLIENT = {4: "10.0.0.100", 6: "fd00::100"}
DIRECTOR = {4: "10.0.0.1", 6: "fd00::1"}
HTTP = (PortMap(Protocol.TCP, 80, 80),)
GUE_PORT = 5555
SITE = """
virtual_services:
  - name: web
    address: "{virtual}"
    ports: [80]
    forwarding: {forwarding}
    {tunnel}
    real_servers: [{{address: "{real}"}}]
"""


class Case(NamedTuple):
    """One way in which a real server is prepared; families are 4 and 6."""

    virtual: int
    method: Method = Method.LOOPBACK
    tunnel: TunnelType | None = None
    real: int = 0

    @property
    def name(self) -> str:
        tunnel = f"{self.tunnel.name.lower()}-in{self.real}-" if self.tunnel is not None else ""
        return f"{tunnel}ipv{self.virtual}-{self.method.value}"

    @property
    def address(self) -> str:
        return VIRTUAL[self.virtual]

    @property
    def preparation(self) -> Preparation:
        tunnel = None
        if self.tunnel is not None:
            tunnel = Encapsulation(self.tunnel, GUE_PORT if self.tunnel is TunnelType.GUE else 0)
        real = parse_address(REAL[self.real or self.virtual])
        own = parse_address(REAL[self.virtual])
        return Preparation(
            parse_address(self.address), real, ("eth0",), self.method, tunnel, own=own, ports=HTTP
        )

    @property
    def holder(self) -> str:
        one = self.preparation
        return unwrapping(one.tunnel, one.virtual, one.real).device if one.tunnel else "lo"

    @property
    def outside(self) -> Outside:
        director = parse_address(DIRECTOR[self.real or self.virtual])
        return Outside((parse_address(CLIENT[self.virtual]),), director)

    @property
    def site(self) -> str:
        one = self.preparation
        kind = one.tunnel.kind.name.lower() if one.tunnel else ""
        port = f", port: {GUE_PORT}" if kind == "gue" else ""
        return SITE.format(
            virtual=self.address,
            forwarding=one.forwarding,
            tunnel=f"tunnel: {{type: {kind}{port}}}" if kind else "",
            real=format_address(one.real),
        )


DIRECT = [Case(family, method) for family in (4, 6) for method in Method]
TUNNELS = [
    *(Case(4, method, TunnelType.IPIP, 4) for method in Method),
    Case(6, Method.LOOPBACK, TunnelType.IPIP, 4),
    Case(6, Method.LOOPBACK, TunnelType.IPIP, 6),
    Case(6, Method.REDIRECT, TunnelType.IPIP, 6),
    Case(4, Method.LOOPBACK, TunnelType.IPIP, 6),
    Case(4, Method.LOOPBACK, TunnelType.GRE, 4),
    Case(6, Method.LOOPBACK, TunnelType.GRE, 6),
    Case(4, Method.LOOPBACK, TunnelType.GUE, 4),
    Case(6, Method.LOOPBACK, TunnelType.GUE, 6),
]
CASES = [*DIRECT, *TUNNELS]


class Server:
    """A real server whose service listens where it is told to."""

    def __init__(self, host: Host, stack: contextlib.ExitStack) -> None:
        self.host = host
        self._stack = stack

    def listen(self, address: str = "") -> None:
        """Listen on one address alone, or on all of both families."""
        self.silence()
        with self.host.inside():
            if address:
                family = socket.AF_INET6 if ":" in address else socket.AF_INET
                made = socket.create_server((address, 80), family=family)
            else:
                made = socket.create_server(("::", 80), family=socket.AF_INET6, dualstack_ipv6=True)
        self._stack.enter_context(made)

    def silence(self) -> None:
        self._stack.close()


@pytest.fixture
def server(lab: LabFactory) -> Iterator[Server]:
    with contextlib.ExitStack() as stack:
        made = Server(lab("one-arm")["rs1"], stack)
        made.listen()
        yield made


class Fault(NamedTuple):
    """What can be wrong, and what has to say so."""

    name: str
    requirement: str
    where: Callable[[Case], bool]
    inject: Callable[[Server, Case], None]


def holds(case: Case) -> bool:
    return case.method is not Method.REDIRECT


def by_sysctls(case: Case) -> bool:
    return case.virtual == 4 and case.method is Method.LOOPBACK


def everywhere(_: Case) -> bool:
    return True


def does(*commands: str) -> Callable[[Server, Case], None]:
    """Run commands on the real server; names in braces are those of the case."""

    def inject(server: Server, case: Case) -> None:
        names = {
            "vip": case.address,
            "holder": case.holder,
            "client": CLIENT[case.virtual],
            "director": DIRECTOR[case.virtual],
            "ip": {4: "ip", 6: "ip6"}[case.virtual],
            "nodad": {4: "", 6: "nodad"}[case.virtual],
            "outer": f"-{case.real or 4}",
        }
        for command in commands:
            server.host.run(command.format(**names).split())

    return inject


def sysctls(*values: str) -> Callable[[Server, Case], None]:
    """Set sysctls of IPv4 devices."""
    return does(*(f"sysctl -q -w net/ipv4/conf/{value}" for value in values))


def firewall(hook: str, rule: str, policy: str = "accept") -> Callable[[Server, Case], None]:
    """Put rules of somebody else in place, before translations."""
    chain = f"{{{{ type filter hook {hook} priority -150; policy {policy}; }}}}"
    return does(
        "nft add table inet site",
        f"nft add chain inet site {hook} {chain}",
        f"nft add rule inet site {hook} {rule}",
    )


def to_one_address(server: Server, case: Case) -> None:
    """Where packets do not arrive: with `redirect` they come to the real address."""
    own = {4: "127.0.0.1", 6: "::1"}[case.virtual]
    server.listen(own if case.method is Method.REDIRECT else REAL[case.virtual])


def by_table(case: Case) -> bool:
    return case.virtual == 4 and case.method is Method.ARP


def redirects(case: Case) -> bool:
    return case.method is Method.REDIRECT


def tunnelled(case: Case) -> bool:
    return case.tunnel is not None


def tunnelled4(case: Case) -> bool:
    return case.virtual == 4 and tunnelled(case)


def on_lo4(case: Case) -> bool:
    return by_sysctls(case) and not tunnelled(case)


def on_lo6(case: Case) -> bool:
    return case.virtual == 6 and holds(case) and not tunnelled(case)


def by_gue(case: Case) -> bool:
    return case.tunnel is TunnelType.GUE


def one_family(case: Case) -> bool:
    return case.real in (0, case.virtual)


def another_address(server: Server, case: Case) -> None:
    """What a new lease does: the host has another address than the one it was prepared with."""
    for family in {case.virtual, case.real or case.virtual}:
        bits, more = (24, "") if family == 4 else (64, "nodad")
        server.host.run(f"ip address del {REAL[family]}/{bits} dev eth0".split())
        server.host.run(f"ip address add {OTHER[family]}/{bits} dev eth0 {more}".split())


OURS = "inet kernelbal_realserver"
FAULTS = [
    Fault("no address", "vip", holds, does("ip address del {vip} dev {holder}")),
    Fault("another lease", "real address", everywhere, another_address),
    Fault("address on the network", "vip", everywhere, does("ip address add {vip}/24 dev eth0 {nodad}")),
    Fault("a whole network local", "vip", on_lo4,
          does("ip address del {vip} dev lo", "ip address add {vip}/24 dev lo")),
    Fault("arp_ignore 3 on one interface", "arp_ignore", by_sysctls, sysctls("eth0/arp_ignore=3")),
    Fault("arp_ignore 8 on one interface", "arp_ignore", by_sysctls, sysctls("eth0/arp_ignore=8")),
    Fault("arp_ignore 0", "arp_ignore", by_sysctls, sysctls("all/arp_ignore=0", "eth0/arp_ignore=0")),
    Fault("arp_announce 0", "arp_announce", by_sysctls,
          sysctls("all/arp_announce=0", "eth0/arp_announce=0")),
    Fault("no arp table", "arp table", by_table, does("nft delete table arp kernelbal_realserver")),
    Fault("no redirection", "redirect rule", redirects, does(f"nft flush chain {OURS} prerouting")),
    Fault("strict reverse path", "rp_filter", tunnelled4, sysctls("{holder}/rp_filter=1")),
    Fault("tunnel down", "device", tunnelled, does("ip link set {holder} down")),
    Fault("no GUE port", "gue", by_gue, does(f"ip {{outer}} fou del port {GUE_PORT}")),
    Fault("no clamp", "mss", tunnelled, does(f"nft flush chain {OURS} postrouting")),
    Fault("service on one address", "listening", everywhere, to_one_address),
    Fault("no service", "listening", everywhere, lambda server, _: server.silence()),
    Fault("MTU too small", "mtu", everywhere, does("ip link set eth0 mtu 1400")),
    Fault("no route back", "return route", everywhere, does("ip route add unreachable {client}")),
    Fault("route back by the director", "return route", one_family,
          does("ip route add {client} via {director}")),
    Fault("IPv6 off", "device", on_lo6, does("sysctl -q -w net/ipv6/conf/lo/disable_ipv6=1")),
    Fault("firewall drops", "firewall", everywhere,
          firewall("input", "{ip} saddr {client} tcp dport 80 drop")),
    Fault("firewall rejects", "firewall", everywhere, firewall("input", "tcp dport 80 reject")),
    Fault("firewall resets", "firewall", everywhere,
          firewall("input", "tcp dport 80 reject with tcp reset")),
    Fault("firewall accepts others", "firewall", everywhere,
          firewall("input", "tcp dport 22 accept", policy="drop")),
    Fault("firewall drops early", "firewall", everywhere, firewall("prerouting", "{ip} daddr {vip} drop")),
    Fault("firewall drops replies", "firewall", everywhere, firewall("output", "tcp sport 80 drop")),
]  # fmt: skip
OF_TUNNELS = ("real address", "rp_filter", "device", "gue", "mss")
"""What depends on the tunnel device is tried with every tunnel, all else with one of them."""
TABLE = [
    (case, fault)
    for case in CASES
    for fault in FAULTS
    if fault.where(case) and (case in (*DIRECT, TUNNELS[0]) or fault.requirement in OF_TUNNELS)
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_prepared_server_serves_and_nothing_fails(lab: LabFactory, tmp_path: Path, case: Case) -> None:
    made = lab("one-arm")
    server = made["rs1"]
    lab.serve([server])
    prepare(server, case.preparation)
    Operator(made, tmp_path).apply(case.site)
    assert http_counts(made.client, case.address, count=3) == {"rs1": 3}
    results = verify(server, case.preparation, outside=case.outside)
    assert faults(results) == set(), shown(results)
    assert unclear(results) == [], shown(results)
    (silent,) = [result.message for result in results if result.requirement == "silent"]
    assert ("asks its neighbours as itself" in silent) is (case.virtual == 4)
    assert http_counts(made.client, case.address, count=3) == {"rs1": 3}


@pytest.mark.parametrize(("case", "fault"), TABLE, ids=[f"{c.name}-{f.name}" for c, f in TABLE])
def test_fault_is_named_and_no_other(server: Server, case: Case, fault: Fault) -> None:
    prepare(server.host, case.preparation)
    fault.inject(server, case)
    results = verify(server.host, case.preparation, outside=case.outside)
    assert faults(results) == {fault.requirement}, shown(results)
    assert all(result.fix for result in results if result.status is ResultStatus.FAIL)


def test_real_address_that_another_host_has_is_mended_as_the_fix_says(lab: LabFactory) -> None:
    case = Case(6)
    made = lab("one-arm")
    server, other = made["rs1"], made["rs2"]
    lab.serve([server])
    prepare(server, case.preparation)
    other.run(f"ip address add {REAL[6]}/64 dev eth0 nodad".split())
    server.run(["sysctl", "-q", "-w", "net/ipv6/conf/eth0/accept_dad=1"])
    for does_it in ("del", "add"):
        server.run(f"ip address {does_it} {REAL[6]}/64 dev eth0".split())
    await_address_check(server)
    (failing,) = own_address(verify(server, case.preparation, outside=case.outside))
    assert failing.message == (
        "fd00::11 is not in use (another host has it: duplicate address detection failed), "
        "and the director sends to it"
    )
    other.run(f"ip address del {REAL[6]}/64 dev eth0".split())
    condition, remedy = failing.fix.split(": ", 1)
    assert condition == "once no other host has it"
    for command in remedy.split("; "):
        server.run(command.split())
    await_address_check(server)
    results = verify(server, case.preparation, outside=case.outside)
    assert faults(results) == set(), shown(results)


def own_address(results: Collection[RequirementResult]) -> list[RequirementResult]:
    return [result for result in results if result.requirement == "real address"]


def await_address_check(host: Host) -> None:
    """Duplicate address detection takes a second (RFC 4862, 5.4)."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        shown = host.run(["ip", "-6", "address", "show", "dev", "eth0"]).stdout
        if "dadfailed" in shown or "tentative" not in shown:
            return
        time.sleep(0.1)
    raise AssertionError(shown)
