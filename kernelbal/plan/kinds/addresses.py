"""IP addresses on devices: ours bear a mark in the kernel (`IFA_PROTO`), or are in the record."""

from __future__ import annotations

import errno
from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from typing import ClassVar, Final, NamedTuple

from kernelbal.model.address import AF_INET, AF_INET6, family_of, host_prefix
from kernelbal.model.network import (
    IFA_PROTO_KERNELBAL,
    AddressAttributes,
    AddressKey,
    ObservedAddress,
)
from kernelbal.plan.action import AGAIN, GONE, Action, ActionRow, Effect, Names, ObjectId, Phase, Rows, failed
from kernelbal.plan.kind import KernelReading, KeySetKind, Note, ObservedState, Planning
from kernelbal.plan.kinds.links import LINKS
from kernelbal.plan.kinds.services import SERVICES
from kernelbal.plan.kinds.sysctls import RESTORED, SYSCTLS, WriteSysctl

UNMARKED: Final = 0
ALL: Final = "all"
"""Stands for every device in the path of a sysctl."""
NO_PROMOTIONS: Mapping[str, str] = {}
PROMOTIONS: Final = KernelReading("promotions", NO_PROMOTIONS)
"""`promote_secondaries` by path, of every device with an IPv4 network and of all devices.

Where both are 0, the kernel removes every IPv4 address of a network together with its first one
(`__inet_del_ifa`).
"""
_KEEPS_OTHERS: Final = "Other addresses of a network stay when one of it is removed."


class AddAddress(NamedTuple):
    """Add an address to a device and announce it.

    Attributes:
        mark: its `IFA_PROTO`; 0 where a record alone tells whose it is.
    """

    key: AddressKey
    attributes: AddressAttributes
    mark: int = IFA_PROTO_KERNELBAL

    def text(self, names: Names) -> str:
        """Name it with its flags."""
        return f"address {self.key}{_flags(self.attributes)}"


class ReplaceAddress(NamedTuple):
    """Change the flags of an address in place."""

    key: AddressKey
    old: AddressAttributes
    attributes: AddressAttributes

    def text(self, names: Names) -> str:
        """Name it with its flags."""
        return f"address {self.key}{_flags(self.attributes)}"


class RemoveAddress(NamedTuple):
    """Remove an address of ours."""

    key: AddressKey

    def text(self, names: Names) -> str:
        """Name it."""
        return f"address {self.key}"


def _flags(attributes: AddressAttributes) -> str:
    names = (
        (attributes.no_dad, "nodad"),
        (attributes.deprecated, "preferred_lft 0"),
        (attributes.no_prefix_route, "noprefixroute"),
    )
    return "".join(f" {name}" for is_set, name in names if is_set)


_NO_DEVICE = failed("there is no such device", "name an existing device in node.yaml: `ip link` lists them")

Desired = Mapping[AddressKey, AddressAttributes]


class Addresses(KeySetKind[Desired, tuple[ObservedAddress, ...], AddressKey]):
    """Addresses of the host.

    Args:
        mark: the `IFA_PROTO` of those that are added.
        leave_last: those that are no longer desired leave when all others have come, and not first: what
            takes the place of one is there before it goes.
    """

    title = "address"
    notes_foreign = True
    rows: ClassVar[Rows] = {
        AddAddress: ActionRow(
            Effect.ADD,
            Phase.ADD_ADDRESSES,
            "add address",
            {
                errno.EACCES: failed(
                    "the device takes no IPv6 address",
                    "IPv6 is switched off: set net.ipv6.conf.all.disable_ipv6 and the device's to 0",
                ),
                errno.EEXIST: failed(
                    "the device holds this address already, with other attributes",
                    "remove it with `ip address del`, or leave it out of the site file",
                ),
                errno.ENODEV: _NO_DEVICE,
                errno.EAFNOSUPPORT: failed("the kernel has no such address family", "use a kernel with IPv6"),
                errno.EINVAL: failed(
                    "the kernel refuses this address",
                    "it must be a unicast address, and the device's MTU at least 1280",
                ),
                errno.EADDRNOTAVAIL: failed(
                    "the kernel refuses this address", "it must be a unicast address"
                ),
            },
        ),
        ReplaceAddress: ActionRow(
            Effect.CHANGE,
            Phase.ADD_ADDRESSES,
            "change address",
            {
                errno.ENODEV: _NO_DEVICE,
                errno.ENOENT: failed("the address vanished meanwhile", AGAIN),
            },
        ),
        RemoveAddress: ActionRow(
            Effect.REMOVE,
            Phase.REMOVE_ADDRESSES,
            "remove address",
            {errno.EADDRNOTAVAIL: GONE, errno.ENODEV: GONE},
        ),
    }

    def __init__(self, mark: int = IFA_PROTO_KERNELBAL, *, leave_last: bool = False) -> None:
        super().__init__("addresses", {}, (), dict[AddressKey, AddressAttributes], AddressKey)
        self._mark = mark
        self._leave_last = leave_last

    def diff(self, planning: Planning) -> None:
        """Add, change and remove; what someone else configured serves, and stays theirs."""
        desired, observed, owned = planning.parts(self)
        present = {address.key: address for address in observed}
        ours = {key for key, have in present.items() if self._is_ours(have, owned)}
        added: list[AddressKey] = []
        held_by_others = self._note_others(planning, [key for key in present if key not in ours])
        for key, attributes in desired.items():
            have = present.get(key)
            if have is None:
                if (key.device, key.address) not in held_by_others:
                    added.append(key)
            elif key in ours and have.attributes._replace(no_dad=attributes.no_dad) != attributes:
                planning.put(self, ReplaceAddress(key, have.attributes, attributes))
        leaving = [key for key in present if key in ours and key not in desired]
        self._remove(planning, leaving, added)
        adding = [AddAddress(key, desired[key], self._mark) for key in added]
        planning.put_all(self, adding, Phase.ADD_ADDRESSES)
        self._keep_others(planning)

    def _is_ours(self, have: ObservedAddress, owned: Collection[AddressKey]) -> bool:
        return have.key in owned or (have.ours and self._mark != UNMARKED)

    def _note_others(self, planning: Planning, theirs: Sequence[AddressKey]) -> set[tuple[str, bytes]]:
        desired = planning.desired.of(self)
        here = {(key.device, key.address) for key in desired}
        borrowed = [key for key in theirs if (key.device, key.address) in here]
        planning.note(Note.BORROWED, self, *borrowed)
        planning.note(Note.FOREIGN, self, *(key for key in theirs if key not in desired))
        return {(key.device, key.address) for key in theirs}

    def _remove(self, planning: Planning, leaving: Sequence[AddressKey], added: Sequence[AddressKey]) -> None:
        """An address that changes its device or prefix comes to its new place before it leaves the old one.

        Only IPv6 refuses an address that the device has with another prefix (`ipv6_chk_same_addr`).
        """
        moving = {key.address for key in added}
        places = {(key.device, key.address) for key in added if family_of(key.address) == AF_INET6}
        for key in leaving:
            if (key.device, key.address) in places:
                planning.put(self, RemoveAddress(key), Phase.ADD_ADDRESSES)
            elif key.address in moving or self._leave_last:
                planning.put(self, RemoveAddress(key), Phase.LEAVE_ADDRESSES)
            elif not _serves_drain(key, planning):
                planning.put(self, RemoveAddress(key))

    def _keep_others(self, planning: Planning) -> None:
        """Have the kernel promote secondary addresses for as long as addresses leave, and no longer."""
        values = planning.observed.of(PROMOTIONS)
        if values.get(promotion(ALL)) != "0":
            return
        desired = {sysctl.path: sysctl.value for sysctl in planning.desired.of(SYSCTLS)}
        for path in sorted({_needed_promotion(action) for action in planning.put_so_far(self)}):
            if values.get(path) == "0":
                planning.put(SYSCTLS, WriteSysctl(path, "0", "1", _KEEPS_OTHERS), Phase.KEEP_ADDRESSES)
                after = WriteSysctl(path, "1", desired.get(path, "0"), RESTORED)
                planning.put(SYSCTLS, after, Phase.RELEASE_SYSCTLS)

    def needs(self, action: Action) -> tuple[ObjectId, ...]:
        """An address needs its device; one that leaves must not take others with it."""
        if isinstance(action, AddAddress):
            return (ObjectId(LINKS.name, action.key.device),)
        path = _needed_promotion(action)
        return (ObjectId(SYSCTLS.name, path),) if path else ()

    def holds_back(self, failures: Collection[Action], action: Action) -> str:
        """An address that cannot come to its new place stays at the old one."""
        if not isinstance(action, RemoveAddress):
            return ""
        lost = (each for each in failures if isinstance(each, AddAddress))
        missed = any(each.key.address == action.key.address for each in lost)
        return "the address could not be added at its new place" if missed else ""

    def claim(
        self, owned: frozenset[AddressKey], actions: Sequence[Action], planning: Planning
    ) -> frozenset[AddressKey]:
        """Claim what is added, and what bears our mark: a record that was lost is complete again."""
        claimed = super().claim(owned, actions, planning)
        desired, observed, _ = planning.parts(self)
        return claimed | {have.key for have in observed if have.ours and self._mark and have.key in desired}

    def keys(self, observed: tuple[ObservedAddress, ...]) -> frozenset[AddressKey]:
        """Return the addresses with their devices."""
        return frozenset(address.key for address in observed)

    def value(self, observed: tuple[ObservedAddress, ...], key: Hashable) -> object:
        """Return the attributes of an address; None where there is none."""
        return next((address.attributes for address in observed if address.key == key), None)

    def kept(self, observed: ObservedState, owned: frozenset[AddressKey]) -> Desired:
        """Return the addresses that are ours."""
        return {have.key: have.attributes for have in observed.of(self) if self._is_ours(have, owned)}

    def impact(self, action: Action, observed: ObservedState) -> str:
        """Without its address, a service has no clients."""
        return "clients can no longer reach this address" if isinstance(action, RemoveAddress) else ""


def promotion(device: str) -> str:
    """Return the path of the sysctl by which secondary addresses of a device take the place of the first."""
    return f"net/ipv4/conf/{device}/promote_secondaries"


def holds_network(key: AddressKey) -> bool:
    """Return whether other addresses may depend on one: as secondary addresses of its IPv4 network."""
    return family_of(key.address) == AF_INET and key.prefix < host_prefix(key.address)


def _needed_promotion(action: Action) -> str:
    """Return the sysctl without which an action takes other addresses with it; empty when none needs one."""
    match action:
        case RemoveAddress(key) if holds_network(key):
            return promotion(key.device)
        case ReplaceAddress(key, old, new) if (
            holds_network(key) and old.no_prefix_route != new.no_prefix_route
        ):
            return promotion(key.device)  # the kernel changes this flag for no address that is there
        case _:
            return ""


def _serves_drain(key: AddressKey, planning: Planning) -> bool:
    """A leaving service keeps its address until its connections have ended."""
    table = planning.desired.of(SERVICES).table
    services: Iterable[tuple[int, bytes]] = (
        (drain.service.mark, drain.service.address) for drain in planning.drains if drain.service not in table
    )
    return any(mark != 0 or address == key.address for mark, address in services)


ADDRESSES: Final = Addresses()
