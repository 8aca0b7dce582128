"""Notifications of changes in the network (rtnetlink(7), `linux/netfilter/nfnetlink.h`).

Links, addresses, routing rules, routes of ours, nftables. The state is read afterwards, in one piece; of the
messages themselves only the owner of a route is examined: a router that speaks BGP changes thousands of
them. IPVS sends no notifications; its table has to be polled.
"""

from __future__ import annotations

import contextlib
import errno
import socket
import struct
from enum import IntFlag
from types import TracebackType
from typing import Final, Protocol, Self

from kernelbal.kernel.netlink import NETLINK_ROUTE, SO_RCVBUFFORCE, SOL_NETLINK, DumpInterrupted, attributes
from kernelbal.kernel.rtnetlink import RTM_NEWADDR
from kernelbal.model.network import IFA_PROTO_SPEAKER
from kernelbal.model.policy_route import PROTOCOL_KERNELBAL

NETLINK_NETFILTER: Final = 12
NETLINK_ADD_MEMBERSHIP: Final = 1
RTNLGRP_LINK: Final = 1
RTNLGRP_IPV4_IFADDR: Final = 5
RTNLGRP_IPV4_ROUTE: Final = 7
RTNLGRP_IPV4_RULE: Final = 8
RTNLGRP_IPV6_IFADDR: Final = 9
RTNLGRP_IPV6_ROUTE: Final = 11
RTNLGRP_IPV6_RULE: Final = 19
NFNLGRP_NFTABLES: Final = 7

GROUPS: Final = (
    (
        NETLINK_ROUTE,
        (
            RTNLGRP_LINK,
            RTNLGRP_IPV4_IFADDR,
            RTNLGRP_IPV6_IFADDR,
            RTNLGRP_IPV4_RULE,
            RTNLGRP_IPV6_RULE,
            RTNLGRP_IPV4_ROUTE,
            RTNLGRP_IPV6_ROUTE,
        ),
    ),
    (NETLINK_NETFILTER, (NFNLGRP_NFTABLES,)),
)
IFA_PROTO: Final = 11
RECEIVE_BUFFER_BYTES: Final = 1024 * 1024
ROUTE_MESSAGES: Final = (24, 25)
"""`RTM_NEWROUTE` and `RTM_DELROUTE`."""
_TYPE: Final = struct.Struct("=4xH")
_PROTOCOL_AT: Final = 21
"""Where a message about a route has its protocol: behind the header, the sixth byte of `struct rtmsg`."""
_ADDRESS_AT: Final = 16 + 8
"""Where the attributes of a message about an address begin: behind the header and `struct ifaddrmsg`."""
_RECEIVE_BYTES: Final = 8192
"""A longer message is cut off; its end is not needed."""
MESSAGES_PER_READ: Final = 1000
"""Most messages per call, so that the caller gets other work done."""


class KernelChange(IntFlag):
    """What was seen."""

    NOTHING = 0
    CHANGED = 1
    LOST = 2
    """The receive buffer overflowed: anything may have changed."""


class Receiver(Protocol):
    """What is needed of a socket."""

    def fileno(self) -> int:
        """Return its descriptor."""

    def recv(self, bufsize: int, /) -> bytes:
        """Receive one datagram."""

    def close(self) -> None:
        """Close it."""


class Subscription:
    """One socket that is notified of changes."""

    def __init__(self, sock: Receiver) -> None:
        self._sock = sock

    def fileno(self) -> int:
        """Return the descriptor to wait on."""
        return self._sock.fileno()

    def close(self) -> None:
        """Close the socket."""
        self._sock.close()

    def read(self) -> KernelChange:
        """Take what has arrived, without a wait.

        Raises:
            OSError: the socket failed.
        """
        seen = KernelChange.NOTHING
        for _ in range(MESSAGES_PER_READ):
            try:
                message = self._sock.recv(_RECEIVE_BYTES)
            except BlockingIOError:
                break
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                seen |= KernelChange.LOST
            else:
                passed_over = foreign_route(message) or refreshed_address(message)
                seen |= KernelChange.NOTHING if passed_over else KernelChange.CHANGED
        return seen


def foreign_route(message: bytes) -> bool:
    """Return whether a message is about a route that is not ours."""
    if len(message) <= _PROTOCOL_AT or _TYPE.unpack_from(message)[0] not in ROUTE_MESSAGES:
        return False
    return message[_PROTOCOL_AT] != PROTOCOL_KERNELBAL


def refreshed_address(message: bytes) -> bool:
    """Return whether a message is about an address that the speaker added or refreshed, as it does often."""
    if len(message) < _ADDRESS_AT or _TYPE.unpack_from(message)[0] != RTM_NEWADDR:
        return False
    try:
        found = attributes(message, _ADDRESS_AT, len(message))
        return any(kind == IFA_PROTO and message[start] == IFA_PROTO_SPEAKER for kind, start, _ in found)
    except DumpInterrupted:
        return False


class KernelWatch:
    """Subscriptions to all changes that matter, in the network namespace of the thread that opened them."""

    def __init__(self, subscriptions: tuple[Subscription, ...]) -> None:
        self.subscriptions = subscriptions

    @classmethod
    def open(cls) -> Self:
        """Subscribe; a kernel without nftables sends nothing about it.

        Raises:
            OSError: the kernel has no rtnetlink, or refuses a socket.
        """
        with contextlib.ExitStack() as stack:
            made = []
            for protocol, groups in GROUPS:
                subscription = _subscribe(protocol, groups)
                if subscription is not None:
                    stack.callback(subscription.close)
                    made.append(subscription)
            stack.pop_all()
            return cls(tuple(made))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close every socket."""
        for subscription in self.subscriptions:
            subscription.close()


def subscribe_links_and_addresses() -> Subscription:
    """Subscribe to changes of devices and addresses in this network namespace.

    Raises:
        OSError: the kernel refuses the socket.
    """
    made = _subscribe(NETLINK_ROUTE, (RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR))
    if made is None:
        raise OSError(errno.EPROTONOSUPPORT, "no rtnetlink")
    return made


def _subscribe(protocol: int, groups: tuple[int, ...]) -> Subscription | None:
    try:
        sock = socket.socket(
            socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK, protocol
        )
    except OSError as error:
        if error.errno == errno.EPROTONOSUPPORT and protocol != NETLINK_ROUTE:
            return None
        raise
    try:
        sock.bind((0, 0))
        with contextlib.suppress(PermissionError):  # the default buffer does; an overflow is noticed
            sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_BUFFER_BYTES)
        for group in groups:
            sock.setsockopt(SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, group)
    except OSError:
        sock.close()
        raise
    return Subscription(sock)
