"""What is probed, what came of it, and what a real server may do because of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Annotated, NamedTuple

from msgspec import Meta

from kernelbal.model.address import Address, AddressOrEmpty, format_address
from kernelbal.model.bounds import Count, Mark, Port, Seconds, ShortText
from kernelbal.model.ipvs import DestinationAttributes, DestinationKey
from kernelbal.model.site.check import ProbeProtocol
from kernelbal.model.site.services import ServerKey


class Health(Enum):
    """What probes say of a real server."""

    UNKNOWN = "unknown"
    """Not probed yet: it gets no connections."""
    UP = "up"
    DOWN = "down"


class Timing(NamedTuple):
    """When probes run and how many decide; seconds.

    Attributes:
        rise: good probes in a row that turn down into up.
        fall: failed probes in a row that turn up into down.
        jitter_s: most that a probe may start later, at random.
    """

    interval_s: Seconds
    timeout_s: Seconds
    rise: Count = 1
    fall: Count = 3
    jitter_s: Seconds = 0.0


class Target(NamedTuple):
    """Where a probe goes.

    Attributes:
        address: what is connected to: the real server, or the virtual address with a mark.
        port: 0 where the protocol has none.
        host: name or address for `Host`, SNI and the like when the check names none.
        server: the real server that is meant, for messages and scripts.
        source: address to send from, or empty. A probe through a virtual address then leaves from the address
            that the kernel uses towards `server`, never from the virtual one that the director may hold.
        mark: firewall mark, or 0.
        through: whether `address` is a virtual address, and `mark` leads to `server`.
        hops: most hops (TTL) of its packets, 0-255; 0: as many as the kernel gives to any packet.
    """

    address: Address
    port: Port
    host: str
    server: Address
    source: AddressOrEmpty = Address(b"")
    mark: Mark = 0
    through: bool = False
    hops: Annotated[int, Meta(ge=0, le=255)] = 0


@dataclass(frozen=True, slots=True)
class Probe:
    """One thing that is checked periodically.

    Attributes:
        key: digest of all the rest, so that a probe keeps its state over restarts and changes of the site.
        agent: empty for a check; `http` or `text` for an agent that is asked for its load.
    """

    key: str
    protocol: ProbeProtocol
    target: Target
    timing: Timing
    agent: str = ""

    @property
    def described(self) -> str:
        """What it is and what it probes, for messages."""
        port = f" port {self.target.port}" if self.target.port else ""
        return f"check {self.protocol.kind} of {format_address(self.target.server)}{port}"


class AgentRequest(Enum):
    """What an agent wants for its server."""

    READY = "ready"
    DRAIN = "drain"
    MAINT = "maint"
    DOWN = "down"
    UP = "up"


class AgentReading(NamedTuple):
    """What an agent said.

    Attributes:
        weight: share of the configured weight, 0.0-2.56 (`75%` is 0.75); None when it did not say.
        request: None when it did not say.
        max_connections: upper threshold, or None.
        text: its words, for people.
    """

    weight: float | None = None
    request: AgentRequest | None = None
    max_connections: Count | None = None
    text: ShortText = ""


class ProbeState(NamedTuple):
    """Where a probe stands. Instants are seconds on the boot clock.

    Attributes:
        since_at: when `health` became what it is.
        reason: why it is not up, or why the last probe failed; empty when all is well.
        last_at: when the last probe ended; None before the first.
        response_s: how long the last good probe took; None before the first.
        streak: probes in a row that speak against `health`.
        warning: what is good but will not stay so, such as a certificate that expires soon.
        reading: what the agent said last; None for checks.
        unable: why it cannot be run on this machine now; empty when the last run was made. All else is of the
            last run that was made.
    """

    health: Health = Health.UNKNOWN
    since_at: float = 0.0
    reason: ShortText = ""
    last_at: float | None = None
    response_s: float | None = None
    streak: Count = 0
    warning: ShortText = ""
    reading: AgentReading | None = None
    unable: ShortText = ""


ProbeStates = Mapping[str, ProbeState]
"""State by probe key."""


class PathCheck(NamedTuple):
    """An IPVS service by firewall mark that leads probes through the virtual address to one real server.

    Attributes:
        family: of the virtual address.
    """

    family: int
    mark: int
    destination: DestinationKey
    attributes: DestinationAttributes


@dataclass(frozen=True, slots=True)
class ProbePlan:
    """Everything to probe for a site.

    Attributes:
        probes: by key; one that several services share is here once.
        checks: keys of the probes that must all be up for a real server to be up; none: it is not checked.
        agents: key of the probe that asks a real server's agent.
        paths: what the kernel must hold for probes through virtual addresses.
        causes: for a probe through a virtual address, the key of the same probe by the real server's address.
    """

    probes: dict[str, Probe] = field(default_factory=dict)
    checks: dict[ServerKey, tuple[str, ...]] = field(default_factory=dict)
    agents: dict[ServerKey, str] = field(default_factory=dict)
    paths: tuple[PathCheck, ...] = ()
    causes: dict[str, str] = field(default_factory=dict)
