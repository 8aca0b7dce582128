"""TCP connects on loopback."""

import socket
import struct

import pytest

from kernelbal.model.address import Address, parse_address
from kernelbal.model.event import Topic
from kernelbal.model.health import Health, ProbeState, Timing
from kernelbal.model.site.check import TcpCheck
from tests.unit.runtime.checker.desk import FAST, Desk, found, free_port, probe, serving

RESET = struct.pack("ii", 1, 0)


def test_a_port_that_answers_is_up_and_the_round_trip_is_the_kernels() -> None:
    state = found(TcpCheck(), lambda connection: None)
    assert state.health is Health.UP
    assert state.reason == ""
    assert state.response_s is not None
    assert 0 < state.response_s < 0.04, "shorter than a tick: measured by the kernel"


def test_a_port_that_refuses_is_down() -> None:
    with Desk() as desk:
        state = desk.result(probe(TcpCheck(), free_port()))
    assert (state.health, state.reason) == (Health.DOWN, "connection refused")


def test_ipv6() -> None:
    assert found(TcpCheck(), lambda connection: None, host="::1").health is Health.UP


def test_a_server_that_resets_what_it_accepted_has_accepted_it() -> None:
    def reset(connection: socket.socket) -> None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)

    assert found(TcpCheck(), reset).health is Health.UP


def test_who_does_not_answer_is_down_when_the_time_is_up() -> None:
    """A full backlog: the kernel drops further SYNs."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        address = listening.getsockname()
        with socket.create_connection(address), Desk() as desk:
            state = desk.result(probe(TcpCheck(), address[1], timing=Timing(0.5, 0.2, 1, 1)))
    assert (state.health, state.reason) == (Health.DOWN, "timeout after 0.2 s: no answer")


def test_who_answers_late_but_in_time_is_up() -> None:
    """The SYN that was dropped is repeated after a second; meanwhile there is room."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        address = listening.getsockname()
        with socket.create_connection(address), Desk() as desk:
            desk.send(probe(TcpCheck(), address[1], timing=Timing(5, 3)))
            desk.until(lambda: bool(desk.checker.drivers.connect.slow) or bool(desk.states))
            listening.accept()[0].close()
            desk.until(lambda: bool(desk.states))
            state = desk.states["probe"]
    assert state.health is Health.UP
    assert state.response_s is not None
    assert 0.5 < state.response_s < 2.5, "the time it took, not the round trip of the second SYN"


def test_a_source_address() -> None:
    seen: list[str] = []
    with serving(lambda connection: seen.append(connection.getpeername()[0])) as port, Desk() as desk:
        source = parse_address("127.0.0.77")
        assert desk.result(probe(TcpCheck(), port, source=source)).health is Health.UP
    assert set(seen) == {"127.0.0.77"}


def test_a_source_address_of_another_machine_is_reported_and_does_not_count() -> None:
    up = ProbeState(Health.UP, 1.0)
    with serving(lambda connection: None) as port, Desk() as desk:
        desk.send(
            probe(TcpCheck(), port, key="new", source=parse_address("198.51.100.7")),
            probe(TcpCheck(), port, key="old", source=parse_address("198.51.100.7")),
            states={"old": up},
        )
        desk.until(lambda: bool(desk.notices) and len(desk.states) == 2)
    (notice,) = desk.notices
    assert notice.topic is Topic.CHECKER_UNABLE
    assert notice.message == "source address 198.51.100.7 of a check is not configured on this machine"
    assert desk.states["old"] == up._replace(unable=notice.message)
    assert desk.states["new"] == ProbeState(unable=notice.message)


@pytest.mark.needs_root
def test_a_firewall_mark_is_set() -> None:
    with serving(lambda connection: None) as port, Desk() as desk:
        assert desk.result(probe(TcpCheck(), port, mark=77)).health is Health.UP


def test_no_connection_is_left() -> None:
    with serving(lambda connection: None) as port, Desk() as desk:
        for _ in range(2):
            desk.result(probe(TcpCheck(), port, timing=FAST))
        desk.send()
        desk.until(lambda: desk.reports[-1].probes == 0)
        assert desk.checker.drivers.connect.slow == {}


def test_an_unreachable_network() -> None:
    with Desk() as desk:
        state = desk.result(probe(TcpCheck(), 80, address=Address(bytes((255, 255, 255, 255)))))
    assert state.health is Health.DOWN
    assert "unreachable" in state.reason or "packet filter" in state.reason
