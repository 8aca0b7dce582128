"""`kernelbal realserver` on a real kernel: every method, encapsulation and family, with real connections."""

import json
import shlex
import socket
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from kernelbal.lab.demo import snapshot
from kernelbal.lab.factory import LabFactory
from kernelbal.lab.namespaces import NamespaceLab
from kernelbal.lab.process import Completed
from kernelbal.lab.traffic import http_counts, udp_counts
from kernelbal.model.address import parse_address
from tests.lab.test_forwarding import EVERYONE, REAL, VIRTUAL, Method, nothing, site
from tests.support.lab_commands import Operator, ServerOperator

pytestmark = pytest.mark.needs_ipvs

ETH_P_ARP = 0x0806
GUE = "tunnel: {type: gue, port: 5555}"


class Case(NamedTuple):
    """One way to serve: what the site file says, and what is typed on a real server."""

    name: str
    forwarding: str
    extra: str
    virtual: int
    real: int
    options: str

    @property
    def method(self) -> Method:
        return Method(self.name, self.forwarding, self.extra, self.virtual, self.real, nothing)


def tunnels(method: str = "loopback") -> list[Case]:
    return [
        Case(
            f"{kind}-{virtual}in{real}-{method}",
            "tunnel",
            GUE if kind == "gue" else f"tunnel: {{type: {kind}}}",
            virtual,
            real,
            f"--forwarding tunnel --tunnel {kind} --method {method}"
            + (" --tunnel-port 5555" if kind == "gue" else ""),
        )
        for kind in ("ipip", "gre", "gue")
        for virtual in (4, 6)
        for real in (4, 6)
    ]


CASES = [
    *(
        Case(f"dsr-{family}-{method}", "dsr", "", family, family, f"--method {method}")
        for family in (4, 6)
        for method in ("loopback", "arp", "redirect")
    ),
    *tunnels(),
    Case("ipip-arp", "tunnel", "tunnel: {type: ipip}", 4, 4, "--forwarding tunnel --method arp"),
    Case("ipip-redirect", "tunnel", "tunnel: {type: ipip}", 4, 4, "--forwarding tunnel --method redirect"),
    Case("6in4-redirect", "tunnel", "tunnel: {type: ipip}", 6, 4, "--forwarding tunnel --method redirect"),
]


def strict(lab: NamespaceLab) -> None:
    """Reverse-path filtering as most distributions have it, and a way for replies to everywhere."""
    for host in lab.real_servers:
        host.sysctl("net.ipv4.conf.all.rp_filter", 1)
        host.sysctl("net.ipv4.conf.default.rp_filter", 1)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_prepared_servers_answer_and_are_as_before_when_undone(
    lab: LabFactory, tmp_path: Path, case: Case
) -> None:
    made = lab("one-arm")
    lab.serve(made.real_servers)
    strict(made)
    virtual = VIRTUAL[case.virtual]
    first, *others = [ServerOperator(host, tmp_path) for host in made.real_servers]
    before = first.look()
    for server, real in zip((first, *others), REAL[case.real], strict=True):
        named = ("--real", real) if case.real != case.virtual else ()
        options = (virtual, *case.options.split(), *named)
        server.apply(*options) if server is first else server.run("apply", "--persist", "none", *options)
    at = Operator(made, tmp_path)
    at.apply(site(case.method, "tcp", 80))
    assert http_counts(made.client, virtual, count=6) == EVERYONE
    if case.forwarding == "dsr":
        at.apply(site(case.method, "udp", 53), "--cut")
        assert udp_counts(made.client, virtual, 53, count=6) == EVERYONE
    first.undo()
    assert snapshot.differences(before, first.look()) == []
    assert not (tmp_path / first.host.name / "realserver/record.json").exists()


@pytest.fixture
def server(lab: LabFactory, tmp_path: Path) -> ServerOperator:
    """A real server."""
    host = lab("one-arm").real_servers[0]
    return ServerOperator(host, tmp_path)


def test_addresses_of_different_methods_compose_and_go_one_by_one(server: ServerOperator) -> None:
    before = server.look()
    server.apply("10.0.0.80", "fd00::80")
    alone = server.look()
    server.apply("10.0.0.81", "--method", "arp")
    server.apply("10.0.0.82", "--method", "redirect", "--port", "80:8080")
    gue = ("--forwarding", "tunnel", "--tunnel", "gue", "--tunnel-port", "5555")
    server.apply("10.0.0.83", "fd00::83", *gue)
    assert server.changes("10.0.0.80", "fd00::80") == []
    for virtual in ("10.0.0.82", "10.0.0.81"):
        server.undo(virtual)
    server.undo("10.0.0.83", "fd00::83")
    assert snapshot.differences(alone, server.look()) == []
    server.undo()
    assert snapshot.differences(before, server.look()) == []


def test_fix_for_another_lease_prepares_everything_anew(server: ServerOperator) -> None:
    gue = ("--forwarding", "tunnel", "--tunnel", "gue", "--tunnel-port", "5555")
    server.apply("10.0.0.80", *gue, "--method", "redirect", "--port", "80:8080", "--port", "81:8081")
    (before,) = recorded(server)
    for change in ("del 10.0.0.11/24", "add 10.0.0.61/24"):
        server.host.run(f"ip address {change} dev eth0".split())
    assert own_address(server) == "FAIL"
    (fix,) = [each["fix"] for each in verified(server) if each["requirement"] == "real address"]
    command = fix.split(": ")[1].split(";")[0].replace("NEW", "10.0.0.61")
    server.run(*shlex.split(command)[2:])
    assert recorded(server) == [{**before, "real": "10.0.0.61", "own": "10.0.0.61"}]
    assert own_address(server) == "ok"


def recorded(server: ServerOperator) -> list[dict[str, Any]]:
    record = json.loads((server.folder / server.host.name / "realserver/record.json").read_text())
    found: list[dict[str, Any]] = record["record"]["preparations"]
    return found


def verified(server: ServerOperator) -> list[dict[str, Any]]:
    """Nothing listens, so that something fails in any case."""
    document = json.loads(server.run("verify", "--json", code=1).stdout)
    return [result for address in document["addresses"] for result in address["results"]]


def own_address(server: ServerOperator) -> str:
    return "".join(each["result"] for each in verified(server) if each["requirement"] == "real address")


def test_values_of_an_operator_come_back(server: ServerOperator) -> None:
    server.host.sysctl("net.ipv4.conf.eth0.arp_ignore", 8)
    server.host.sysctl("net.ipv4.conf.all.arp_announce", 1)
    before = server.look()
    server.apply("10.0.0.80")
    assert server.host.sysctl("net.ipv4.conf.eth0.arp_ignore") == "1"
    server.undo()
    assert snapshot.differences(before, server.look()) == []


def test_what_others_have_stays(server: ServerOperator) -> None:
    server.host.run(["ip", "address", "add", "10.0.0.80/32", "dev", "lo"])
    server.host.run(
        ["nft", "add table inet theirs; add chain inet theirs a { type filter hook input priority 0; }"]
    )
    server.host.run(["ip", "link", "set", "tunl0", "up"])
    before = server.look()
    server.apply("10.0.0.80", "10.0.0.81", "--method", "arp")
    server.apply("10.0.0.82", "--forwarding", "tunnel")
    server.undo()
    assert snapshot.differences(before, server.look()) == []


@pytest.mark.parametrize(
    ("before", "options", "words"),
    [
        ("true", "10.0.0.11", "this host's own address on `eth0`"),
        (
            "ip address add 10.0.0.80/24 dev eth0",
            "10.0.0.80",
            "10.0.0.80 is on `eth0` already, where this host answers ARP for it",
        ),
        ("true", "10.0.0.80 --interface eth7", "there is no interface `eth7`"),
        (
            "mount -o bind,ro /proc/sys /proc/sys",
            "10.0.0.80",
            "cannot write net.ipv4.conf.all.arp_ignore: /proc/sys is read-only here",
        ),
    ],
)
def test_bad_input_changes_nothing(server: ServerOperator, before: str, options: str, words: str) -> None:
    wanted = ["apply", "--persist", "none", "--state-dir", str(server.folder / "state"), *options.split()]
    line = shlex.join([sys.executable, "-m", "kernelbal", "realserver", *wanted])
    server.host.run(["sh", "-c", before if before.startswith("ip") else "true"])
    was = server.look()
    done = server.host.run(["unshare", "-m", "sh", "-c", f"{before}\n{line}"], check=False)
    assert done.returncode != 0
    assert words in done.stderr
    assert "hint: " in done.stderr
    assert snapshot.differences(was, server.look()) == []
    assert not (server.folder / "state/realserver/record.json").exists()


def test_host_without_libnftables(server: ServerOperator) -> None:
    """The library is hidden; loopback does without it, what needs it says so before anything changes."""
    before = server.look()
    hide = "for f in /usr/lib/*/libnftables.so.1*; do mount --bind /dev/null $f; done\n"
    program = shlex.join([sys.executable, "-m", "kernelbal", "realserver", "apply", "--persist", "none"])
    state = shlex.join(["--state-dir", str(server.folder / server.host.name)])

    def apply(options: str) -> Completed:
        return server.host.run(
            ["unshare", "-m", "sh", "-c", f"{hide}{program} {state} {options}"], check=False
        )

    refused = apply("10.0.0.80 --method arp")
    assert refused.returncode != 0
    assert "libnftables.so.1 is missing" in refused.stderr
    assert "apt install libnftables1" in refused.stderr
    assert snapshot.differences(before, server.look()) == []
    assert apply("10.0.0.80").returncode == 0


def test_kernel_that_refuses_half_way_is_put_back(server: ServerOperator) -> None:
    server.host.sysctl("net.ipv6.conf.lo.disable_ipv6", 1)
    before = server.look()
    refused = server.run("apply", "--persist", "none", "10.0.0.80", "fd00::80", code=1)
    assert "the device takes no IPv6 address" in refused.stderr
    assert "what had been done before the failure was taken back" in refused.stderr
    assert snapshot.differences(before, server.look()) == []


@pytest.mark.parametrize("method", ["loopback", "arp"])
def test_replies_by_another_interface_keep_silent_too(server: ServerOperator, method: str) -> None:
    host = server.host
    for command in (
        "link add front0 type veth peer name front1",
        "link set front0 up",
        "link set front1 up",
        "address add 203.0.113.11/24 dev front0",
        "route add 198.51.100.0/24 via 203.0.113.254",
    ):
        host.run(["ip", *command.split()])
    server.apply("203.0.113.80", "--method", method, "--real", "10.0.0.11")
    with host.inside():
        heard = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ARP))
        reply = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with heard, reply:
        heard.bind(("front1", ETH_P_ARP))
        heard.settimeout(5)
        reply.bind(("203.0.113.80", 0))
        reply.sendto(b"reply", ("198.51.100.7", 9))
        sender = heard.recv(2048)[28:32]
    assert sender == parse_address("203.0.113.11")


def test_methods_that_look_at_each_others_addresses_come_to_rest(server: ServerOperator) -> None:
    """`redirect` puts the real address on the tunnel device as well, which asks nobody by ARP."""
    before = server.look()
    server.apply("10.0.0.80", "--method", "arp")
    server.apply("10.0.0.82", "--forwarding", "tunnel", "--method", "redirect")
    server.undo()
    assert snapshot.differences(before, server.look()) == []
