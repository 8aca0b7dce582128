"""UDP ports that unwrap generic UDP encapsulation (`linux/fou.h`)."""

from __future__ import annotations

import errno
from collections.abc import Mapping
from typing import ClassVar, NamedTuple

from kernelbal.model.network import GueListener
from kernelbal.plan.action import GONE, Action, ActionRow, Effect, Names, Phase, Rows, failed
from kernelbal.plan.kind import NOTHING, KeyedKind, Scope


class OpenListener(NamedTuple):
    """Unwrap generic UDP encapsulation on a port."""

    key: GueListener

    def text(self, names: Names) -> str:
        """Name it."""
        return f"listener {self.key}"


class CloseListener(NamedTuple):
    """Stop unwrapping on a port that we opened."""

    key: GueListener

    def text(self, names: Names) -> str:
        """Name it."""
        return f"listener {self.key}"


class Listeners(KeyedKind[GueListener, None]):
    """GUE listeners; port and family are all there is to one."""

    title = "GUE listener"
    rows: ClassVar[Rows] = {
        OpenListener: ActionRow(
            Effect.ADD,
            Phase.LISTENERS,
            "open GUE listener",
            {
                errno.ENOENT: failed("the kernel has no generic UDP encapsulation", "modprobe fou"),
                errno.EADDRINUSE: failed(
                    "another program has this UDP port",
                    "choose another port, here and as `tunnel.port` in the site file",
                ),
            },
        ),
        CloseListener: ActionRow(
            Effect.REMOVE,
            Phase.RELEASE_LISTENERS,
            "close GUE listener",
            {errno.ENOENT: GONE, errno.EINVAL: GONE},
        ),
    }

    def scope(self, desired: Mapping[GueListener, None], owned: frozenset[GueListener]) -> Scope:
        """To look for listeners loads the kernel's module: only where there are some."""
        return None if desired or owned else NOTHING

    def adding(self, key: GueListener, attributes: None) -> Action:
        """Open it."""
        return OpenListener(key)

    def removing(self, key: GueListener, attributes: None) -> Action:
        """Close it."""
        return CloseListener(key)


LISTENERS = Listeners("listeners", dict[GueListener, None], GueListener)
