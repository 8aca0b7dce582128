"""What a decision is made from, and what it says: the values around `kernelbal.health.decide`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from kernelbal.model.event import Event
from kernelbal.model.health import Health, ProbePlan, ProbeStates
from kernelbal.model.node import Node
from kernelbal.model.overlay import Mode, Order, Orders, Overlay, ServerState
from kernelbal.model.site import Site
from kernelbal.model.site.services import ServerKey


class ServerMemory(NamedTuple):
    """What must be remembered of a real server between decisions, and over restarts.

    Attributes:
        state: in the status.
        since_at: when `state` became what it is.
        up: whether it was in service, by being usable, at the last decision.
        ramp_at: when slow start began, or was interrupted when not `up`; None when it is not ramping.
        ramp_from: progress of slow start (0.0-1.0) at `ramp_at`.
        share: smoothed share of the configured weight by its load; None without readings.
        share_at: when `share` was last updated.
        weight: effective weight that was last decided.
        applied: share of the configured weight that is in force; `share` as it was when that last differed
            from it by a step.
        deadline: wall clock: the deadline of the last order to drain.
        cut_at: the same on the boot clock, so that a wall clock that is set cuts nothing early.
        warning: the last warning of its checks that was reported.
        warned_at: when one was; None: never.
    """

    state: ServerState = ServerState.UNKNOWN
    since_at: float = 0.0
    up: bool = False
    ramp_at: float | None = None
    ramp_from: float = 0.0
    share: float | None = None
    share_at: float = 0.0
    weight: int = 0
    applied: float | None = None
    deadline: float = 0.0
    cut_at: float = 0.0
    warning: str = ""
    warned_at: float | None = None


class ServiceMemory(NamedTuple):
    """What must be remembered of a virtual service.

    Attributes:
        mode: what it did last.
        since_at: when `mode` became what it is.
        quorum: whether it had enough usable real servers.
        began_at: when the first real servers came into service after there were none; None: before this boot.
    """

    mode: Mode = Mode.SERVING
    since_at: float = 0.0
    quorum: bool = False
    began_at: float | None = None


@dataclass(frozen=True, slots=True)
class Memory:
    """What one decision leaves to the next; it is kept over restarts of the daemon, not over a boot."""

    servers: dict[ServerKey, ServerMemory] = field(default_factory=dict)
    services: dict[str, ServiceMemory] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Inputs:
    """Everything that a decision, and the desired state after it, are made from.

    Attributes:
        probes: which probes are whose.
        now: seconds on the boot clock, the clock of every instant here.
        wall: seconds since 1970, the clock of orders, which outlive a boot.
        states: by probe.
        orders: of operators, in force.
        memory: what the last decision left; an empty one when there was none.
        starting: whether the daemon has just started: nothing ramps that was in service before.
        drained: real servers under an order to drain that have no connections left.
    """

    site: Site
    node: Node
    probes: ProbePlan
    now: float
    wall: float
    states: ProbeStates = field(default_factory=dict)
    orders: Orders = field(default_factory=dict)
    memory: Memory = field(default_factory=Memory)
    starting: bool = False
    drained: frozenset[ServerKey] = frozenset()


class ServerView(NamedTuple):
    """A real server as the status shows it.

    Attributes:
        reason: why it is in this state.
        weight: effective weight.
        weight_reason: why that differs from the configured one.
        ramp_left_s: seconds left of slow start, or None.
        order: the order in force, or None; `everywhere` whether it holds in all virtual services.
    """

    state: ServerState
    health: Health
    since_at: float
    reason: str
    weight: int
    weight_reason: str
    ramp_left_s: float | None
    order: Order | None
    everywhere: bool = False


class ServiceView(NamedTuple):
    """A virtual service as the status shows it."""

    mode: Mode
    since_at: float
    usable: int


@dataclass(frozen=True, slots=True)
class Decision:
    """What holds now.

    Attributes:
        events: what changed since the last decision.
        next_at: when another decision is due though nothing happens (boot clock), or None.
    """

    overlay: Overlay
    memory: Memory
    servers: dict[ServerKey, ServerView]
    services: dict[str, ServiceView]
    events: tuple[Event, ...] = ()
    next_at: float | None = None
