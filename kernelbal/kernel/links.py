"""Network devices: what there is, and the tunnel devices that a site needs (`linux/if_link.h`)."""

from __future__ import annotations

import errno
from collections.abc import Sequence
from typing import Final, NamedTuple

from kernelbal.kernel.driver import Driver, Sockets
from kernelbal.kernel.modules import load_module
from kernelbal.kernel.netlink import Refusal, attribute, attributes, nested
from kernelbal.kernel.refusals import refused
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
from kernelbal.model.network import Link, LinkState
from kernelbal.plan.action import Outcome, Result
from kernelbal.plan.kind import ObservedState, Scope
from kernelbal.plan.kinds.links import FALLBACK_DEVICES, LINKS, EnsureLink, RemoveLink

IFF_UP: Final = 0x1
IFF_LOOPBACK: Final = 0x8
IFF_RUNNING: Final = 0x40
"""Up, and the link as well."""
IFF_NOARP: Final = 0x80
ARPHRD_ETHER: Final = 1

IFLA_ADDRESS: Final = 1
IFLA_IFNAME: Final = 3
IFLA_MTU: Final = 4
IFLA_LINKINFO: Final = 18
IFLA_INFO_KIND: Final = 1
IFLA_INFO_DATA: Final = 2
IFLA_IPTUN_LOCAL: Final = 2
IFLA_IPTUN_PROTO: Final = 9
_ANY_PROTOCOL: Final = 0
IFLA_EXT_MASK: Final = 29
RTEXT_FILTER_SKIP_STATS: Final = 1 << 3

_SMALLEST_HARDWARE_ADDRESS = 6
"""Shorter ones, and those of IPv6 tunnels, are IP addresses of tunnel ends."""


class LinkDetail(NamedTuple):
    """A device with what announcing needs.

    Attributes:
        flags: `IFF_*` bits.
        hardware_type: `ARPHRD_*`.
    """

    link: Link
    flags: int
    hardware_type: int

    @property
    def announces(self) -> bool:
        """Whether hosts behind this device learn hardware addresses from it."""
        wanted = self.hardware_type == ARPHRD_ETHER and bool(self.flags & IFF_UP)
        return wanted and not self.flags & (IFF_NOARP | IFF_LOOPBACK)


def observe_links(socket: RtNetlink) -> tuple[Link, ...]:
    """Return every device.

    Raises:
        KernelError: they cannot be read.
    """
    return tuple(detail.link for detail in read_link_details(socket))


def read_link_details(socket: RtNetlink) -> list[LinkDetail]:
    """Return every device, in the kernel's order.

    Raises:
        KernelError: they cannot be read.
    """
    mask = attribute(IFLA_EXT_MASK, U32.pack(RTEXT_FILTER_SKIP_STATS))
    payload = IFINFO_MESSAGE.pack(0, 0, 0, 0, 0) + mask
    return [parse_link(data) for data in socket.dump(RTM_GETLINK, payload, "network devices")]


def parse_link(data: bytes) -> LinkDetail:
    """Return the device in an RTM_NEWLINK message without netlink header."""
    _, hardware_type, index, flags, _ = IFINFO_MESSAGE.unpack_from(data)
    found = attribute_table(data, IFINFO_MESSAGE.size)
    (mtu_bytes,) = U32.unpack(found.get(IFLA_MTU, bytes(4)))
    address = found.get(IFLA_ADDRESS, b"")
    info = found.get(IFLA_LINKINFO, b"")
    kinds = [info[start:end] for kind, start, end in attributes(info, 0, len(info)) if kind == IFLA_INFO_KIND]
    link = Link(
        name=_text(found[IFLA_IFNAME]),
        ifindex=index,
        up=bool(flags & IFF_UP),
        kind=_text(kinds[0]) if kinds else "",
        mtu_bytes=mtu_bytes,
        hardware_address=address.hex(":") if len(address) == _SMALLEST_HARDWARE_ADDRESS else "",
    )
    return LinkDetail(link, flags, hardware_type)


def perform_links(socket: RtNetlink, actions: Sequence[EnsureLink | RemoveLink]) -> list[Outcome]:
    """Create, bring up and remove devices; one that fails does not stop the others."""
    return [
        _ensure(socket, action) if isinstance(action, EnsureLink) else _remove(socket, action)
        for action in actions
    ]


def _ensure(socket: RtNetlink, action: EnsureLink) -> Outcome:
    wanted = action.link
    link = _find(socket, wanted.name)
    created = link is None
    if link is None:
        refusal = _create(socket, wanted)
        if refusal is not None:
            return refused(action, *refusal)
        link = _find(socket, wanted.name)
    if isinstance(link, Refusal):
        return refused(action, *link)
    if link is None:
        return _absent(action)
    if wanted.kind and link.kind != wanted.kind:
        message = f"the device is there, but of kind `{link.kind or 'hardware'}`, not `{wanted.kind}`"
        return Outcome(action, Result.FAILED, errno.EEXIST, message, f"ip link delete {wanted.name}")
    if link.up and wanted.mtu_bytes in (0, link.mtu_bytes):
        return Outcome(action, Result.DONE if created else Result.ALREADY)
    refusal = _refusal(socket.ask(RTM_NEWLINK, _up_request(link.ifindex, wanted.mtu_bytes)))
    return refused(action, *refusal) if refusal is not None else Outcome(action, Result.DONE)


def _create(socket: RtNetlink, wanted: LinkState) -> Refusal | None:
    """Create a device, or let its module bring it; None also when there is no way to."""
    module = FALLBACK_DEVICES.get(wanted.name)
    if module is not None:
        load_module(module)
        return None
    if not wanted.kind:
        return None
    flags = NLM_F_CREATE | NLM_F_EXCL
    return _refusal(socket.ask(RTM_NEWLINK, create_request(wanted), flags))


def _absent(action: EnsureLink) -> Outcome:
    module = FALLBACK_DEVICES.get(action.link.name)
    outcome = refused(action, errno.ENODEV)
    return outcome if module is None else outcome._replace(hint=f"modprobe {module}")


def create_request(wanted: LinkState) -> bytes:
    """Return the payload that creates a device."""
    info = nested(IFLA_LINKINFO, attribute(IFLA_INFO_KIND, wanted.kind.encode()) + _info_data(wanted))
    mtu = attribute(IFLA_MTU, U32.pack(wanted.mtu_bytes)) if wanted.mtu_bytes else b""
    name = attribute(IFLA_IFNAME, wanted.name.encode() + b"\0")
    return IFINFO_MESSAGE.pack(0, 0, 0, IFF_UP, IFF_UP) + name + mtu + info


def _info_data(wanted: LinkState) -> bytes:
    """What an `ip6tnl` needs to take packets of both families for one address (`linux/if_tunnel.h`)."""
    if wanted.local is None:
        return b""
    return nested(
        IFLA_INFO_DATA,
        attribute(IFLA_IPTUN_LOCAL, wanted.local) + attribute(IFLA_IPTUN_PROTO, bytes([_ANY_PROTOCOL])),
    )


def _up_request(ifindex: int, mtu_bytes: int) -> bytes:
    mtu = attribute(IFLA_MTU, U32.pack(mtu_bytes)) if mtu_bytes else b""
    return IFINFO_MESSAGE.pack(0, 0, ifindex, IFF_UP, IFF_UP) + mtu


def _remove(socket: RtNetlink, action: RemoveLink) -> Outcome:
    """Remove a device; one that came with its module stays as long as that does, and is switched off."""
    link = _find(socket, action.name)
    if not isinstance(link, Link):
        return refused(action, *(link or Refusal(errno.ENODEV)))
    if action.name in FALLBACK_DEVICES:
        answer = socket.ask(RTM_NEWLINK, IFINFO_MESSAGE.pack(0, 0, link.ifindex, 0, IFF_UP))
    else:
        answer = socket.ask(RTM_DELLINK, IFINFO_MESSAGE.pack(0, 0, link.ifindex, 0, 0))
    refusal = _refusal(answer)
    return refused(action, *refusal) if refusal is not None else Outcome(action, Result.DONE)


def _find(socket: RtNetlink, name: str) -> Link | Refusal | None:
    """Return a device, None when there is none."""
    payload = IFINFO_MESSAGE.pack(0, 0, 0, 0, 0) + attribute(IFLA_IFNAME, name.encode() + b"\0")
    answer = socket.ask(RTM_GETLINK, payload)
    if isinstance(answer, Refusal):
        return None if answer.errno == errno.ENODEV else answer
    return parse_link(answer).link if answer else None


def _refusal(answer: bytes | Refusal) -> Refusal | None:
    return answer if isinstance(answer, Refusal) else None


def _text(value: bytes) -> str:
    return value.rstrip(b"\0").decode(errors="surrogateescape")


def _observe(sockets: Sockets, scope: Scope, found: ObservedState) -> ObservedState:
    return found.having(LINKS, observe_links(sockets.rtnetlink))


def _perform(sockets: Sockets, actions: Sequence[EnsureLink | RemoveLink]) -> list[Outcome]:
    return perform_links(sockets.rtnetlink, actions)


DRIVER: Final = Driver(_observe, _perform)
