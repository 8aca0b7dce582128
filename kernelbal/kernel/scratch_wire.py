"""A scratch network namespace that is joined to a device as if it were on its wire.

A veth pair leads there. What is sent from the namespace arrives at the device by traffic control, with its
interface, filters and routes; of what the host sends, only what the caller names leaves into the namespace
instead of onto the wire. The pair ends with the namespace, so a killed process leaves filters that match
no packets any more, and the next run removes them.
"""

from __future__ import annotations

import errno
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Final, NamedTuple

from kernelbal.errors import KernelError
from kernelbal.kernel import netns, sysctl
from kernelbal.kernel.links import (
    IFF_UP,
    IFLA_ADDRESS,
    IFLA_IFNAME,
    IFLA_INFO_DATA,
    IFLA_INFO_KIND,
    IFLA_LINKINFO,
)
from kernelbal.kernel.netlink import Refusal, attribute, nested
from kernelbal.kernel.refusals import error
from kernelbal.kernel.rtnetlink import (
    IFINFO_MESSAGE,
    NLM_F_CREATE,
    NLM_F_EXCL,
    RTM_DELLINK,
    RTM_GETLINK,
    RTM_NEWLINK,
    U32,
    RtNetlink,
    attribute_table,
)
from kernelbal.kernel.traffic_control import (
    FlowerKeys,
    add_filter,
    ensure_clsact,
    insert,
    leftovers,
    redirect,
    remove_filters,
)
from kernelbal.model.network import Link

NEAR_DEVICE: Final = "kbverify"
"""The end of the pair on this host; there is one at a time."""
FAR_DEVICE: Final = "kbprobe"
_LOCK: Final = "\0kernelbal-realserver-verify"
"""An abstract socket: it belongs to the network namespace, and ends with the process."""
IFLA_OPERSTATE: Final = 16
IFLA_NET_NS_FD: Final = 28
VETH_INFO_PEER: Final = 1
_IF_OPER_UP: Final = 6
_UP_WITHIN_S: Final = 2.0
_UP_POLL_S: Final = 0.01
_ETH_P_ALL: Final = 0x0003
_OUTGOING: Final = 4
_FRAME_BYTES: Final = 65536


class VethAddresses(NamedTuple):
    """MAC addresses of the pair: on this host, and in the namespace."""

    here: bytes
    there: bytes


class ScratchWire:
    """The end of the wire in the namespace."""

    def __init__(self, raw: socket.socket) -> None:
        self._raw = raw

    def send(self, frame: bytes) -> None:
        """Let a frame arrive at the device.

        Raises:
            OSError: the frame does not fit.
        """
        self._raw.send(frame)

    def listen(self, duration_s: float) -> Iterator[bytes]:
        """Yield received frames until the time is over."""
        until = time.monotonic() + duration_s
        while (left_s := until - time.monotonic()) > 0:
            self._raw.settimeout(left_s)
            try:
                data, (_, _, kind, _, _) = self._raw.recvfrom(_FRAME_BYTES)
            except TimeoutError:
                return
            if kind != _OUTGOING:
                yield data


@contextmanager
def exclusive() -> Iterator[None]:
    """Hold the lock of probes in this network namespace.

    Raises:
        KernelError: another process holds it.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as lock:
        try:
            lock.bind(_LOCK)
        except OSError as fault:
            raise KernelError(
                "probe", "", fault.errno or errno.EIO, "another verification is running", "wait until it ends"
            ) from fault
        yield


@contextmanager
def scratch_wire(
    rtnetlink: RtNetlink,
    entrance: Link,
    exits: Sequence[Link],
    captured: Sequence[FlowerKeys],
    ends: VethAddresses,
) -> Iterator[ScratchWire]:
    """Yield the far end of a wire to a device; call it inside `exclusive`.

    Frames for the device go to the MAC address of the near end: the kernel has decided by then whether a
    frame is for this host. The device's own one is not given to two, since some network managers configure
    devices by it.

    Args:
        rtnetlink: of the namespace of the calling thread.
        entrance: an Ethernet device that is up.
        exits: devices by which answers can leave.
        captured: what of the packets that leave goes into the namespace.
        ends: MAC addresses of the pair.

    Raises:
        KernelError: the kernel lacks a feature, or refuses it.
    """
    with ExitStack() as stack:
        try:
            namespace = stack.enter_context(netns.scratch_namespace())
        except OSError as fault:
            raise error("make a network namespace", "", fault.errno or errno.EIO) from fault
        here = _join(rtnetlink, namespace, ends)
        stack.callback(rtnetlink.ask, RTM_DELLINK, IFINFO_MESSAGE.pack(0, 0, here, 0, 0))
        raw = stack.enter_context(_far_end(namespace))
        _await_up(rtnetlink, here)
        for device in (entrance, *(each for each in exits if each != entrance)):
            clsact = ensure_clsact(rtnetlink, device.ifindex, device.name)
            stack.callback(remove_filters, rtnetlink, clsact)
            for keys in captured:
                payload = redirect(device.ifindex, here, keys, added=clsact.added)
                add_filter(rtnetlink, payload, device.name)
        ensure_clsact(rtnetlink, here, NEAR_DEVICE)
        add_filter(rtnetlink, insert(here, entrance.ifindex), NEAR_DEVICE)
        yield ScratchWire(raw)


def remove_leftovers(rtnetlink: RtNetlink, links: Sequence[Link]) -> tuple[str, ...]:
    """Remove the filters of a killed run, and return their devices; call it inside `exclusive`.

    Raises:
        KernelError: filters cannot be read.
    """
    names = {link.ifindex: link.name for link in links}
    found = leftovers(rtnetlink, names)
    for clsact in found:
        remove_filters(rtnetlink, clsact)
    return tuple(names[clsact.ifindex] for clsact in found)


def _join(rtnetlink: RtNetlink, namespace: int, ends: VethAddresses) -> int:
    """Make the pair and return the index of its end here."""
    netns.inside(namespace, lambda: _switch_off_ipv6("default"))
    peer = (
        IFINFO_MESSAGE.pack(0, 0, 0, 0, 0)
        + attribute(IFLA_IFNAME, FAR_DEVICE.encode() + b"\0")
        + attribute(IFLA_ADDRESS, ends.there)
        + attribute(IFLA_NET_NS_FD, U32.pack(namespace))
    )
    data = nested(IFLA_INFO_DATA, nested(VETH_INFO_PEER, peer))
    payload = (
        IFINFO_MESSAGE.pack(0, 0, 0, 0, 0)
        + attribute(IFLA_IFNAME, NEAR_DEVICE.encode() + b"\0")
        + attribute(IFLA_ADDRESS, ends.here)
        + nested(IFLA_LINKINFO, attribute(IFLA_INFO_KIND, b"veth") + data)
    )
    answer = rtnetlink.ask(RTM_NEWLINK, payload, NLM_F_CREATE | NLM_F_EXCL)
    if isinstance(answer, Refusal):
        raise error("make a veth pair", "", answer.errno, answer.text)
    here = socket.if_nametoindex(NEAR_DEVICE)
    _switch_off_ipv6(NEAR_DEVICE)
    _bring_up(rtnetlink, here)
    return here


def _far_end(namespace: int) -> socket.socket:
    def open_there() -> socket.socket:
        with RtNetlink.open() as rtnetlink:
            there = socket.if_nametoindex(FAR_DEVICE)
            _bring_up(rtnetlink, there)
            _await_up(rtnetlink, there)
        raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0)
        raw.bind((FAR_DEVICE, _ETH_P_ALL))
        return raw

    try:
        return netns.inside(namespace, open_there)
    except OSError as fault:
        raise error("open a packet socket", FAR_DEVICE, fault.errno or errno.EIO) from fault


def _switch_off_ipv6(device: str) -> None:
    """Keep the kernel from sending router solicitations and the like into the pair."""
    path = f"net/ipv6/conf/{device}/disable_ipv6"
    if sysctl.read_sysctl(path) is not None:
        sysctl.write_sysctl(path, "1")


def _bring_up(rtnetlink: RtNetlink, ifindex: int) -> None:
    rtnetlink.ask(RTM_NEWLINK, IFINFO_MESSAGE.pack(0, 0, ifindex, IFF_UP, IFF_UP))


def _await_up(rtnetlink: RtNetlink, ifindex: int) -> None:
    """Before the kernel has noticed both ends it drops what they send."""
    until = time.monotonic() + _UP_WITHIN_S
    while time.monotonic() < until:
        answer = rtnetlink.ask(RTM_GETLINK, IFINFO_MESSAGE.pack(0, 0, ifindex, 0, 0))
        if not isinstance(answer, Refusal):
            found = attribute_table(answer, IFINFO_MESSAGE.size)
            if found.get(IFLA_OPERSTATE) == bytes((_IF_OPER_UP,)):
                return
        time.sleep(_UP_POLL_S)
