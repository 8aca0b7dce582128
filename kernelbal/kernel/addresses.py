"""IP addresses of the host, marked as ours by IFA_PROTO (`linux/if_addr.h`)."""

from __future__ import annotations

import errno
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final

from kernelbal.errors import KernelError
from kernelbal.kernel.announce import announce
from kernelbal.kernel.driver import Driver, Sockets
from kernelbal.kernel.links import LinkDetail, read_link_details
from kernelbal.kernel.netlink import Refusal, attribute, attributes
from kernelbal.kernel.refusals import all_failed, refused
from kernelbal.kernel.rtnetlink import (
    IFA_MESSAGE,
    NLM_F_CREATE,
    NLM_F_EXCL,
    NLM_F_REPLACE,
    RTM_DELADDR,
    RTM_GETADDR,
    RTM_NEWADDR,
    U32,
    Request,
    RtNetlink,
)
from kernelbal.kernel.sysctl import read_sysctls
from kernelbal.model.address import AF_INET, Address, family_of
from kernelbal.model.network import (
    IFA_PROTO_KERNELBAL,
    AddressAttributes,
    AddressKey,
    Link,
    ObservedAddress,
)
from kernelbal.plan.action import Outcome, Result
from kernelbal.plan.kind import ObservedState, Scope
from kernelbal.plan.kinds.addresses import (
    ADDRESSES,
    ALL,
    PROMOTIONS,
    AddAddress,
    RemoveAddress,
    ReplaceAddress,
    holds_network,
    promotion,
)
from kernelbal.plan.kinds.links import LINKS

AddressAction = AddAddress | ReplaceAddress | RemoveAddress
Announcer = Callable[[Sequence[AddressKey], Mapping[str, LinkDetail]], Mapping[AddressKey, str]]

IFA_ADDRESS: Final = 1
IFA_LOCAL: Final = 2
IFA_CACHEINFO: Final = 6
IFA_FLAGS: Final = 8
IFA_PROTO: Final = 11
IFA_F_TEMPORARY: Final = 0x01
"""The same bit means `secondary` for IPv4."""
IFA_F_NODAD: Final = 0x02
IFA_F_DEPRECATED: Final = 0x20
IFA_F_NOPREFIXROUTE: Final = 0x200
FOREVER_S: Final = 0xFFFFFFFF

_CACHEINFO = struct.Struct("=IIII")
"""`struct ifa_cacheinfo`: preferred and valid lifetime in seconds, creation and update stamp."""


def observe_addresses(socket: RtNetlink, links: Iterable[Link]) -> tuple[ObservedAddress, ...]:
    """Return every address of every device.

    `ours` is False throughout on kernels before 5.18, which do not keep IFA_PROTO.

    Raises:
        KernelError: they cannot be read.
    """
    devices = {link.ifindex: link.name for link in links}
    dump = socket.dump(RTM_GETADDR, IFA_MESSAGE.pack(0, 0, 0, 0, 0), "addresses")
    return tuple(parse_address_message(data, devices) for data in dump)


def parse_address_message(data: bytes, devices: Mapping[int, str]) -> ObservedAddress:
    """Return the address in an RTM_NEWADDR message without netlink header."""
    _, prefix, flags, _, index = IFA_MESSAGE.unpack_from(data)
    address, ours, preferred_s = b"", False, FOREVER_S
    for kind, start, end in attributes(data, IFA_MESSAGE.size, len(data)):
        if kind == IFA_LOCAL or (kind == IFA_ADDRESS and not address):
            address = data[start:end]  # of a point-to-point address, the local end
        elif kind == IFA_FLAGS:
            (flags,) = U32.unpack_from(data, start)
        elif kind == IFA_CACHEINFO:
            preferred_s = _CACHEINFO.unpack_from(data, start)[0]
        elif kind == IFA_PROTO:
            ours = data[start] == IFA_PROTO_KERNELBAL
    attributes_ = AddressAttributes(
        no_dad=bool(flags & IFA_F_NODAD),
        deprecated=bool(flags & IFA_F_DEPRECATED) or preferred_s == 0,
        no_prefix_route=bool(flags & IFA_F_NOPREFIXROUTE),
        temporary=len(address) == 16 and bool(flags & IFA_F_TEMPORARY),
    )
    return ObservedAddress(AddressKey(devices.get(index, ""), Address(address), prefix), attributes_, ours)


def pack_address(
    key: AddressKey,
    ifindex: int,
    wanted: AddressAttributes,
    mark: int = IFA_PROTO_KERNELBAL,
    lifetime_s: int = FOREVER_S,
) -> bytes:
    """Return the payload of RTM_NEWADDR: every attribute is explicit, and there is no mark where it is 0.

    Args:
        key: where it is.
        ifindex: index of its device.
        wanted: how it is added.
        mark: its `IFA_PROTO`.
        lifetime_s: after which the kernel removes it, in seconds.
    """
    flags = (IFA_F_NODAD if wanted.no_dad else 0) | (IFA_F_NOPREFIXROUTE if wanted.no_prefix_route else 0)
    preferred_s = 0 if wanted.deprecated else lifetime_s
    return (
        _identity(key, ifindex)
        + attribute(IFA_FLAGS, U32.pack(flags))
        + attribute(IFA_CACHEINFO, _CACHEINFO.pack(preferred_s, lifetime_s, 0, 0))
        + (attribute(IFA_PROTO, bytes([mark])) if mark else b"")
    )


def _identity(key: AddressKey, ifindex: int) -> bytes:
    head = IFA_MESSAGE.pack(family_of(key.address), key.prefix, 0, 0, ifindex)
    return head + attribute(IFA_LOCAL, key.address) + attribute(IFA_ADDRESS, key.address)


def perform_addresses(
    socket: RtNetlink, actions: Sequence[AddressAction], announcer: Announcer = announce
) -> list[Outcome]:
    """Add, change and remove addresses, and announce the added ones; one that fails does not stop others.

    Returns:
        One outcome per action, in the same order.
    """
    try:
        devices = {detail.link.name: detail for detail in read_link_details(socket)}
    except KernelError as error:
        return all_failed(actions, error)
    refusals = _transmit(socket, actions, devices)
    outcomes = [
        Outcome(action, Result.DONE) if refusal is None else refused(action, *refusal)
        for action, refusal in zip(actions, refusals, strict=True)
    ]
    return _announced(_excuse_equal(socket, outcomes, devices), devices, announcer)


def _transmit(
    socket: RtNetlink, actions: Sequence[AddressAction], devices: Mapping[str, LinkDetail]
) -> list[Refusal | None]:
    requests: list[Request] = []
    owners: list[int] = []
    refusals: list[Refusal | None] = [None] * len(actions)
    for index, action in enumerate(actions):
        detail = devices.get(action.key.device)
        if detail is None:
            refusals[index] = Refusal(errno.ENODEV)
            continue
        for each in _requests(action, detail.link.ifindex):
            requests.append(each)
            owners.append(index)
    verdicts = socket.transmit(requests)
    for number, refusal in verdicts.refused.items():
        refusals[owners[number]] = refusal
    for number in verdicts.unknown:
        refusals[owners[number]] = refusals[owners[number]] or Refusal(errno.ENOBUFS)
    return refusals


def _requests(action: AddressAction, ifindex: int) -> Iterator[Request]:
    match action:
        case AddAddress(key, wanted, mark):
            yield Request(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, pack_address(key, ifindex, wanted, mark))
        case RemoveAddress(key):
            yield Request(RTM_DELADDR, 0, _identity(key, ifindex))
        case ReplaceAddress(key, old, wanted):
            if len(key.address) == 4 and old.no_prefix_route != wanted.no_prefix_route:
                # The kernel changes lifetimes of an IPv4 address in place, but ignores this flag.
                yield Request(RTM_DELADDR, 0, _identity(key, ifindex))
            yield Request(RTM_NEWADDR, NLM_F_REPLACE | NLM_F_CREATE, pack_address(key, ifindex, wanted))


def _excuse_equal(
    socket: RtNetlink, outcomes: list[Outcome], devices: Mapping[str, LinkDetail]
) -> list[Outcome]:
    """Settle by reading what was there already, and what the kernel's lost answers were about."""
    doubtful = {
        index for index, outcome in enumerate(outcomes) if outcome.errno in (errno.EEXIST, errno.ENOBUFS)
    }
    if not doubtful:
        return outcomes
    try:
        found = observe_addresses(socket, [detail.link for detail in devices.values()])
    except KernelError:
        return outcomes  # they stay failed, in the words that they have
    present = {address.key: address.attributes for address in found}
    return [
        _settled(outcome, present) if index in doubtful else outcome for index, outcome in enumerate(outcomes)
    ]


def _settled(outcome: Outcome, present: Mapping[AddressKey, AddressAttributes]) -> Outcome:
    action = outcome.action
    if isinstance(action, RemoveAddress):
        return outcome if action.key in present else Outcome(action, Result.DONE)
    if not isinstance(action, AddAddress | ReplaceAddress):
        return outcome
    have = present.get(action.key)
    if have is None or not _equal(action.key, have, action.attributes):
        return outcome
    return Outcome(action, Result.ALREADY if outcome.errno == errno.EEXIST else Result.DONE)


def _equal(key: AddressKey, have: AddressAttributes, wanted: AddressAttributes) -> bool:
    """The kernel keeps no DAD flag for IPv4."""
    if family_of(key.address) == AF_INET:
        have = have._replace(no_dad=wanted.no_dad)
    return have == wanted


def _announced(
    outcomes: list[Outcome], devices: Mapping[str, LinkDetail], announcer: Announcer
) -> list[Outcome]:
    """Announce what was added; IPv6 only without DAD, before which an address must not be used (RFC 4862)."""
    added = [
        outcome.action.key
        for outcome in outcomes
        if outcome.result is Result.DONE
        and isinstance(outcome.action, AddAddress)
        and (family_of(outcome.action.key.address) == AF_INET or outcome.action.attributes.no_dad)
    ]
    if not added:
        return outcomes
    silent = announcer(added, devices)
    return [_unannounced(outcome, silent) for outcome in outcomes] if silent else outcomes


def _unannounced(outcome: Outcome, silent: Mapping[AddressKey, str]) -> Outcome:
    if not isinstance(outcome.action, AddAddress) or outcome.action.key not in silent:
        return outcome
    reason = silent[outcome.action.key]
    return outcome._replace(
        result=Result.FAILED,
        message=f"the address is there, but was not announced: {reason}",
        hint="neighbours may go on sending to its former holder until their entries expire",
    )


def _observe(sockets: Sockets, scope: Scope, found: ObservedState) -> ObservedState:
    links = found.of(LINKS)
    addresses = observe_addresses(sockets.rtnetlink, links)
    paths = {promotion(address.key.device) for address in addresses if holds_network(address.key)}
    promoted = {path: value for path, value in read_sysctls(paths | {promotion(ALL)}).items() if value}
    return found.having(ADDRESSES, addresses).having(PROMOTIONS, promoted)


def _perform(sockets: Sockets, actions: Sequence[AddressAction]) -> list[Outcome]:
    return perform_addresses(sockets.rtnetlink, actions)


DRIVER: Final = Driver(_observe, _perform)
