"""The IPVS connection timeouts (`ipvsadm --set`): one object, which is always there."""

from __future__ import annotations

import errno
from collections.abc import Hashable, Sequence
from typing import ClassVar, NamedTuple

from kernelbal.model.ipvs import Timeouts
from kernelbal.plan.action import Action, ActionRow, Effect, Names, Phase, Rows, failed
from kernelbal.plan.kind import ObjectKind, ObservedState, Planning
from kernelbal.plan.kinds.service_actions import IPVS_ERRORS


class SetTimeouts(NamedTuple):
    """Set the IPVS connection timeouts; `old` is None when they were not read."""

    old: Timeouts | None
    timeouts: Timeouts

    @property
    def key(self) -> str:
        """There is one set of them."""
        return "timeouts"

    def text(self, names: Names) -> str:
        """Say all of them."""
        was = f"{_text(self.old)} -> " if self.old else ""
        return f"timeouts {was}{_text(self.timeouts)}"


def _text(timeouts: Timeouts) -> str:
    return f"tcp {timeouts.tcp_s}s tcp_fin {timeouts.tcp_fin_s}s udp {timeouts.udp_s}s"


class IpvsTimeouts(ObjectKind[Timeouts | None, Timeouts | None, Timeouts | None]):
    """None: the site says nothing of them, or they were not read; the record has their first values."""

    title = "IPVS timeouts"
    rows: ClassVar[Rows] = {
        SetTimeouts: ActionRow(
            Effect.CHANGE,
            Phase.SERVICES,
            "set IPVS timeouts",
            {**IPVS_ERRORS, errno.EINVAL: failed("the kernel refuses a timeout", "use 1 s to 24 days")},
        )
    }

    def diff(self, planning: Planning) -> None:
        """Set what is desired; first values come back when nothing is and nothing drains."""
        desired, observed, first = planning.parts(self)
        timeouts = desired or (None if planning.draining else first)
        if timeouts is not None and timeouts != observed:
            planning.put(self, SetTimeouts(observed, timeouts))

    def claim(self, owned: Timeouts | None, actions: Sequence[Action], planning: Planning) -> Timeouts | None:
        """Remember the first values; the kernel's defaults when IPVS was not there to be asked."""
        desired, observed, _ = planning.parts(self)
        if owned is not None and not (desired is None and owned == observed):
            return owned
        changes = [action for action in actions if isinstance(action, SetTimeouts)]
        return (changes[0].old or Timeouts()) if changes else None

    def settle(
        self, owned: Timeouts | None, done: Sequence[Action], desired: Timeouts | None
    ) -> Timeouts | None:
        """Forget first values that have come back."""
        return None if desired is None and done else owned

    def kept(self, observed: ObservedState, owned: Timeouts | None) -> Timeouts | None:
        """Return them, when they are ours."""
        return observed.of(self) if owned is not None else None

    def value(self, observed: Timeouts | None, key: Hashable) -> object:
        """Return them."""
        return observed

    def impact(self, action: Action, observed: ObservedState) -> str:
        """They count from the next packet of a connection on."""
        return "new and refreshed connections only"


TIMEOUTS = IpvsTimeouts("timeouts", None, None, None, Timeouts | None, Timeouts | None)
