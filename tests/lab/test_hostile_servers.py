"""Hostile real servers, one for each protocol, beside a service whose real server dies, on a real kernel."""

import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from kernelbal.lab import process
from kernelbal.lab.factory import LabFactory
from kernelbal.lab.namespaces import Host
from tests.support.hostile_servers import FIRST_PORT, SERVERS, HostileServer
from tests.support.lab_commands import Operator
from tests.support.lab_daemon import PATIENCE_S, Daemon, Servers, eventually

pytestmark = [pytest.mark.needs_ipvs, pytest.mark.slow]

INTERVAL_S, FALL = 1, 2
OUT_WITHIN_S = FALL * INTERVAL_S + 1.0
TIMING = f"interval: {INTERVAL_S}s, timeout: 800ms"
SITE = f"""
virtual_services:
  - name: web
    address: 192.0.2.10
    ports: [80]
    forwarding: nat
    check: {{tcp: {{}}, {TIMING}, rise: 1, fall: {FALL}}}
    real_servers: [{{address: 10.0.0.11}}, {{address: 10.0.0.12}}]
"""
HOSTILE = """
  - name: hostile{port}
    address: 192.0.2.10
    ports: [{port}]
    forwarding: nat
    check: {{{check}, {timing}, fall: 1}}
    real_servers: [{{address: 10.0.0.11}}]
"""
DEAD, BOTH = {"10.0.0.11": 100, "10.0.0.12": 0}, {"10.0.0.11": 100, "10.0.0.12": 100}
PORTS = dict(enumerate(SERVERS, FIRST_PORT))


def virtual_service(port: int, server: HostileServer) -> str:
    """A virtual service with this real server."""
    text = HOSTILE.format(port=port, check=server.check, timing=TIMING)
    if server.agent:
        text += f"    adaptive: {{{server.agent.format(port=port)}, {TIMING}}}\n"
    return text


def accepts(host: Host, port: int) -> bool:
    with host.inside(), socket.socket() as asking:
        return asking.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def daemon(lab: LabFactory, tmp_path: Path) -> Iterator[Daemon]:
    """A daemon that is not started yet, and hostile servers that are."""
    made = lab("two-arm")
    first = made.real_servers[0]
    first.spawn([sys.executable, "-m", "tests.support.hostile_servers"])
    for port in (port for port, server in PORTS.items() if server.replies is None):
        eventually(lambda port=port: accepts(first, port), PATIENCE_S, lambda: "the servers do not listen")
    found = Daemon(Operator(made, tmp_path))
    found.at.write(SITE + "".join(virtual_service(port, server) for port, server in PORTS.items()))
    with ExitStack() as stack:
        stack.callback(lambda: [process.stop(each) for each in found.started])
        yield found


def test_no_real_server_keeps_another_from_being_checked(daemon: Daemon) -> None:
    servers = Servers()
    first, second = daemon.at.lab.real_servers[:2]
    servers.start(first)
    daemon.start()
    daemon.await_line(r"checker\.started")
    assert daemon.await_ipvs(DEAD) < OUT_WITHIN_S, "from a cold start"
    for _ in range(4):
        servers.start(second)
        daemon.await_ipvs(BOTH)
        servers.kill(second)
        assert daemon.await_ipvs(DEAD) < OUT_WITHIN_S
    assert "checker.lost" not in daemon.log()
    assert "checker.error" not in daemon.log(), "a hostile reply is a bad reply, and no error of a check"
    status = daemon.ask("GET", "/v1/status")
    checker = status["checker"]
    assert (checker["restarts"], checker["quarantined"], checker["unable"]) == (0, [], 0)
    for service in status["virtual_services"]:
        if hostile := PORTS.get(int(service["ports"])):
            (server,) = service["real_servers"]
            assert server["health"] == ("down" if hostile.reason else "up"), hostile
            assert hostile.reason in server["reason"]
