"""What a probe's socket is given before it connects."""

import socket

import pytest

from kernelbal.model.address import parse_address
from kernelbal.model.site.check import TcpCheck
from kernelbal.runtime.checker import sockets
from kernelbal.runtime.checker.sockets import ProbeSetupError, prepare, socket_address
from tests.unit.runtime.checker.desk import probe


def test_addresses_of_both_families() -> None:
    assert socket_address(parse_address("192.0.2.1"), 80) == ("192.0.2.1", 80)
    assert socket_address(parse_address("2001:db8::1"), 80) == ("2001:db8::1", 80, 0, 0)


@pytest.mark.parametrize(
    ("devices", "scope"),
    [
        ([(1, "lo"), (7, "eth0")], 7),
        ([(1, "lo"), (7, "eth0"), (8, "eth1")], 0),
    ],
)
def test_a_link_local_address_is_on_the_one_device_there_is(
    devices: list[tuple[int, str]], scope: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "if_nameindex", lambda: devices)
    assert socket_address(parse_address("fe80::1"), 80) == ("fe80::1", 80, 0, scope)


def test_the_source_address_is_bound_without_taking_a_port() -> None:
    target = probe(TcpCheck(), 80, source=parse_address("127.0.0.9")).target
    with socket.socket() as sock:
        prepare(sock, target)
        assert sock.getsockname() == ("127.0.0.9", 0)


def test_a_mark_without_the_capability_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    class Refusing(socket.socket):
        def setsockopt(self, *_: object) -> None:
            raise PermissionError(1, "Operation not permitted")

    with Refusing() as sock, pytest.raises(ProbeSetupError) as caught:
        prepare(sock, probe(TcpCheck(), 80, mark=7).target)
    assert caught.value.notice.message == "probes with a firewall mark need CAP_NET_ADMIN"
    assert sockets.FLAGS & socket.SOCK_NONBLOCK
