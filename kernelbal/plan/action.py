"""What can be done to kernel objects: the records that a plan holds, and how they end.

What `kernelbal plan` prints are these records; what `kernelbal apply` performs are the same ones. Each kind
of object has its own (`plan.kinds`).
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Hashable, Mapping
from enum import Enum, IntEnum
from typing import Any, Final, NamedTuple, Protocol

from kernelbal.model.ipvs import ServiceKey

Names = Mapping[ServiceKey, str]
"""Name of the virtual service of each IPVS service."""


class Phase(IntEnum):
    """The order of an apply: what receives traffic comes last on the way up and first on the way down.

    Firewall marks change after the services that they lead to exist, and before the ones that they led to
    go: a service that moves between address and mark never leaves a new connection without an answer.
    For the same reason weights fall to 0 with `QUIESCE`, and an address that changes its device or prefix
    leaves its old place after it came to the new one. A routing rule comes after the table that it leads to,
    and goes before it; both need the addresses through which gateways are reached.
    """

    KEEP_ADDRESSES = 0
    REMOVE_ADDRESSES = 1
    LINKS = 2
    LISTENERS = 3
    SYSCTLS = 4
    SERVICES = 5
    DESTINATIONS = 6
    NFTABLES = 7
    ADD_ADDRESSES = 8
    LEAVE_ADDRESSES = 9
    END_SILENCE = 10
    ADD_ROUTES = 11
    ADD_RULES = 12
    REMOVE_RULES = 13
    REMOVE_ROUTES = 14
    WRITE_FILES = 15
    QUIESCE = 16
    REMOVE_DESTINATIONS = 17
    REMOVE_SERVICES = 18
    RELEASE_NFTABLES = 19
    RELEASE_SYSCTLS = 20
    RELEASE_LINKS = 21
    RELEASE_LISTENERS = 22
    RELEASE_FILES = 23


class Effect(Enum):
    """What an action does to its object; the value is its sign in a plan."""

    ADD = "+"
    CHANGE = "~"
    REMOVE = "-"


class Action(Protocol):
    """One change of one object; each is a named tuple, so that 100,000 of them are small and compare fast."""

    @property
    def key(self) -> Hashable:
        """Identity of its object among those of its kind."""
        ...

    def text(self, names: Names) -> str:
        """Return in one line what is done to what, without the sign."""
        ...


class Line(NamedTuple):
    """An action for people.

    Attributes:
        sign: `+` adds, `~` changes, `-` removes.
        text: what is done to what.
    """

    sign: str
    text: str


class Result(Enum):
    """How an action ended."""

    DONE = "done"
    ALREADY = "already"
    """The kernel was so already: added meanwhile, or gone."""
    FAILED = "failed"
    SKIPPED = "skipped"
    """Not tried: something that it needs failed, or its next attempt is not due yet."""


DONE: Final = (Result.DONE, Result.ALREADY)
"""What leaves the kernel as the action wants it."""


class Outcome(NamedTuple):
    """How one action ended.

    Attributes:
        errno: the kernel's error number (positive), 0 when there was none.
        message: what the kernel said, in words; empty unless it failed or was skipped.
        hint: the remedy, or empty.
    """

    action: Action
    result: Result
    errno: int = 0
    message: str = ""
    hint: str = ""


class Meaning(NamedTuple):
    """What an error number means for an action.

    Attributes:
        result: `ALREADY` where the kernel is as the action would leave it.
        message, hint: format strings over the fields of the action, such as `{attributes.scheduler}`.
    """

    result: Result
    message: str
    hint: str = ""


def failed(message: str, hint: str = "") -> Meaning:
    """Return the meaning of an error number that is a failure."""
    return Meaning(Result.FAILED, message, hint)


Errors = Mapping[int, Meaning | Callable[[Any], Meaning]]
"""Meaning by error number; a function where it depends on the action."""

AS_ROOT = "run it as root, for example with sudo"
AGAIN = "run `kernelbal apply` again"
GONE = Meaning(Result.ALREADY, "was gone already")
THERE = Meaning(Result.ALREADY, "was there already")
NEEDS_CAPABILITY = failed("the kernel requires CAP_NET_ADMIN", AS_ROOT)

COMMON_ERRORS: Errors = {
    errno.EPERM: NEEDS_CAPABILITY,
    errno.EACCES: NEEDS_CAPABILITY,
    errno.ENOMEM: failed("the kernel is out of memory", "free memory, then apply again"),
    errno.ENOBUFS: failed("the kernel has no room for it, or its answer was lost", AGAIN),
}
"""For every action that has no row of its own."""


NO_ERRORS: Errors = {}


class ActionRow(NamedTuple):
    """What is the same for all actions of a type.

    Attributes:
        effect: what it does to its object.
        phase: when it is performed, unless the diff says otherwise.
        operation: what is asked of the kernel, as a user reads it: `add real server`.
        errors: what the kernel's error numbers mean for it.
    """

    effect: Effect
    phase: Phase
    operation: str
    errors: Errors = NO_ERRORS


Rows = Mapping[type[Any], ActionRow]
"""One row per type of action."""


class ObjectId(NamedTuple):
    """Identity of a kernel object: the name of its kind, and its key among those."""

    kind: str
    key: Hashable
