"""Echo requests on loopback, which the kernel answers."""

import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kernelbal.health.checks.icmp import echo_request
from kernelbal.lab import process
from kernelbal.model.address import AF_INET, parse_address
from kernelbal.model.event import Topic
from kernelbal.model.headers import internet_checksum
from kernelbal.model.health import Health, Timing
from kernelbal.model.site.check import IcmpCheck
from kernelbal.runtime.checker import echo
from kernelbal.runtime.checker.sockets import FLAGS
from tests.unit.runtime.checker.desk import Desk, probe

pytestmark = pytest.mark.needs_root


@pytest.mark.parametrize("text", ["127.0.0.1", "127.9.9.9", "::1"])
def test_this_machine_answers(text: str) -> None:
    with Desk() as desk:
        state = desk.result(probe(IcmpCheck(), address=parse_address(text)))
    assert state.health is Health.UP
    assert state.response_s is not None
    assert 0 < state.response_s < 0.3


@pytest.mark.parametrize(("text", "source"), [("127.0.0.1", "127.0.0.5"), ("::1", "::1")])
def test_a_source_address(text: str, source: str) -> None:
    with Desk() as desk:
        expected = probe(IcmpCheck(), address=parse_address(text), source=parse_address(source))
        assert desk.result(expected).health is Health.UP


def test_many_targets_share_one_socket() -> None:
    addresses = [parse_address(f"127.0.3.{number}") for number in range(1, 101)]
    with Desk() as desk:
        desk.send(*(probe(IcmpCheck(), key=str(each), address=each) for each in addresses))
        desk.until(lambda: len(desk.states) == 100)
        assert len(desk.checker.drivers.echo.sockets) == 1
    assert {state.health for state in desk.states.values()} == {Health.UP}


@pytest.fixture
def deaf() -> Iterator[None]:
    """This machine answers no echo requests; it is a namespace of the tests' own."""
    switch = Path("/proc/sys/net/ipv4/icmp_echo_ignore_all")
    switch.write_text("1")
    yield
    switch.write_text("0")


@pytest.mark.usefixtures("deaf")
def test_nobody_answers() -> None:
    with Desk() as desk:
        state = desk.result(probe(IcmpCheck(), timing=Timing(0.5, 0.2, 1, 1)))
    assert (state.health, state.reason) == (Health.DOWN, "timeout after 0.2 s, waiting for echo reply")


@pytest.mark.usefixtures("deaf")
@pytest.mark.parametrize("genuine", [True, False])
def test_a_reply_counts_with_the_bytes_of_its_request_only(genuine: bool) -> None:
    """Whoever makes replies up does not know the random bytes of the request."""
    with Desk() as desk:
        desk.send(probe(IcmpCheck(), timing=Timing(5.0, 0.3, 1, 1)))
        echoes = desk.checker.drivers.echo
        wait_for(lambda: bool(echoes.sockets) and bool(next(iter(echoes.sockets.values())).waiting))
        (port,) = echoes.sockets.values()
        (run,) = port.waiting.values()
        request = echo_request(AF_INET, port.identifier, run.sequence, run.token if genuine else b"?" * 16)
        reply = b"\0" + request[1:2] + bytes(2) + request[4:]
        with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as forger:
            forger.sendto(reply[:2] + internet_checksum(reply).to_bytes(2) + reply[4:], ("127.0.0.1", 0))
        desk.until(lambda: bool(desk.states))
    assert desk.states["probe"].health is (Health.UP if genuine else Health.DOWN)


@pytest.mark.usefixtures("deaf")
@pytest.mark.parametrize("quoted", [0, 7, 8, 16])
def test_an_error_counts_with_bytes_of_its_request_only(quoted: int) -> None:
    """A real server knows the sequence numbers of requests to others, but not their random bytes."""
    with Desk() as desk:
        desk.send(probe(IcmpCheck(), timing=Timing(5.0, 0.3, 1, 1)))
        echoes = desk.checker.drivers.echo
        wait_for(lambda: bool(echoes.sockets) and bool(next(iter(echoes.sockets.values())).waiting))
        (port,) = echoes.sockets.values()
        (run,) = port.waiting.values()
        request = echo_request(AF_INET, port.identifier, run.sequence, run.token)
        header = b"\x45" + bytes(8) + b"\x01" + bytes(10)
        error = b"\x03\x01" + bytes(6) + header + request[: 8 + quoted]
        with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as forger:
            forger.sendto(error[:2] + internet_checksum(error).to_bytes(2) + error[4:], ("127.0.0.1", 0))
        desk.until(lambda: bool(desk.states))
    assert desk.states["probe"].reason.startswith("destination unreachable" if quoted >= 8 else "timeout")


def test_an_icmp_error_is_the_reason() -> None:
    """A route that prohibits it: the kernel tells so at once."""
    process.run(["ip", "route", "add", "unreachable", "203.0.113.9/32"])
    with Desk() as desk:
        state = desk.result(probe(IcmpCheck(), address=parse_address("203.0.113.9")))
    assert state.health is Health.DOWN
    assert state.reason.startswith("no route to host")


def wait_for(holds: Callable[[], bool]) -> None:
    """Wait until another thread has come so far."""
    give_up_at = time.monotonic() + 5
    while not holds():
        assert time.monotonic() < give_up_at
        time.sleep(0.005)


def test_ping_sockets_where_raw_ones_are_not_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("/proc/sys/net/ipv4/ping_group_range").write_text("0 2147483647")
    refuse(monkeypatch, socket.SOCK_RAW)
    with Desk() as desk:
        assert desk.result(probe(IcmpCheck())).health is Health.UP
        assert not next(iter(desk.checker.drivers.echo.sockets.values())).raw


def test_without_permission_the_notice_names_the_capability(monkeypatch: pytest.MonkeyPatch) -> None:
    refuse(monkeypatch, socket.SOCK_RAW, socket.SOCK_DGRAM)
    with Desk() as desk:
        desk.send(probe(IcmpCheck()))
        desk.until(lambda: bool(desk.notices))
    (notice,) = desk.notices
    assert (notice.topic, notice.message) == (Topic.CHECKER_UNABLE, "echo requests need CAP_NET_RAW")
    assert "ping_group_range" in notice.hint


def refuse(monkeypatch: pytest.MonkeyPatch, *kinds: int) -> None:
    """Refuse sockets of these kinds as a kernel without the capability does."""
    real = socket.SocketType

    def make(family: int, kind: int, protocol: int) -> socket.SocketType:
        if kind & ~FLAGS in kinds and protocol in (socket.IPPROTO_ICMP, socket.IPPROTO_ICMPV6):
            raise PermissionError(1, "Operation not permitted")
        return real(family, kind, protocol)

    monkeypatch.setattr(echo, "new_socket", make)
