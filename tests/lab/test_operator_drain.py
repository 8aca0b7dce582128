"""Drain and disable, for every forwarding method, with connections that are held open."""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from socket import socket

import pytest

from kernelbal.lab.factory import LabFactory
from kernelbal.lab.traffic import ask_connection, connect, http_counts
from kernelbal.model.overlay import Admin, ServerState
from tests.lab.test_forwarding import Method, behind, direct, nothing
from tests.support.lab_director import Director

pytestmark = pytest.mark.needs_ipvs

VIRTUAL = "10.0.0.80"
LEAVING = "10.0.0.12"
TIMEOUT_S = 30.0
METHODS = (
    Method("one-armed", "nat", "one_armed: true", 4, 4, nothing),
    Method("dsr", "dsr", "", 4, 4, direct),
    Method("ipip", "tunnel", "tunnel: {type: ipip}", 4, 4, behind("tunl0")),
)
SITE = """
virtual_services:
  - name: web
    address: 10.0.0.80
    ports: 80
    forwarding: {forwarding}
    scheduler: rr
    {extra}
    check: {{tcp: {{}}, through: real}}
    real_servers: [{{address: 10.0.0.11}}, {{address: 10.0.0.12}}]
"""


class Scene:
    """A director, its real servers, and one open connection to each of these."""

    def __init__(self, lab: LabFactory, method: Method, stack: ExitStack) -> None:
        self.lab = lab("one-arm")
        lab.serve(self.lab.real_servers)
        for host in self.lab.real_servers:
            method.prepare(host, VIRTUAL)
        self.director = Director(self.lab, SITE.format(forwarding=method.forwarding, extra=method.extra))
        opened = [stack.enter_context(connect(self.lab.client, VIRTUAL, 80)) for _ in range(2)]
        self.connections: dict[str, socket] = {ask_connection(each): each for each in opened}
        assert self.connections.keys() == {"rs1", "rs2"}

    def goes_on(self) -> bool:
        """Whether the connection to the leaving real server still works."""
        try:
            return ask_connection(self.connections["rs2"]) == "rs2"
        except OSError:
            return False

    def new_ones(self) -> dict[str, int]:
        """Who serves new connections."""
        return dict(http_counts(self.lab.client, VIRTUAL, count=4))


@pytest.fixture(params=METHODS, ids=lambda method: method.name)
def scene(lab: LabFactory, request: pytest.FixtureRequest) -> Iterator[Scene]:
    with ExitStack() as stack:
        yield Scene(lab, request.param, stack)


def test_a_drain_lets_connections_go_on_until_its_deadline_and_no_longer(scene: Scene) -> None:
    director = scene.director
    director.order(LEAVING, Admin.DRAIN, TIMEOUT_S)
    started_at = time.monotonic()
    assert director.weights()[LEAVING] == 0
    assert scene.new_ones() == {"rs1": 4}
    while time.monotonic() - started_at < TIMEOUT_S - 3:
        assert scene.goes_on()
        time.sleep(3)
        director.round()
    time.sleep(3)
    director.round()
    assert LEAVING not in director.weights()
    assert director.decision.servers.popitem()[1].state == ServerState.DRAINED
    assert not scene.goes_on()
    assert ask_connection(scene.connections["rs1"]) == "rs1"


def test_a_drain_ends_when_the_last_connection_does(scene: Scene) -> None:
    director = scene.director
    director.order(LEAVING, Admin.DRAIN, 600.0)
    time.sleep(2)
    director.round()
    assert LEAVING in director.weights()
    scene.connections["rs2"].close()
    time.sleep(2)
    director.round()
    assert LEAVING not in director.weights()


def test_a_second_order_moves_the_deadline(scene: Scene) -> None:
    director = scene.director
    director.order(LEAVING, Admin.DRAIN, 600.0)
    time.sleep(5)
    director.order(LEAVING, Admin.DRAIN, 10.0)
    assert scene.goes_on()
    time.sleep(11)
    director.round()
    assert not scene.goes_on()


def test_disabling_cuts_at_once(scene: Scene) -> None:
    scene.director.order(LEAVING, Admin.DISABLE)
    assert LEAVING not in scene.director.weights()
    assert not scene.goes_on()
    assert scene.new_ones() == {"rs1": 4}
    assert ask_connection(scene.connections["rs1"]) == "rs1"


def test_enabling_during_a_drain_keeps_the_connections(scene: Scene) -> None:
    director = scene.director
    director.order(LEAVING, Admin.DRAIN, 600.0)
    time.sleep(5)
    director.orders.clear()
    director.round()
    assert director.weights() == {"10.0.0.11": 100, LEAVING: 100}
    assert scene.goes_on()
    assert scene.new_ones() == {"rs1": 2, "rs2": 2}
