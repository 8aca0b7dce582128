"""Plan, apply, drain, confirm, roll back and release with the real commands on a real kernel."""

import re
import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from kernelbal.lab.factory import LabFactory
from kernelbal.lab.traffic import ask_connection, connect, held_connections, http_counts, udp_counts
from tests.support.lab_commands import Operator

pytestmark = pytest.mark.needs_ipvs

NAT = """
virtual_services:
  - name: web
    address: 192.0.2.10
    ports: [80]
    forwarding: nat
    scheduler: rr
    drain: 20s
    real_servers: [{address: 10.0.0.11}, {address: 10.0.0.12}]
"""
WITHOUT_SECOND = NAT.replace(", {address: 10.0.0.12}", "")
ALL = {"rs1": 2, "rs2": 2}


@pytest.fixture
def operator(lab: LabFactory, tmp_path: Path) -> Callable[[str], Operator]:
    def make(topology: str) -> Operator:
        made = lab(topology)
        lab.serve(made.real_servers, tcp_ports=(80, 443, 8005, 8006), udp_ports=(53,))
        return Operator(made, tmp_path)

    return make


def test_apply_makes_the_kernel_serve_and_a_second_apply_does_nothing(
    operator: Callable[[str], Operator],
) -> None:
    at = operator("two-arm")
    at.apply(NAT)
    assert http_counts(at.lab.client, "192.0.2.10", count=4) == ALL
    assert "no changes" in at.kernelbal("apply").stdout
    assert at.kernelbal("plan", "--detailed-exitcode").returncode == 0


def test_plan_changes_nothing_and_tells_by_its_exit_code(operator: Callable[[str], Operator]) -> None:
    at = operator("two-arm")
    before = at.snapshot()
    at.write(NAT)
    said = at.kernelbal("plan", "--detailed-exitcode", code=2).stdout
    assert "+ service `web` 192.0.2.10:80/tcp rr" in said
    assert at.snapshot() == before


def test_release_leaves_the_director_as_it_was(operator: Callable[[str], Operator]) -> None:
    at = operator("two-arm")
    at.director.run(["ipvsadm", "-A", "-t", "192.0.2.1:999", "-s", "rr"])
    at.director.run(["nft", "add", "table", "ip", "theirs"])
    before = at.snapshot()
    at.apply(NAT.replace("forwarding: nat", "forwarding: nat\n    one_armed: true"))
    assert at.snapshot() != before
    at.kernelbal("release")
    assert at.snapshot() == before


def test_foreign_objects_are_shown_and_never_touched(operator: Callable[[str], Operator]) -> None:
    at = operator("two-arm")
    at.director.run(["ipvsadm", "-A", "-t", "192.0.2.1:999", "-s", "rr"])
    at.director.run(["ipvsadm", "-a", "-t", "192.0.2.1:999", "-r", "10.0.0.13:999", "-m"])
    at.director.run(["nft", "add", "table", "ip", "theirs"])
    at.write(NAT)
    said = at.kernelbal("plan").stderr
    assert "foreign IPVS service 192.0.2.1:999/tcp" in said
    assert "ip theirs" in said
    at.kernelbal("apply")
    at.kernelbal("release")
    assert "192.0.2.1:999" in at.snapshot()["ipvs"]
    assert "10.0.0.13:999" in at.snapshot()["ipvs"]
    assert "theirs" in at.snapshot()["nftables"]


@pytest.mark.parametrize(
    ("by_hand", "repair"),
    [
        ("ipvsadm -D -t 192.0.2.10:80", "+ service `web` 192.0.2.10:80/tcp rr"),
        ("ipvsadm -e -t 192.0.2.10:80 -r 10.0.0.11:80 -m -w 7", "weight 7 -> 100"),
        ("ipvsadm -E -t 192.0.2.10:80 -s wlc", "scheduler wlc -> rr"),
        ("ip address del 192.0.2.10/32 dev eth0", "+ address 192.0.2.10/32 dev eth0"),
        ("nft delete table inet kernelbal", "+ nftables table inet kernelbal"),
        ("nft add rule inet kernelbal postrouting drop", "~ nftables table inet kernelbal"),
        ("sysctl -w net.ipv4.ip_forward=0", "sysctl net.ipv4.ip_forward 0 -> 1"),
        ("ipvsadm --set 10 10 10", "timeouts tcp 10s"),
    ],
)
def test_what_is_changed_by_hand_is_planned_and_repaired(
    operator: Callable[[str], Operator], by_hand: str, repair: str
) -> None:
    at = operator("two-arm")
    at.apply(NAT.replace("forwarding: nat", "forwarding: nat\n    one_armed: true"))
    at.director.run(["bash", "-c", by_hand])
    assert any(repair in change for change in at.changes())
    at.kernelbal("apply")
    assert at.changes() == []
    assert http_counts(at.lab.client, "192.0.2.10", count=4) == ALL


def test_a_removed_real_server_keeps_its_connections_until_they_end(
    operator: Callable[[str], Operator],
) -> None:
    at = operator("two-arm")
    at.apply(NAT)
    first, second = (connect(at.lab.client, "192.0.2.10", 80) for _ in range(2))
    with first, second:
        names = {ask_connection(each): each for each in (first, second)}
        assert names.keys() == {"rs1", "rs2"}
        at.write(WITHOUT_SECOND)
        assert "1 connection has 20 s to end" in at.kernelbal("plan").stdout
        at.kernelbal("apply", "--no-wait")
        assert at.changes() == [], "while it drains there is nothing to do"
        assert ask_connection(names["rs2"]) == "rs2"
        assert http_counts(at.lab.client, "192.0.2.10", count=4) == {"rs1": 4}
    time.sleep(1)
    at.kernelbal("apply")
    assert "10.0.0.12" not in at.snapshot()["ipvs"]


def test_a_drain_ends_at_its_deadline(operator: Callable[[str], Operator]) -> None:
    at = operator("two-arm")
    at.apply(NAT)
    with held_connections(at.lab.client, "192.0.2.10", count=2):
        at.write(WITHOUT_SECOND)
        started_at = time.monotonic()
        said = at.kernelbal("apply")
        assert 19 <= time.monotonic() - started_at < 40
    assert "draining 10.0.0.12:80 of `web`: 1 connection," in said.stderr
    assert "10.0.0.12" not in at.snapshot()["ipvs"]


@pytest.mark.parametrize("scheduler", ["rr", "sh", "mh"])
def test_nobody_is_refused_while_a_real_server_drains(
    operator: Callable[[str], Operator], scheduler: str
) -> None:
    """A hash over ports spreads connections from one client; each must find a real server."""
    at = operator("two-arm")
    flags = "" if scheduler == "rr" else f"\n    scheduler_flags: [{scheduler}-port]"
    at.apply(NAT.replace("scheduler: rr", f"scheduler: {scheduler}{flags}"))
    with held_connections(at.lab.client, "192.0.2.10", count=20):
        at.write(WITHOUT_SECOND.replace("scheduler: rr", f"scheduler: {scheduler}{flags}"))
        at.kernelbal("apply", "--no-wait")
        assert http_counts(at.lab.client, "192.0.2.10", count=300) == {"rs1": 300}
    time.sleep(2)
    at.kernelbal("apply")
    assert "fallback" not in at.snapshot()["ipvs"]
    assert http_counts(at.lab.client, "192.0.2.10", count=300) == {"rs1": 300}


def test_cut_removes_at_once_and_the_plan_says_what_that_costs(operator: Callable[[str], Operator]) -> None:
    at = operator("two-arm")
    at.apply(NAT)
    with held_connections(at.lab.client, "192.0.2.10", count=2):
        at.write(WITHOUT_SECOND)
        assert "1 active connection would be cut" in at.kernelbal("plan", "--cut").stdout
        at.kernelbal("apply", "--cut")
        assert "10.0.0.12" not in at.snapshot()["ipvs"]


def test_an_unconfirmed_apply_is_rolled_back(operator: Callable[[str], Operator]) -> None:
    at = operator("two-arm")
    at.apply(NAT)
    before = at.snapshot()
    at.write(NAT.replace("rr", "wlc").replace("192.0.2.10", "192.0.2.11"))
    at.kernelbal("apply", "--confirm", "5s", "--cut")
    assert at.snapshot() != before
    said = at.kernelbal("apply", code=1).stderr
    assert "still awaits confirmation" in said
    deadline_at = time.monotonic() + 60
    while at.snapshot() != before and time.monotonic() < deadline_at:
        time.sleep(1)
    assert at.snapshot() == before


def test_a_confirmed_apply_stays(operator: Callable[[str], Operator]) -> None:
    at = operator("two-arm")
    at.apply(NAT)
    at.write(NAT.replace("scheduler: rr", "scheduler: wlc"))
    at.kernelbal("apply", "--confirm", "5s")
    at.kernelbal("confirm")
    after = at.snapshot()
    time.sleep(10)
    assert at.snapshot() == after
    assert at.changes() == []
    assert "nothing awaits confirmation" in at.kernelbal("confirm", code=1).stderr


def test_nat_whose_replies_would_bypass_the_director_is_refused(operator: Callable[[str], Operator]) -> None:
    at = operator("one-arm")
    site = NAT.replace("192.0.2.10", "10.0.0.80")
    before = at.snapshot()
    at.write(site)
    said = at.kernelbal("apply", code=1).stderr
    assert "replies go straight to the clients" in said
    assert "one_armed: true" in said
    assert at.snapshot() == before
    assert "warning" in at.kernelbal("apply", "--force").stderr
    at.apply(site.replace("forwarding: nat", "forwarding: nat\n    one_armed: true"))
    assert http_counts(at.lab.client, "10.0.0.80", count=4) == ALL


def test_without_the_capability_the_error_names_it(operator: Callable[[str], Operator]) -> None:
    at = operator("two-arm")
    at.write(NAT)
    state = str(at.folder / "state")
    where = [str(at.folder / "site.yaml"), "--node", str(at.folder / "node.yaml"), "--state-dir", state]
    python = "exec .venv/bin/python -m kernelbal plan " + " ".join(where)
    done = at.director.run(["setpriv", "--bounding-set=-net_admin", "bash", "-c", python], check=False)
    assert done.returncode == 77
    assert "CAP_NET_ADMIN" in done.stderr


def test_a_refused_action_does_not_stop_the_others(operator: Callable[[str], Operator]) -> None:
    at = operator("two-arm")
    at.write(NAT)
    at.director.run(
        ["mount", "--bind", "/proc/sys/kernel/ostype", "/proc/sys/net/ipv4/vs/expire_nodest_conn"]
    )
    try:
        said = at.kernelbal("apply", code=1).stderr
        assert "expire_nodest_conn" in said
        assert "not converged" in said
        assert http_counts(at.lab.client, "192.0.2.10", count=4) == ALL
    finally:
        at.director.run(["umount", "/proc/sys/net/ipv4/vs/expire_nodest_conn"])
    at.kernelbal("apply")
    assert at.changes() == []


PORTS = """
virtual_services:
  - name: both
    address: 192.0.2.10
    ports: {ports}
    port_following: {following}
    forwarding: nat
    scheduler: rr
    {persistence}
    real_servers: [{{address: 10.0.0.11}}, {{address: 10.0.0.12}}]
"""


def test_port_following_keeps_a_client_on_one_real_server_for_all_ports(
    operator: Callable[[str], Operator],
) -> None:
    at = operator("two-arm")
    persistence = "persistence: {source_ip: {timeout: 5m}}"
    at.apply(PORTS.format(ports="[80, 443]", following="true", persistence=persistence))
    seen = [http_counts(at.lab.client, "192.0.2.10", port, count=3) for port in (80, 443)]
    assert seen[0] == seen[1]
    assert sum(seen[0].values()) == 3
    assert len(seen[0]) == 1


@pytest.mark.parametrize("ports", ['["8000-8010"]', "all"])
def test_ranges_and_all_ports(operator: Callable[[str], Operator], ports: str) -> None:
    at = operator("two-arm")
    at.apply(PORTS.format(ports=ports, following="false", persistence=""))
    assert http_counts(at.lab.client, "192.0.2.10", 8005, count=4) == ALL
    assert http_counts(at.lab.client, "192.0.2.10", 8006, count=4) == ALL


def test_a_service_moves_between_address_and_mark_without_refusing_anyone(
    operator: Callable[[str], Operator],
) -> None:
    at = operator("two-arm")
    by_address = PORTS.format(ports="[80, 443]", following="false", persistence="")
    by_mark = PORTS.format(ports="[80, 443]", following="true", persistence="")
    at.apply(by_address)
    for site in (by_mark, by_address):
        with connect(at.lab.client, "192.0.2.10", 80) as connection:
            name = ask_connection(connection)
            at.write(site)
            at.kernelbal("apply", "--no-wait")
            assert http_counts(at.lab.client, "192.0.2.10", count=4) == ALL
            assert ask_connection(connection) == name
        time.sleep(1)
        at.kernelbal("apply")
    assert not re.search("FWM|-f ", at.snapshot()["ipvs"])


def test_an_idle_one_armed_connection_lives_as_long_as_the_site_says(
    operator: Callable[[str], Operator],
) -> None:
    """Connection tracking knows which port stands for which of two clients that use the same one."""
    at = operator("two-arm")
    one_armed = WITHOUT_SECOND.replace("forwarding: nat", "forwarding: nat\n    one_armed: true")
    at.apply("kernel: {timeouts: {tcp: 2h}}" + one_armed)
    at.lab.client.run(["ip", "address", "add", "192.0.2.101/24", "dev", "eth0"])
    with at.lab.client.inside():
        first, second = socket.socket(), socket.socket()
    with first, second:
        for connection, source in ((first, "192.0.2.100"), (second, "192.0.2.101")):
            connection.bind((source, 5000))
            connection.settimeout(10)
            connection.connect(("192.0.2.10", 80))
            assert ask_connection(connection) == "rs1"
        time.sleep(5400)
        assert [ask_connection(each) for each in (second, first)] == ["rs1", "rs1"]


def test_udp_and_one_packet_scheduling(operator: Callable[[str], Operator]) -> None:
    at = operator("two-arm")
    udp = NAT.replace("ports: [80]", "protocol: udp\n    ports: [53]")
    at.apply(udp)
    assert udp_counts(at.lab.client, "192.0.2.10", 53, count=4) == ALL


def test_the_sorry_server_answers_while_every_real_server_is_quiesced(
    operator: Callable[[str], Operator],
) -> None:
    at = operator("two-arm")
    sorry = NAT + "    sorry_server: {address: 10.0.0.13}\n"
    at.apply(sorry)
    assert http_counts(at.lab.client, "192.0.2.10", count=4) == ALL
    at.apply(sorry.replace("10.0.0.11", "10.0.0.11, weight: 0").replace("10.0.0.12", "10.0.0.12, weight: 0"))
    assert http_counts(at.lab.client, "192.0.2.10", count=4) == {"rs3": 4}
    at.apply(sorry)
    assert http_counts(at.lab.client, "192.0.2.10", count=4) == ALL


def test_a_service_of_others_is_theirs_again_after_a_roll_back(operator: Callable[[str], Operator]) -> None:
    at = operator("two-arm")
    at.director.run(["ipvsadm", "-A", "-t", "192.0.2.10:80", "-s", "wlc"])
    at.director.run(["ipvsadm", "-a", "-t", "192.0.2.10:80", "-r", "10.0.0.13:80", "-m"])
    before = at.snapshot()["ipvs"]
    at.write(NAT)
    at.kernelbal("apply", "--confirm", "60s", "--cut")
    at.kernelbal("rollback")
    assert at.snapshot()["ipvs"] == before
    at.apply("virtual_services: []\n")
    assert at.snapshot()["ipvs"] == before
