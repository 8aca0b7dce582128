"""Address translation and policy routes at the edge, with real connections through a real kernel."""

import re
import socket
import struct
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from kernelbal.lab.demo import snapshot
from kernelbal.lab.factory import LabFactory
from kernelbal.lab.namespaces import Host
from kernelbal.lab.traffic import ask_connection, connect, http_ask, http_counts, udp_counts
from tests.lab.test_forwarding import behind
from tests.support import realserver_by_hand
from tests.support.lab_commands import Operator, run_here
from tests.support.lab_daemon import Daemon

pytestmark = pytest.mark.needs_ipvs

NETWORKS = """
networks:
  outside: {shared_addresses: [192.0.2.10/24, "2001:db8:1::10/64"]}
  inside: {shared_addresses: [10.0.0.1/24, "fd00::1/64"]}
"""
SERVICES = """
virtual_services:
  - name: web
    address: 192.0.2.10
    ports: [80]
    forwarding: nat
    scheduler: rr
    real_servers: [{address: 10.0.0.11}, {address: 10.0.0.12}]
  - name: web6
    address: "2001:db8:1::10"
    ports: [80]
    forwarding: nat
    scheduler: rr
    real_servers: [{address: "fd00::11"}, {address: "fd00::12"}]
"""
EDGE = """
edge:
  one_to_one:
    - {name: geo, outside: 192.0.2.51, inside: 10.0.0.11}
    - {name: geo6, outside: "2001:db8:1::51", inside: "fd00::11"}
  forward:
    - {name: jump, outside: 192.0.2.10, ports: [8022], inside: 10.0.0.12, inside_port: 80}
    - {name: jump6, outside: "2001:db8:1::10", ports: [8022], inside: "fd00::12", inside_port: 80}
    - {name: dns, outside: 192.0.2.10, protocol: udp, ports: [5353], inside: 10.0.0.12, inside_port: 53}
    - {name: dns6, outside: "2001:db8:1::10", protocol: udp, ports: [53], inside: "fd00::12"}
  source_nat:
    - {name: second, inside: 10.0.0.12, outside: 192.0.2.10}
    - {name: second6, inside: "fd00::12", outside: "2001:db8:1::10"}
    - {name: rest, inside: 10.0.0.0/24, masquerade: true}
    - {name: rest6, inside: "fd00::/64", masquerade: true}
"""
SITE = NETWORKS + SERVICES + EDGE
SHARED = {4: "192.0.2.10", 6: "2001:db8:1::10"}
GEO = {4: "192.0.2.51", 6: "2001:db8:1::51"}
DIRECTOR = {4: "192.0.2.1", 6: "2001:db8:1::1"}
INSIDE = {4: "10.0.0.1", 6: "fd00::1"}
BOTH = pytest.mark.parametrize("version", [4, 6])


ROUTES = """
  routes:
    - {name: partner, source: 10.0.0.11, destination: 198.51.100.0/24, gateway: 192.0.2.100}
    - {name: partner6, source: "fd00::11", destination: "2001:db8:9::/64", gateway: "2001:db8:1::100"}
    - {name: link, destination: 203.0.113.0/24, table: 300, priority: 500}
"""


def applied(make: LabFactory, folder: Path, site: str, prefix: str = "") -> Operator:
    """A site that is applied, and name servers on every host but the director."""
    made = make("two-arm", prefix)
    snapshot.settle(made.director)  # a tentative IPv6 address is no source
    make.serve([made["client"], *made.real_servers])
    operator = Operator(made, folder)
    operator.apply(site)
    return operator


@pytest.fixture(scope="module")
def still(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    """A site with everything, for tests that only look."""
    with ExitStack() as stack:
        operator = applied(LabFactory(stack), tmp_path_factory.mktemp("still"), SITE + ROUTES, "still-")
        for address in ("198.51.100.1/32", "2001:db8:9::1/128"):
            operator.lab.client.run(["ip", "address", "add", address, "dev", "lo"])
        yield operator


@pytest.fixture
def at(lab: LabFactory, tmp_path: Path) -> Operator:
    """A site to be changed."""
    return applied(lab, tmp_path, SITE)


def host(at: Operator, name: str) -> Host:
    return at.lab[name]


@BOTH
def test_one_to_one_has_the_same_address_in_both_directions(still: Operator, version: int) -> None:
    client, inner = host(still, "client"), host(still, "rs1")
    assert http_ask(client, GEO[version]) == ("rs1", client.address(version))
    assert http_ask(inner, client.address(version)) == ("client", GEO[version])
    assert udp_counts(client, GEO[version], count=2) == {"rs1": 2}


@BOTH
def test_forwarded_port_changes_on_its_way(still: Operator, version: int) -> None:
    client = host(still, "client")
    assert http_ask(client, SHARED[version], 8022) == ("rs2", client.address(version))
    assert udp_counts(client, SHARED[version], {4: 5353, 6: 53}[version], count=2) == {"rs2": 2}


@BOTH
def test_machine_without_an_own_address_takes_the_one_it_is_given(still: Operator, version: int) -> None:
    client = host(still, "client").address(version)
    assert http_ask(host(still, "rs2"), client) == ("client", SHARED[version])
    assert http_ask(host(still, "rs3"), client) == ("client", DIRECTOR[version])


@BOTH
def test_inside_machines_reach_outside_addresses(still: Operator, version: int) -> None:
    """Through the director and back, also a machine that asks for itself."""
    for name in ("rs1", "rs2", "rs3"):
        assert http_ask(host(still, name), GEO[version]) == ("rs1", INSIDE[version])
        assert http_ask(host(still, name), SHARED[version], 8022) == ("rs2", INSIDE[version])


@BOTH
def test_director_reaches_its_own_public_address(still: Operator, version: int) -> None:
    """With an inside address: a machine that holds its outside address, too, would drop its own."""
    assert http_ask(still.director, GEO[version]) == ("rs1", INSIDE[version])
    assert http_ask(still.director, SHARED[version], 8022) == ("rs2", INSIDE[version])


@BOTH
def test_virtual_service_beside_it_shows_clients_as_they_are(still: Operator, version: int) -> None:
    client = host(still, "client")
    answers = [http_ask(client, SHARED[version]) for _ in range(4)]
    assert Counter(answer.server for answer in answers) == {"rs1": 2, "rs2": 2}
    assert {answer.client for answer in answers} == {client.address(version)}


def test_without_hairpin_a_machine_does_not_get_its_answer(at: Operator) -> None:
    """The answer would go straight to it, from an address that it did not ask."""
    at.apply(SITE + "  hairpin: false\n")
    assert http_counts(host(at, "rs3"), GEO[4], count=1, timeout_s=2) == {"timeout": 1}
    assert http_ask(host(at, "client"), GEO[4]).server == "rs1"


def test_translated_connections_survive_a_changed_site(at: Operator) -> None:
    client = host(at, "client")
    opened: list[tuple[socket.socket, str]] = []
    with ExitStack() as stack:
        for version in (4, 6):
            for source, address, port, server in (
                (client, GEO[version], 80, "rs1"),
                (client, SHARED[version], 8022, "rs2"),
                (host(at, "rs3"), client.address(version), 80, "client"),
            ):
                opened.append((stack.enter_context(connect(source, address, port)), server))
        assert [ask_connection(connection) for connection, _ in opened] == [server for _, server in opened]
        at.apply(SITE.replace("8022", "8023").replace("inside: 10.0.0.12,", "inside: 10.0.0.13,"))
        assert [ask_connection(connection) for connection, _ in opened] == [server for _, server in opened]
    assert http_ask(client, SHARED[4], 8023).server == "rs3"
    assert http_counts(client, SHARED[4], 8022, count=1) == {"connection refused": 1}


def test_release_leaves_nothing(lab: LabFactory, tmp_path: Path) -> None:
    made = lab("two-arm")
    operator = Operator(made, tmp_path)
    rules = made.director.run(["ip", "rule"]).stdout + made.director.run(["ip", "-6", "rule"]).stdout
    before = snapshot.take(made.director)
    operator.apply(SITE + ROUTES)
    operator.kernelbal("release")
    assert snapshot.differences(before, snapshot.take(made.director)) == []
    assert rules == made.director.run(["ip", "rule"]).stdout + made.director.run(["ip", "-6", "rule"]).stdout


# --- beside direct server return and tunnels, with tracked connections ---

ONE_ARM = """
networks:
  inside: {shared_addresses: [10.0.0.2/24, "fd00::2/64"]}
virtual_services:
  - {name: nat, address: 10.0.0.80, network: inside, ports: [80], forwarding: nat, one_armed: true,
     real_servers: [{address: 10.0.0.11}]}
  - {name: dsr, address: 10.0.0.81, network: inside, ports: [80], forwarding: dsr,
     real_servers: [{address: 10.0.0.11}]}
  - {name: tunnel, address: 10.0.0.82, network: inside, ports: [80], forwarding: tunnel,
     real_servers: [{address: 10.0.0.12}]}
  - {name: dsr6, address: "fd00::81", network: inside, ports: [80], forwarding: dsr,
     real_servers: [{address: "fd00::11"}]}
edge:
  forward:
    - {name: jump, outside: 10.0.0.80, network: inside, ports: 8022, inside: 10.0.0.13, inside_port: 80}
  source_nat:
    - {name: all, inside: 10.0.0.0/24, masquerade: true, network: inside}
    - {name: all6, inside: "fd00::/64", masquerade: true, network: inside}
"""


def test_source_nat_leaves_packets_of_ipvs_alone(lab: LabFactory, tmp_path: Path) -> None:
    """Every machine is in the block whose packets are masqueraded, and IPVS tracks its connections."""
    made = lab("one-arm")
    lab.serve(made.real_servers)
    realserver_by_hand.accept_direct(made["rs1"], ["10.0.0.81", "fd00::81"])
    behind("tunl0")(made["rs2"], "10.0.0.82")
    Operator(made, tmp_path).apply(ONE_ARM)
    client = made["client"]
    assert made.director.sysctl("net.ipv4.vs.conntrack") == "1"
    assert http_ask(client, "10.0.0.81") == ("rs1", "10.0.0.100")
    assert http_ask(client, "10.0.0.82") == ("rs2", "10.0.0.100")
    assert http_ask(client, "fd00::81") == ("rs1", "fd00::100")
    assert http_ask(client, "10.0.0.80").server == "rs1"
    assert http_ask(client, "10.0.0.80", 8022).server == "rs3"


def test_packets_of_the_director_itself_keep_their_source(lab: LabFactory, tmp_path: Path) -> None:
    """Such as VRRP, whose source the partner compares."""
    made = lab("one-arm")
    lab.serve(made.real_servers)
    Operator(made, tmp_path).apply(ONE_ARM)
    made.director.run(["ip", "address", "add", "10.0.0.200/24", "dev", "eth0"])
    assert http_ask(made.director, "10.0.0.11", source="10.0.0.200") == ("rs1", "10.0.0.200")


# --- policy routes ---


def chosen(at: Operator, *question: str) -> str:
    return at.director.run(["ip", "route", "get", *question], check=False).stdout


@pytest.mark.parametrize("far", ["198.51.100.1", "2001:db8:9::1"])
def test_policy_route_leads_those_that_it_is_for(still: Operator, far: str) -> None:
    """The director has no other route there."""
    assert http_ask(host(still, "rs1"), far) == ("client", GEO[6 if ":" in far else 4])
    assert http_counts(host(still, "rs3"), far, count=1, timeout_s=2).keys() != {"client"}


LINE = """
  routes:
    - {name: line, source: 10.0.0.0/24, gateway: 192.0.2.100}
    - {name: line6, source: "fd00::/64", gateway: "2001:db8:1::100"}
"""


def test_route_for_a_whole_subnet_leaves_the_director_reachable_from_it(
    lab: LabFactory, at: Operator
) -> None:
    """Its inside address is of that block, too: answers must not leave by the gateway."""
    lab.serve([at.director])
    at.apply(SITE + LINE)
    for version in (4, 6):
        assert http_ask(host(at, "rs3"), INSIDE[version]).server == "director"
        assert http_ask(host(at, "rs3"), GEO[version]) == ("rs1", INSIDE[version])
        assert http_ask(host(at, "rs3"), host(at, "client").address(version)).server == "client"
    assert "via 192.0.2.100" in chosen(at, "198.51.100.1", "from", "10.0.0.13", "iif", "eth1")


def test_kernel_shows_rules_and_tables(still: Operator) -> None:
    assert "via 192.0.2.100 dev eth0" in chosen(still, "198.51.100.1", "from", "10.0.0.11", "iif", "eth1")
    assert "dev eth0 table 300" in chosen(still, "203.0.113.1")
    rules = still.director.run(["ip", "rule"]).stdout
    assert re.search(r"500:\s+from all to 203.0.113.0/24 lookup 300 proto 75", rules)


def test_changed_gateway_replaces_the_route(at: Operator) -> None:
    at.apply(SITE + ROUTES)
    at.write(SITE + ROUTES.replace("gateway: 192.0.2.100", "gateway: 192.0.2.101"))
    (change,) = at.changes()
    assert re.fullmatch(
        r"~ route default table \d+ via 192\.0\.2\.100 dev eth0 -> via 192\.0\.2\.101 dev eth0", change
    )
    at.kernelbal("apply")
    assert "via 192.0.2.101" in chosen(at, "198.51.100.1", "from", "10.0.0.11", "iif", "eth1")
    at.apply(SITE)
    assert "192.0.2.101" not in chosen(at, "198.51.100.1", "from", "10.0.0.11", "iif", "eth1")


def test_route_stays_until_what_replaces_it_is_there(at: Operator) -> None:
    """Another name means another table."""
    at.apply(SITE + ROUTES)
    at.write(SITE + ROUTES.replace("name: partner,", "name: other,").replace("192.0.2.100", "192.0.9.9"))
    said = at.kernelbal("apply", code=1).stderr
    assert "the gateway cannot be reached by this device" in said
    assert "the rule that takes its place could not be added" in said
    assert "via 192.0.2.100" in chosen(at, "198.51.100.1", "from", "10.0.0.11", "iif", "eth1")
    at.apply(SITE)


def test_rules_and_routes_of_others_stay(at: Operator) -> None:
    theirs = (
        "rule add from 10.0.0.11 to 198.51.100.0/24 lookup 77 priority 400",
        "route add default via 192.0.2.100 table 77",
    )
    for command in theirs:
        at.director.run(["ip", *command.split()])
    at.apply(SITE + ROUTES)
    at.apply(SITE)
    at.kernelbal("release")
    assert "from 10.0.0.11 to 198.51.100.0/24 lookup 77" in at.director.run(["ip", "rule"]).stdout
    assert "default via 192.0.2.100" in at.director.run(["ip", "route", "show", "table", "77"]).stdout


def test_table_that_someone_else_uses_is_refused(at: Operator) -> None:
    at.director.run(["ip", "route", "add", "default", "via", "192.0.2.100", "table", "300"])
    at.write(SITE + ROUTES)
    said = at.kernelbal("apply", code=1).stderr
    assert "the table holds such a route of someone else" in said
    assert "name another `table`" in said


# --- what goes on, what is repaired, what is noticed ---


def test_translated_connection_goes_on_without_its_entry(at: Operator) -> None:
    """Another NAT chain is enough for the kernel to translate what is established."""
    client = host(at, "client")
    with connect(client, SHARED[4], 8022) as forwarded, connect(host(at, "rs2"), "192.0.2.100", 80) as out:
        assert (ask_connection(forwarded), ask_connection(out)) == ("rs2", "client")
        at.apply(NETWORKS + SERVICES + ONLY_IPV6)
        assert (ask_connection(forwarded), ask_connection(out)) == ("rs2", "client")
    assert http_counts(client, SHARED[4], 8022, count=1) == {"connection refused": 1}


ONLY_IPV6 = 'edge: {source_nat: [{name: rest6, inside: "fd00::/64", masquerade: true}]}\n'


BY_HAND = (
    ("ip rule del priority 500", "rule 500"),
    ("ip route flush table 300", "route default table 300"),
    ("nft flush chain inet kernelbal nat_prerouting", "nftables table"),
)


def test_daemon_puts_back_what_somebody_removes(at: Operator) -> None:
    """Nothing but what the kernel tells makes this daemon look: there is nobody to check."""
    at.write(NETWORKS + EDGE + ROUTES)
    daemon = Daemon(at)
    daemon.start()
    try:
        daemon.await_line("round.changed cause=.*start")
        for by_hand, told in BY_HAND:
            time.sleep(2)  # what the daemon itself changed is heard, too
            length = len(daemon.log())
            at.director.run(by_hand.split())
            assert told in daemon.await_line(r"drift\.reverted", after=length, within_s=5)
        assert "dev eth0 table 300" in chosen(at, "203.0.113.1")
        assert http_ask(host(at, "client"), GEO[4]).server == "rs1"
    finally:
        daemon.end()


def test_status_notices_that_all_clients_are_one(at: Operator) -> None:
    client = host(at, "client")
    assert http_counts(client, SHARED[4], count=150) == {"rs1": 75, "rs2": 75}
    assert "hide the clients" not in at.kernelbal("status", "--kernel").stderr
    http_counts(client, SHARED[4], count=60)
    said = at.kernelbal("status", "--kernel").stderr
    assert "210 of 210 connections come from 1 address (192.0.2.100)" in said


def test_rollback_brings_everything_back(at: Operator) -> None:
    at.apply(SITE + ROUTES)
    before = at.snapshot()
    rules = at.director.run(["ip", "rule"]).stdout
    at.write(NETWORKS + SERVICES)
    at.kernelbal("apply", "--confirm", "60s")
    assert "kernelbal" not in at.director.run(["nft", "list", "ruleset"]).stdout
    at.kernelbal("rollback")
    assert (at.snapshot(), at.director.run(["ip", "rule"]).stdout) == (before, rules)
    assert http_ask(host(at, "client"), GEO[4]).server == "rs1"


@pytest.mark.parametrize(
    ("client", "there", "words"),
    [
        ("192.0.2.100", "192.0.2.51", "=> translated: goes to inside machine 10.0.0.11"),
        ("192.0.2.100", "192.0.2.10:8022", "=> translated: goes to inside machine 10.0.0.12:80"),
        ("10.0.0.13", "192.0.2.51:80", "the inside machine sees an address of this director"),
        ("10.0.0.11", "198.51.100.9:80", "through gateway 192.0.2.100 with source 192.0.2.51"),
    ],
)
def test_explanation_of_the_live_kernel(still: Operator, client: str, there: str, words: str) -> None:
    explained = run_here(still.director, ["explain", client, there])
    assert words in explained.stdout


def advertise(router: Host) -> None:
    """Send one router advertisement (RFC 4861, 4.2) that makes `router` everybody's default router."""
    with router.inside():
        raw = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
        index = socket.if_nametoindex("eth0")
    with raw:
        raw.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
        lifetime_s = 1800
        raw.sendto(struct.pack("!BBHBBHII", 134, 0, 0, 64, 0, lifetime_s, 0, 0), ("ff02::1", 0, 0, index))


def default_routes(director: Host) -> str:
    return director.run(["ip", "-6", "route", "show", "default"]).stdout


def test_default_route_of_a_router_advertisement_stays(lab: LabFactory, tmp_path: Path) -> None:
    made = lab("two-arm")
    director = made.director
    director.sysctl("net.ipv6.conf.all.forwarding", 0)
    snapshot.settle(director)
    advertise(made.client)
    snapshot.settle(director)
    assert "proto ra" in default_routes(director)
    operator = Operator(made, tmp_path)
    operator.apply(SITE)
    assert "proto ra" in default_routes(director)
    assert director.sysctl("net.ipv6.conf.eth0.accept_ra") == "2"
    assert director.sysctl("net.ipv6.conf.eth1.accept_ra") == "1", "nobody advertised a route there"
    operator.kernelbal("release", "--cut")
    assert director.sysctl("net.ipv6.conf.eth0.accept_ra") == "1"
    assert "proto ra" in default_routes(director)
