"""Hearing of changes: overflow is noticed, everything else is one bit."""

import errno
import os
import socket
import struct

import pytest

from kernelbal.kernel import watch
from kernelbal.kernel.addresses import pack_address
from kernelbal.kernel.netlink import request
from kernelbal.kernel.rtnetlink import RTM_DELADDR, RTM_NEWADDR
from kernelbal.kernel.watch import (
    MESSAGES_PER_READ,
    KernelChange,
    KernelWatch,
    Subscription,
    refreshed_address,
)
from kernelbal.model.address import parse_address
from kernelbal.model.network import IFA_PROTO_KERNELBAL, IFA_PROTO_SPEAKER, AddressAttributes, AddressKey


class Heard:
    """A socket that delivers what a test says, and then nothing."""

    def __init__(self, *arrivals: bytes | OSError) -> None:
        self.arrivals = list(arrivals)
        self.closed = False

    def fileno(self) -> int:
        return 7

    def recv(self, bufsize: int, /) -> bytes:
        if not self.arrivals:
            raise BlockingIOError
        arrival = self.arrivals.pop(0)
        if isinstance(arrival, OSError):
            raise arrival
        return arrival

    def close(self) -> None:
        self.closed = True


LOST = OSError(errno.ENOBUFS, "No buffer space available")


@pytest.mark.parametrize(
    ("arrivals", "notice"),
    [
        ((), KernelChange.NOTHING),
        ((b"x", b"y"), KernelChange.CHANGED),
        ((LOST,), KernelChange.LOST),
        ((b"x", LOST, b"y"), KernelChange.LOST | KernelChange.CHANGED),
    ],
)
def test_what_arrived_is_summed_up(arrivals: tuple[bytes | OSError, ...], notice: KernelChange) -> None:
    heard = Heard(*arrivals)
    assert Subscription(heard).read() == notice
    assert heard.arrivals == []


def _route(kind: int, protocol: int) -> bytes:
    return struct.pack("=IHHII", 28, kind, 0, 0, 0) + bytes([2, 24, 0, 0, 254, protocol, 0, 1, 0, 0, 0, 0])


@pytest.mark.parametrize("kind", [24, 25])
def test_routes_of_others_are_no_news(kind: int) -> None:
    """A router that speaks BGP changes thousands of them."""
    assert Subscription(Heard(_route(kind, 186))).read() == KernelChange.NOTHING
    assert Subscription(Heard(_route(kind, 0x4B))).read() == KernelChange.CHANGED
    assert Subscription(Heard(_route(kind, 186), _route(16, 186))).read() == KernelChange.CHANGED


def test_a_flood_does_not_keep_others_waiting() -> None:
    heard = Heard(*[b"x"] * (MESSAGES_PER_READ + 5))
    assert Subscription(heard).read() == KernelChange.CHANGED
    assert len(heard.arrivals) == 5


def test_refused_subscription_leaves_no_other_open(monkeypatch: pytest.MonkeyPatch) -> None:
    first = Heard()

    def subscribe(protocol: int, _: object) -> Subscription:
        if protocol == watch.GROUPS[0][0]:
            return Subscription(first)
        raise PermissionError(errno.EPERM, "no")

    monkeypatch.setattr(watch, "_subscribe", subscribe)
    with pytest.raises(PermissionError):
        KernelWatch.open()
    assert first.closed


def test_another_error_is_an_error() -> None:
    with pytest.raises(OSError, match="bad"):
        Subscription(Heard(OSError(errno.EBADF, "bad"))).read()


def test_every_socket_is_closed() -> None:
    heard = [Heard(), Heard()]
    with KernelWatch(tuple(map(Subscription, heard))) as watch:
        assert [each.fileno() for each in watch.subscriptions] == [7, 7]
    assert all(each.closed for each in heard)


def test_the_running_kernel_lets_itself_be_listened_to() -> None:
    with KernelWatch.open() as watch:
        for subscription in watch.subscriptions:
            assert socket.socket(fileno=os.dup(subscription.fileno())).close() is None
            assert subscription.read() in (KernelChange.NOTHING, KernelChange.CHANGED)


@pytest.mark.parametrize(
    ("mark", "kind", "passed_over"),
    [
        (IFA_PROTO_SPEAKER, RTM_NEWADDR, True),
        (IFA_PROTO_SPEAKER, RTM_DELADDR, False),
        (IFA_PROTO_KERNELBAL, RTM_NEWADDR, False),
    ],
)
def test_refreshes_of_the_speaker_are_passed_over(mark: int, kind: int, passed_over: bool) -> None:
    key = AddressKey("eth0", parse_address("192.0.2.10"), 32)
    payload = pack_address(key, 2, AddressAttributes(), mark)
    assert refreshed_address(request(kind, payload, 1)) is passed_over
    assert not refreshed_address(request(kind, payload, 1)[:-4])
