"""The rare commands, as pyroute2 is asked to send them."""

import errno
from typing import Any

import pytest
from pyroute2.netlink.exceptions import NetlinkError

from kernelbal.errors import KernelError, NotPermitted
from kernelbal.kernel.ipvs.control import IpvsControl, SyncDaemon, SyncRole
from kernelbal.kernel.ipvs.messages import CommandMessage, IpvsSocket
from kernelbal.model.address import AF_INET, AF_INET6, Address, parse_address
from kernelbal.model.ipvs import ServiceKey

Attributes = list[tuple[str, Any]]


class FakeIpvsSocket(IpvsSocket):
    """Keeps what is sent; each request gets the same answers."""

    def __init__(self, answers: list[CommandMessage] | None = None, refusal: int = 0) -> None:
        self.answers = answers or []
        self.refusal = refusal
        self.sent: list[tuple[int, Attributes, int]] = []
        self.closed = False

    def request(self, command: int, attributes: Attributes, flags: int) -> list[CommandMessage]:
        if self.refusal:
            raise NetlinkError(self.refusal)
        self.sent.append((command, attributes, flags))
        return self.answers

    def close(self, code: int = 0) -> None:
        self.closed = True


def sent_attributes(sock: FakeIpvsSocket) -> Attributes:
    ((_, ((_, nested),), _),) = sock.sent
    found: Attributes = nested["attrs"]
    return found


def test_all_counters_are_zeroed() -> None:
    sock = FakeIpvsSocket()
    IpvsControl(sock).zero()
    assert sock.sent == [(16, [], 5)]


@pytest.mark.parametrize(
    ("key", "attributes"),
    [
        (
            ServiceKey(AF_INET6, 17, parse_address("2001:db8::10"), 53),
            [
                ("IPVS_SVC_ATTR_AF", 10),
                ("IPVS_SVC_ATTR_PROTOCOL", 17),
                ("IPVS_SVC_ATTR_ADDR", "2001:db8::10"),
                ("IPVS_SVC_ATTR_PORT", 53),
            ],
        ),
        (
            ServiceKey(AF_INET, 0, Address(b""), 0, 7),
            [("IPVS_SVC_ATTR_AF", 2), ("IPVS_SVC_ATTR_FWMARK", 7)],
        ),
    ],
)
def test_counters_of_one_service_are_zeroed(key: ServiceKey, attributes: Attributes) -> None:
    sock = FakeIpvsSocket()
    IpvsControl(sock).zero(key)
    assert sent_attributes(sock) == attributes


def test_kernel_chooses_what_a_daemon_leaves_open() -> None:
    sock = FakeIpvsSocket()
    IpvsControl(sock).start_daemon(SyncDaemon(SyncRole.BACKUP, "eth1", 7))
    assert sent_attributes(sock) == [
        ("IPVS_DAEMON_ATTR_STATE", 2),
        ("IPVS_DAEMON_ATTR_MCAST_IFN", "eth1"),
        ("IPVS_DAEMON_ATTR_SYNC_ID", 7),
    ]


@pytest.mark.parametrize(("group", "name"), [("224.0.0.82", "GROUP"), ("ff02::82", "GROUP6")])
def test_daemon_with_everything_set(group: str, name: str) -> None:
    sock = FakeIpvsSocket()
    daemon = SyncDaemon(SyncRole.MASTER, "eth1", 7, 1400, parse_address(group), 8850, 3)
    IpvsControl(sock).stop_daemon(daemon)
    assert sock.sent[0][0] == 10
    assert sent_attributes(sock)[3:] == [
        (f"IPVS_DAEMON_ATTR_MCAST_{name}", group),
        ("IPVS_DAEMON_ATTR_SYNC_MAXLEN", 1400),
        ("IPVS_DAEMON_ATTR_MCAST_PORT", 8850),
        ("IPVS_DAEMON_ATTR_MCAST_TTL", 3),
    ]


def test_refusal_says_what_was_tried_on_what() -> None:
    control = IpvsControl(FakeIpvsSocket(refusal=errno.ENODEV))
    with pytest.raises(KernelError, match="master on eth9: the sync interface does not exist"):
        control.start_daemon(SyncDaemon(SyncRole.MASTER, "eth9", 7))


def test_missing_capability() -> None:
    with pytest.raises(NotPermitted, match="CAP_NET_ADMIN"):
        IpvsControl(FakeIpvsSocket(refusal=errno.EPERM)).read_daemons()


def test_socket_is_closed_with_its_context() -> None:
    sock = FakeIpvsSocket()
    with IpvsControl(sock):
        assert not sock.closed
    assert sock.closed
