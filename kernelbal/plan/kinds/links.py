"""Network devices that a site needs, such as those of tunnels (`linux/if_link.h`)."""

from __future__ import annotations

import errno
from collections.abc import Hashable, Sequence
from typing import ClassVar, Final, NamedTuple

from kernelbal.model.network import Link, LinkState
from kernelbal.plan.action import GONE, Action, ActionRow, Effect, Names, Phase, Rows, failed
from kernelbal.plan.kind import KeySetKind, ObservedState, Planning

FALLBACK_DEVICES: Final = {
    "tunl0": "ipip",
    "ip6tnl0": "ip6_tunnel",
    "sit0": "sit",
    "gre0": "ip_gre",
    "ip6gre0": "ip6_gre",
}
"""Devices that come with a module and take every packet of its kind; nobody can create or remove them."""


class EnsureLink(NamedTuple):
    """Create a device if it is missing, and bring it up."""

    link: LinkState

    @property
    def key(self) -> str:
        """The device's name."""
        return self.link.name

    def text(self, names: Names) -> str:
        """Name it."""
        return f"link {self.link.name} up"


class RemoveLink(NamedTuple):
    """Remove a device that we created; one that came with its module is switched off."""

    name: str

    @property
    def key(self) -> str:
        """The device's name."""
        return self.name

    def text(self, names: Names) -> str:
        """Name it."""
        return f"link {self.name}"


class Links(KeySetKind[tuple[LinkState, ...], tuple[Link, ...], str]):
    """Devices; ours are those that we created, or switched on where they come with a module."""

    title = "link"
    rows: ClassVar[Rows] = {
        EnsureLink: ActionRow(
            Effect.ADD,
            Phase.LINKS,
            "bring up link",
            {
                errno.ENODEV: failed("there is no such device", "name an existing device"),
                errno.EOPNOTSUPP: failed(
                    "the kernel has no such kind of link", "modprobe ipip, sit, ip6_tunnel, ip_gre or ip6_gre"
                ),
                errno.EEXIST: failed(
                    "another device of this kind takes all packets already",
                    "use the kernel's own, such as tunl0",
                ),
                errno.EINVAL: failed("the device refuses this MTU", "use an MTU that the device takes"),
            },
        ),
        RemoveLink: ActionRow(
            Effect.REMOVE,
            Phase.RELEASE_LINKS,
            "remove link",
            {
                errno.ENODEV: GONE,
                errno.EOPNOTSUPP: failed("the kernel does not let this device go", "it is no virtual one"),
            },
        ),
    }

    def diff(self, planning: Planning) -> None:
        """Bring up what is desired; what we created goes when nothing drains that may need it."""
        desired, observed, owned = planning.parts(self)
        present = {link.name: link for link in observed}
        for each in desired:
            link = present.get(each.name)
            if link is None or not link.up or each.mtu_bytes not in (0, link.mtu_bytes):
                planning.put(self, EnsureLink(each))
        if planning.draining:
            return
        for name in sorted(owned - {each.name for each in desired}):
            if name in present and (present[name].up or name not in FALLBACK_DEVICES):
                planning.put(self, RemoveLink(name))

    def claim(self, owned: frozenset[str], actions: Sequence[Action], planning: Planning) -> frozenset[str]:
        """Claim what is created, and what comes with a module and was off; what is off again is forgotten."""
        present = {link.name: link for link in planning.observed.of(self)}
        kept = frozenset(n for n in owned & present.keys() if present[n].up or n not in FALLBACK_DEVICES)
        added = {
            action.key
            for action in actions
            if isinstance(action, EnsureLink)
            and action.link.kind
            and (action.key not in present or (action.key in FALLBACK_DEVICES and not present[action.key].up))
        }
        return kept | added

    def keys(self, observed: tuple[Link, ...]) -> frozenset[str]:
        """Return the names of the devices."""
        return frozenset(link.name for link in observed)

    def value(self, observed: tuple[Link, ...], key: Hashable) -> object:
        """Return whether a device is up; None where there is none."""
        return next((link.up for link in observed if link.name == key), None)

    def kept(self, observed: ObservedState, owned: frozenset[str]) -> tuple[LinkState, ...]:
        """Return the devices that are ours."""
        return tuple(LinkState(link.name, link.kind) for link in observed.of(self) if link.name in owned)


LINKS = Links("links", (), (), tuple[LinkState, ...], str)
