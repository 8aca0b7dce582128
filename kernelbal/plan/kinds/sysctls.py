"""Sysctls below /proc/sys, each desired for a reason; the record has the values before our first writes."""

from __future__ import annotations

import errno
import re
from collections.abc import Hashable, Mapping, Sequence
from typing import ClassVar, Final, NamedTuple

from kernelbal.model.network import Route, Sysctl
from kernelbal.plan.action import AS_ROOT, Action, ActionRow, Effect, Meaning, Names, Phase, Rows, failed
from kernelbal.plan.kind import UNREAD, KernelReading, Note, ObjectKind, ObservedState, Planning, Scope

RESTORED: Final = "No longer needed; this was its value before."
_CONF: Final = re.compile(r"/conf/[^/]+/")
_MODULE_OF: Final = (
    ("net/ipv4/vs/", "ip_vs"),
    ("net/netfilter/nf_conntrack", "nf_conntrack"),
    ("net/bridge/", "br_netfilter"),
)
_DEVICE_PREFIXES: Final = ("net/ipv4/conf/", "net/ipv6/conf/", "net/ipv4/neigh/", "net/ipv6/neigh/")

NO_ROUTES: tuple[Route, ...] = ()
ROUTES: Final = KernelReading("routes", NO_ROUTES)
"""Unicast routes of the main table, of everybody."""


class WriteSysctl(NamedTuple):
    """Write a sysctl; `old` is what it held."""

    path: str
    old: str
    value: str
    reason: str

    @property
    def key(self) -> str:
        """The path."""
        return self.path

    def text(self, names: Names) -> str:
        """Say both values, and why."""
        dotted = self.path.replace("/", ".")
        return f"sysctl {dotted} {self.old or '(unset)'} -> {self.value}  # {self.reason}"


def _absent(action: WriteSysctl) -> Meaning:
    return failed("this kernel has no such sysctl", _hint_for_absent(action.path))


def _hint_for_absent(path: str) -> str:
    for prefix, module in _MODULE_OF:
        if path.startswith(prefix):
            return f"modprobe {module}; an old kernel may lack it altogether"
    for prefix in _DEVICE_PREFIXES:
        if path.startswith(prefix):
            device = path.removeprefix(prefix).split("/")[0]
            return f"check that there is a device `{device}`: `ip link show {device}`"
    return "this kernel is too old for it, or was built without it"


def inherited(path: str) -> str:
    """Return the path of the value that a device starts with which is not there yet (`inetdev_init`)."""
    return _CONF.sub("/conf/default/", path)


class Sysctls(ObjectKind[tuple[Sysctl, ...], Mapping[str, str | None], Mapping[str, str]]):
    """Observed is the value by path, None where the kernel has no such sysctl."""

    title = "sysctl"
    rows: ClassVar[Rows] = {
        WriteSysctl: ActionRow(
            Effect.CHANGE,
            Phase.SYSCTLS,
            "write sysctl",
            {
                errno.ENOENT: _absent,
                errno.ENOTDIR: _absent,
                errno.ENODEV: _absent,
                errno.EACCES: failed("only root may write it", AS_ROOT),
                errno.EPERM: failed("only root may write it", AS_ROOT),
                errno.EROFS: failed(
                    "/proc/sys is read-only here",
                    "in a container, start it privileged or set the sysctl from its host",
                ),
                errno.EINVAL: failed("the kernel refuses this value"),
                errno.ERANGE: failed("the kernel refuses this value: out of range"),
            },
        )
    }

    def scope(self, desired: tuple[Sysctl, ...], owned: Mapping[str, str]) -> Scope:
        """Return the paths that desired and recorded sysctls depend on."""
        needed = {path for sysctl in desired for path in (*sysctl.needed, inherited(sysctl.path))}
        return sorted(needed | owned.keys())

    def diff(self, planning: Planning) -> None:
        """Write what does not hold; first values come back when nothing drains that may need ours."""
        desired, observed, owned = planning.parts(self)
        sysctls = [each for each in desired if _applies(each, planning.observed.of(ROUTES), owned)]
        for each in sysctls:
            value = observed.get(each.path)
            if value is None and each.optional:
                planning.note(Note.MISSING, self, each.path)
            elif not each.holds(observed):
                planning.put(self, WriteSysctl(each.path, value or "", each.value, each.reason))
        if planning.draining:
            return
        kept = {each.path for each in sysctls}
        for path, first in sorted(owned.items()):
            value = observed.get(path)
            if path not in kept and value is not None and value.split() != first.split():
                planning.put(self, WriteSysctl(path, value, first, RESTORED), Phase.RELEASE_SYSCTLS)

    def claim(
        self, owned: Mapping[str, str], actions: Sequence[Action], planning: Planning
    ) -> Mapping[str, str]:
        """Remember first values; what has its own again, or is gone, is forgotten.

        That of a device that is not there yet is the one that it will start with, where that was read. A
        sysctl that the kernel lacks has no value to come back to.
        """
        desired, observed, _ = planning.parts(self)
        wanted = {each.path for each in desired}
        known = {
            path: first
            for path, first in owned.items()
            if path in wanted or observed.get(path) not in (None, first)
        }
        writes = [action for action in actions if isinstance(action, WriteSysctl)]
        before = {write.path: _first_value(write, observed) for write in reversed(writes)}
        return {path: value for path, value in before.items() if value is not None} | known

    def settle(
        self, owned: Mapping[str, str], done: Sequence[Action], desired: tuple[Sysctl, ...]
    ) -> Mapping[str, str]:
        """Forget what has its first value again."""
        restored = {each.path: each.value for each in done if isinstance(each, WriteSysctl)}
        kept = {each.path for each in desired}
        return {
            path: first
            for path, first in owned.items()
            if path in kept or restored.get(path, "").split() != first.split()
        }

    def kept(self, observed: ObservedState, owned: Mapping[str, str]) -> tuple[Sysctl, ...]:
        """Return the sysctls that are ours with the values that they have now."""
        values = {path: observed.of(self).get(path) for path in sorted(owned)}
        return tuple(
            Sysctl(path, value, "Its value before the last apply.", optional=True)
            for path, value in values.items()
            if value is not None
        )

    def value(self, observed: Mapping[str, str | None], key: Hashable) -> object:
        """Return the value at a path."""
        return observed.get(str(key), UNREAD)


def _applies(sysctl: Sysctl, routes: tuple[Route, ...], owned: Mapping[str, str]) -> bool:
    """What is ours already stays: a route may be away for a while, and could not come back without it."""
    if not sysctl.routed_by or sysctl.path in owned:
        return True
    return any(
        route.advertised and route.prefix == 0 and route.device == sysctl.routed_by for route in routes
    )


def _first_value(write: WriteSysctl, observed: Mapping[str, str | None]) -> str | None:
    return write.old or observed.get(inherited(write.path))


NO_VALUES: Mapping[str, str | None] = {}
NO_FIRST_VALUES: Mapping[str, str] = {}
SYSCTLS: Final = Sysctls("sysctls", (), NO_VALUES, NO_FIRST_VALUES, tuple[Sysctl, ...], dict[str, str])
