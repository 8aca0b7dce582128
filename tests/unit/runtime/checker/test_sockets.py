"""What a probe's socket is given before it connects, seen in the socket itself."""

import errno
import socket
from collections.abc import Iterator
from contextlib import closing

import pytest

from kernelbal.errors import KernelError
from kernelbal.model.address import Address, parse_address
from kernelbal.model.health import Target
from kernelbal.runtime.checker import sockets
from kernelbal.runtime.checker.sockets import Obstacle, prepare, socket_address

LOOPBACK, VIRTUAL = parse_address("127.0.0.1"), parse_address("127.0.0.5")
ELSEWHERE = parse_address("192.0.2.1")
NOWHERE = parse_address("255.255.255.255")


@pytest.fixture(params=[socket.SOCK_STREAM, socket.SOCK_DGRAM], ids=["stream", "datagram"])
def made(request: pytest.FixtureRequest) -> Iterator[socket.socket]:
    with closing(socket.socket(socket.AF_INET, request.param)) as made:
        yield made


def target(address: Address = VIRTUAL, server: Address = LOOPBACK, **more: object) -> Target:
    return Target(address, 9, "", server)._replace(**more)


def test_an_ordinary_probe_gets_nothing(made: socket.socket) -> None:
    before = made.getsockopt(socket.IPPROTO_IP, socket.IP_TTL)
    prepare(made, target(LOOPBACK))
    assert made.getsockname() == ("0.0.0.0", 0)
    assert made.getsockopt(socket.IPPROTO_IP, socket.IP_TTL) == before


def test_a_probe_through_a_virtual_address_leaves_from_the_nodes_own(made: socket.socket) -> None:
    """The port is left to `connect`, which does not take one that another destination may use, too."""
    prepare(made, target(through=True, hops=2))
    assert made.getsockname() == ("127.0.0.1", 0)
    assert made.getsockopt(socket.IPPROTO_IP, socket.IP_TTL) == 2


def test_a_source_that_the_site_gives_comes_first(made: socket.socket) -> None:
    prepare(made, target(through=True, source=parse_address("127.0.0.3")))
    assert made.getsockname() == ("127.0.0.3", 0)


def test_streams_through_a_virtual_address_have_small_segments() -> None:
    with closing(socket.socket()) as plain, closing(socket.socket()) as small:
        prepare(plain, target(LOOPBACK))
        prepare(small, target(through=True))
        with closing(socket.create_server(("127.0.0.1", 0))) as server:
            for each in (plain, small):
                each.connect(server.getsockname())
        sizes = [each.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG) for each in (plain, small)]
    assert sizes[0] > 1200 >= sizes[1]


def test_hops_of_ipv6() -> None:
    with closing(socket.socket(socket.AF_INET6)) as made:
        prepare(made, target(parse_address("::1"), parse_address("::1"), hops=2))
        assert made.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS) == 2


def test_a_source_that_is_not_on_this_machine_is_an_obstacle(made: socket.socket) -> None:
    with pytest.raises(Obstacle, match=r"source address 192\.0\.2\.1 of a check is not on this machine"):
        prepare(made, target(source=ELSEWHERE))


def test_a_kernel_that_does_not_tell_its_addresses_is_an_obstacle(
    made: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(server: Address, virtual: Address) -> Address | None:
        raise KernelError("read", "addresses", errno.ENOBUFS, "addresses cannot be read", "try again")

    monkeypatch.setattr(sockets, "source_towards", refuse)
    with pytest.raises(Obstacle, match="addresses cannot be read"):
        prepare(made, target(through=True))


def test_without_a_route_to_the_real_server_the_network_is_unreachable(made: socket.socket) -> None:
    with pytest.raises(OSError, match="unreachable") as caught:
        prepare(made, target(server=NOWHERE, through=True))
    assert caught.value.errno == errno.ENETUNREACH


@pytest.mark.parametrize(
    ("address", "wanted"), [("192.0.2.1", ("192.0.2.1", 80)), ("2001:db8::1", ("2001:db8::1", 80, 0, 0))]
)
def test_socket_address(address: str, wanted: tuple[object, ...]) -> None:
    assert socket_address(parse_address(address), 80) == wanted
