"""An explanation: the steps in their order, the candidates, and where the connection ends up."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

from kernelbal.model.address import Address
from kernelbal.model.ipvs import DestinationAttributes, DestinationCounters, DestinationKey, ServiceKey
from kernelbal.plan.explain.query import ExplainQuery, FactSource


class StepTopic(Enum):
    """What a step decides; the order is that of the packet."""

    ADDRESS = "address"
    TRANSLATION = "translation"
    CLASSIFIER = "classifier"
    SERVICE = "service"
    PERSISTENCE = "persistence"
    SCHEDULER = "scheduler"
    FORWARDING = "forwarding"
    RETURN = "return"


class StepVerdict(Enum):
    """How a step was decided; each topic has its own few."""

    LOCAL = "local"
    ELSEWHERE = "elsewhere"
    TRANSLATED = "translated"
    MARKED = "marked"
    UNMARKED = "unmarked"
    MATCHED = "matched"
    NO_SERVICE = "no-service"
    OFF = "off"
    TEMPLATE = "template"
    CONNECTION = "connection"
    NEW_CLIENT = "new-client"
    UNKNOWN = "unknown"
    NOT_ASKED = "not-asked"
    CHOSEN = "chosen"
    LEADING = "leading"
    UNDETERMINED = "undetermined"
    NOBODY = "nobody"
    NAT = "nat"
    DSR = "dsr"
    TUNNEL = "tunnel"
    OWN_STACK = "own-stack"
    BYPASS = "bypass"
    VARIES = "varies"
    VIA_DIRECTOR = "via-director"
    MASQUERADED = "masqueraded"
    STRAIGHT = "straight"


class TraceStep(NamedTuple):
    """One decision.

    Attributes:
        reason: why, as text.
        source: where the deciding fact was read.
    """

    topic: StepTopic
    verdict: StepVerdict
    reason: str
    source: FactSource


class Certainty(Enum):
    """How much a choice of real server is worth."""

    CERTAIN = "certain"
    """It follows from what was read, and holds until that changes."""
    NOW = "now"
    """It follows from counters, and the next connection may change it."""
    OPEN = "open"
    """The kernel decides by something that cannot be read."""


class SchedulerChoice(NamedTuple):
    """A real server, or None: none takes the connection unless the certainty is OPEN."""

    destination: DestinationKey | None
    certainty: Certainty
    reason: str


class Availability(Enum):
    """Whether a real server takes new connections."""

    AVAILABLE = "available"
    QUIESCED = "quiesced"
    OVERLOADED = "overloaded"
    PERHAPS = "between-thresholds"
    """In if it has not reached its upper threshold since it was last below the lower one."""


class ForwardPath(NamedTuple):
    """How a packet goes on to a real server.

    Attributes:
        port: port at the real server.
        device: device it leaves by; None when there is no route, or it stays here.
        gateway: next hop; None when the real server is on-link.
        overhead_bytes: bytes that encapsulation adds; 0 without.
        mtu_bytes: largest packet that fits, encapsulation taken off; 0 when the device's MTU is not known.
        text: a description.
        problems: why it would not arrive.
    """

    method: StepVerdict
    port: int
    device: str | None
    gateway: Address | None
    overhead_bytes: int
    mtu_bytes: int
    text: str
    problems: tuple[str, ...] = ()


class ReturnPath(NamedTuple):
    """How the answer comes back.

    Attributes:
        conditions: what has to hold for that, most of it on the real server.
        problems: why it would not come back.
    """

    method: StepVerdict
    text: str
    conditions: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


class ServerCandidate(NamedTuple):
    """A real server of the service that matched.

    Attributes:
        name: its name in the site file, or empty.
        why: why it is out, or empty.
        chosen: whether the connection goes to it.
    """

    key: DestinationKey
    name: str
    attributes: DestinationAttributes
    counters: DestinationCounters
    availability: Availability
    why: str
    chosen: bool
    path: ForwardPath
    reply: ReturnPath


class ExplainOutcome(Enum):
    """What becomes of the connection."""

    FORWARDED = "forwarded"
    """To the one real server that is named."""
    ONE_OF = "one-of"
    """To one of the candidates that are available."""
    REFUSED = "refused"
    """No real server takes it: an ICMP port unreachable, which clients see as connection refused."""
    DROPPED = "dropped"
    """In silence: its entry points to a real server that has been removed."""
    TRANSLATED = "translated"
    """To an inside machine, by address translation at the edge."""
    OWN_STACK = "own-stack"
    """IPVS passes it on to the director's own sockets."""
    ELSEWHERE = "elsewhere"
    """It does not come to this director's IPVS at all."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """The answer to a query.

    Attributes:
        mark: firewall mark of the packet; 0 without one.
        certainty: what the choice of `real_server` is worth; None when none was made.
        answer: the outcome in a sentence.
        translated_to: inside machine, and port, that address translation leads to; empty without.
    """

    query: ExplainQuery
    source: FactSource
    outcome: ExplainOutcome
    answer: str
    steps: tuple[TraceStep, ...]
    mark: int = 0
    masquerade: bool = False
    service: ServiceKey | None = None
    service_name: str = ""
    real_server: DestinationKey | None = None
    certainty: Certainty | None = None
    candidates: tuple[ServerCandidate, ...] = field(default=())
    translated_to: str = ""
