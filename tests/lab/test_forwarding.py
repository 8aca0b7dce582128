"""Every forwarding method, encapsulation and family, from a site file, with real connections."""

import contextlib
import socket
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from kernelbal.lab.factory import LabFactory
from kernelbal.lab.namespaces import Host
from kernelbal.lab.traffic import http_counts, udp_counts
from tests.support import realserver_by_hand
from tests.support.lab_commands import Operator

pytestmark = pytest.mark.needs_ipvs

REAL = {4: ("10.0.0.11", "10.0.0.12", "10.0.0.13"), 6: ("fd00::11", "fd00::12", "fd00::13")}
VIRTUAL = {4: "10.0.0.80", 6: "fd00::80"}
DIRECTOR = {4: "10.0.0.1", 6: "fd00::1"}
GUE_PORT = 5555
SCTP_PORT = 36412
EVERYONE = {"rs1": 2, "rs2": 2, "rs3": 2}

SITE = """
virtual_services:
  - name: web
    address: "{virtual}"
    protocol: {protocol}
    ports: [{port}]
    forwarding: {forwarding}
    scheduler: rr
    {extra}
    real_servers: [{servers}]
"""


class Method(NamedTuple):
    """One way to forward: what the site file says, and what a real server needs for it."""

    name: str
    forwarding: str
    extra: str
    virtual: int
    real: int
    prepare: Callable[[Host, str], None]


def nothing(host: Host, virtual: str) -> None:
    """The real server is left as it is."""


def direct(host: Host, virtual: str) -> None:
    """Virtual address on the loopback, in silence."""
    realserver_by_hand.accept_direct(host, [virtual])


def behind(device: str, *commands: str) -> Callable[[Host, str], None]:
    """A tunnel device that is brought up after `commands`, and the virtual address."""

    def prepare(host: Host, virtual: str) -> None:
        for command in commands:
            own = {4: host.address(4), 6: host.address(6)}
            host.run(command.format(own4=own[4], own6=own[6]).split())
        host.run(["ip", "link", "set", device, "up"])
        realserver_by_hand.loosen_reverse_path(host, device)
        direct(host, virtual)

    return prepare


GUE_LISTENER = f"ip fou add port {GUE_PORT} gue"
FOUR_IN_SIX = "ip link add t6 type ip6tnl mode any local {own6} remote fd00::1"
METHODS = (
    Method("one-armed", "nat", "one_armed: true", 4, 4, nothing),
    Method("one-armed-6", "nat", "one_armed: true", 6, 6, nothing),
    Method("dsr", "dsr", "", 4, 4, direct),
    Method("dsr-6", "dsr", "", 6, 6, direct),
    Method("ipip", "tunnel", "tunnel: {type: ipip}", 4, 4, behind("tunl0")),
    Method("ipip-6", "tunnel", "tunnel: {type: ipip}", 6, 6, behind("ip6tnl0")),
    Method("4-in-6", "tunnel", "tunnel: {type: ipip}", 4, 6, behind("t6", FOUR_IN_SIX)),
    Method("6-in-4", "tunnel", "tunnel: {type: ipip}", 6, 4, behind("sit0")),
    Method("gre", "tunnel", "tunnel: {type: gre}", 4, 4, behind("gre0")),
    Method("gre-6", "tunnel", "tunnel: {type: gre}", 6, 6, behind("ip6gre0")),
    Method("gue", "tunnel", f"tunnel: {{type: gue, port: {GUE_PORT}}}", 4, 4, behind("tunl0", GUE_LISTENER)),
    Method(
        "gue-checksum",
        "tunnel",
        f"tunnel: {{type: gue, port: {GUE_PORT}, checksum: full}}",
        4,
        4,
        behind("tunl0", GUE_LISTENER),
    ),
)


def site(method: Method, protocol: str, port: int) -> str:
    servers = ", ".join(f'{{address: "{address}"}}' for address in REAL[method.real])
    return SITE.format(
        virtual=VIRTUAL[method.virtual],
        protocol=protocol,
        port=port,
        forwarding=method.forwarding,
        extra=method.extra,
        servers=servers,
    )


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_every_real_server_answers(lab: LabFactory, tmp_path: Path, method: Method) -> None:
    made = lab("one-arm")
    lab.serve(made.real_servers)
    virtual = VIRTUAL[method.virtual]
    for host in made.real_servers:
        method.prepare(host, virtual)
    at = Operator(made, tmp_path)
    at.apply(site(method, "tcp", 80))
    assert http_counts(made.client, virtual, count=6) == EVERYONE
    at.apply(site(method, "udp", 53), "--cut")
    assert udp_counts(made.client, virtual, 53, count=6) == EVERYONE


@pytest.mark.parametrize("version", [4, 6])
def test_a_real_server_without_the_virtual_address_does_not_answer(
    lab: LabFactory, tmp_path: Path, version: int
) -> None:
    made = lab("one-arm")
    lab.serve(made.real_servers)
    for host in made.real_servers[:2]:
        direct(host, VIRTUAL[version])
    at = Operator(made, tmp_path)
    at.apply(site(Method("dsr", "dsr", "", version, version, direct), "tcp", 80))
    answers = http_counts(made.client, VIRTUAL[version], count=6, timeout_s=2)
    assert answers == {"rs1": 2, "rs2": 2, "timeout": 2}


def test_sctp_is_balanced(lab: LabFactory, tmp_path: Path) -> None:
    made = lab("two-arm")
    at = Operator(made, tmp_path)
    servers = ", ".join(f"{{address: {address}}}" for address in REAL[4])
    with contextlib.ExitStack() as stack:
        for host in made.real_servers:
            listener = stack.enter_context(sctp_socket(host))
            listener.bind((host.address(4), SCTP_PORT))
            listener.listen()
            threading.Thread(target=answer_twice, args=(listener, host.name), daemon=True).start()
        at.apply(
            SITE.format(
                virtual="192.0.2.10",
                protocol="sctp",
                port=SCTP_PORT,
                forwarding="nat",
                extra="",
                servers=servers,
            )
        )
        answers = Counter(ask_sctp(made.client, "192.0.2.10") for _ in range(6))
    assert answers == EVERYONE


def sctp_socket(host: Host) -> socket.socket:
    with host.inside():
        made = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_SCTP)
    made.settimeout(10)
    return made


def answer_twice(listener: socket.socket, name: str) -> None:
    for _ in range(EVERYONE[name]):
        connection, _ = listener.accept()
        with connection:
            connection.sendall(name.encode())


def ask_sctp(host: Host, address: str) -> str:
    with sctp_socket(host) as connection:
        connection.connect((address, SCTP_PORT))
        return connection.recv(100).decode()
