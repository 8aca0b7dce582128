"""A plan: the actions between two states of a kernel, and what was left alone."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from kernelbal.model.ipvs import ServiceKey
from kernelbal.model.network import AddressKey
from kernelbal.model.state import Drain, DrainKey
from kernelbal.plan.actions import Action


class PendingDrain(NamedTuple):
    """A real server that is leaving and still has connections.

    Attributes:
        connections: those it waits for.
        left_s: seconds until it is removed anyway.
    """

    key: DrainKey
    connections: int
    left_s: float


class Foreign(NamedTuple):
    """Something in the kernel that is not ours: shown, never touched."""

    services: tuple[ServiceKey, ...] = ()
    addresses: tuple[AddressKey, ...] = ()
    tables: tuple[str, ...] = ()


NOTHING_FOREIGN = Foreign()
"""Everything in the kernel is ours."""


@dataclass(frozen=True, slots=True)
class Options:
    """How a plan is made.

    Attributes:
        cut: remove real servers at once instead of letting their connections end.
        default_drain_s: drain of services that are no longer in the site file, in seconds.
    """

    cut: bool = False
    default_drain_s: float = 60.0


DEFAULT_OPTIONS = Options()
"""Drain what leaves."""


@dataclass(slots=True)
class Plan:
    """What `plan` prints and `apply` performs.

    Attributes:
        actions: in the order of their phases.
        drains: the drains that are under way once the actions are done.
        pending: real servers that are waiting for connections to end; no action yet.
        adopted: services that were there already and become ours.
        borrowed: wanted addresses that someone else configured: they serve, and stay theirs.
        captured: those of them of which 1:1 NAT takes everything; the director is not reached by them.
        missing_sysctls: optional sysctls that this kernel lacks.
    """

    actions: tuple[Action, ...] = ()
    drains: dict[DrainKey, Drain] = field(default_factory=dict)
    pending: tuple[PendingDrain, ...] = ()
    adopted: tuple[ServiceKey, ...] = ()
    borrowed: tuple[AddressKey, ...] = ()
    foreign: Foreign = NOTHING_FOREIGN
    missing_sysctls: tuple[str, ...] = ()
    captured: tuple[AddressKey, ...] = ()

    @property
    def empty(self) -> bool:
        """Whether the kernel already matches; drains may still be pending."""
        return not self.actions
