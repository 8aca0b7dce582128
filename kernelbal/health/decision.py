"""What a decision is made from, and what it says: the values around `kernelbal.health.decide`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from kernelbal.model.event import Event
from kernelbal.model.health import Health, ProbeStates, ServerKey
from kernelbal.model.standing import Mode, Order, Orders, Overlay


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known now.

    Attributes:
        now: seconds on the boot clock, the clock of every instant here.
        wall: seconds since 1970, the clock of orders, which outlive a boot.
        starting: whether the daemon has just started: nothing ramps that was in service before.
    """

    now: float
    wall: float
    states: ProbeStates = field(default_factory=dict)
    orders: Orders = field(default_factory=dict)
    starting: bool = False


class ServerMemory(NamedTuple):
    """What must be remembered of a real server between decisions, and over restarts.

    Attributes:
        state: its word in the status, such as `serving`.
        since_at: when `state` became what it is.
        up: whether it was usable at the last decision.
        ramp_at: when slow start began; None when it is not ramping.
        ramp_from: share of the weight (0.0-1.0) at `ramp_at`: one that flaps goes on where it was.
        share: smoothed share of the configured weight by its load; None without readings.
        share_at: when `share` was last updated.
        weight: effective weight that was last decided.
    """

    state: str = "unknown"
    since_at: float = 0.0
    up: bool = False
    ramp_at: float | None = None
    ramp_from: float = 0.0
    share: float | None = None
    share_at: float = 0.0
    weight: int = 0


class ServiceMemory(NamedTuple):
    """What must be remembered of a virtual service."""

    mode: Mode = Mode.SERVING
    since_at: float = 0.0
    quorum: bool = False


@dataclass(frozen=True, slots=True)
class Memory:
    """What one decision leaves to the next; it is kept over restarts of the daemon, not over a boot."""

    servers: dict[ServerKey, ServerMemory] = field(default_factory=dict)
    services: dict[str, ServiceMemory] = field(default_factory=dict)


class ServerView(NamedTuple):
    """A real server as the status shows it.

    Attributes:
        state: one of the words of `ServerStatus.state`.
        reason: why it is in this state.
        weight: effective weight.
        weight_reason: why that differs from the configured one.
        ramp_left_s: seconds left of slow start, or None.
        order: the order in force, or None; `everywhere` whether it holds in all virtual services.
    """

    state: str
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
