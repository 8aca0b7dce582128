"""What was decided for virtual services and real servers beyond the site file: health, operators, load.

The site file has the desired state when all is well; an `Overlay` says what that comes to now.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Final, NamedTuple

from kernelbal.model.address import Address
from kernelbal.model.bounds import Port
from kernelbal.model.health import PathCheck
from kernelbal.model.site.services import ServerKey


class DesiredServer(NamedTuple):
    """A real server in a virtual service.

    Attributes:
        weight: its effective weight; 0 quiesces.
        present: whether it is in the kernel at all.
        cut_at: when it is not: until when it may keep its connections, in seconds on the boot clock; 0 cuts
            them at once, None lets them end as those of one that left the site file.
        upper_threshold: replaces the configured one; None keeps that.
    """

    weight: int
    present: bool = True
    cut_at: float | None = None
    upper_threshold: int | None = None


class ServerState(Enum):
    """What a real server does in a virtual service, as the status shows it."""

    SERVING = "serving"
    RAMPING = "ramping"
    """In service, with less than its weight yet."""
    DRAINING = "draining"
    DRAINED = "drained"
    DISABLED = "disabled"
    DOWN = "down"
    UNKNOWN = "unknown"
    """Not checked yet."""
    STANDBY = "standby"
    """It could serve, but its virtual service is not serving by it."""
    QUIESCED = "quiesced"
    """It gets no new connections, because the site file or its agent says so."""


IN_SERVICE: Final = frozenset({ServerState.SERVING, ServerState.RAMPING, ServerState.STANDBY})
"""States of a real server that could take connections."""
SENT_AWAY: Final = frozenset(
    {ServerState.DRAINING, ServerState.DRAINED, ServerState.DISABLED, ServerState.QUIESCED}
)
"""States of a real server that somebody wants to take none."""


class Mode(Enum):
    """What a virtual service does."""

    SERVING = "serving"
    SORRY = "sorry"
    """Too few real servers: only the sorry server answers."""
    REFUSING = "refusing"
    """Too few real servers, and nothing that stands in: clients are refused at once."""
    KEPT = "kept"
    """No real server is up, and all of them stay in service nevertheless."""
    WITHDRAWN = "withdrawn"
    """Too few real servers: its address is given up, so that another site or director can answer."""


@dataclass(frozen=True, slots=True)
class Overlay:
    """What holds now instead of the site file's words; what it does not name is as configured.

    Attributes:
        servers: by real server.
        services: mode by name of the virtual service; SERVING where it is not named.
        paths: services by mark for probes.
    """

    servers: Mapping[ServerKey, DesiredServer] = field(default_factory=dict)
    services: Mapping[str, Mode] = field(default_factory=dict)
    paths: tuple[PathCheck, ...] = ()


AS_CONFIGURED = Overlay()
"""Every real server as the site file has it."""


class Admin(Enum):
    """What an operator has asked for."""

    DRAIN = "drain"
    DISABLE = "disable"


class OperatorKey(NamedTuple):
    """What an order is about.

    Attributes:
        address: of the real server.
        service: name of the virtual service; empty for all.
        port: port of its own where several real servers share the address; 0 for all.
    """

    address: Address
    service: str = ""
    port: Port = 0


class Order(NamedTuple):
    """An operator's order for a real server; in force until it is enabled again.

    Attributes:
        since: wall clock, seconds since 1970.
        deadline: wall clock: when a drain cuts what is left.
        hold: a drained real server stays at weight 0 instead of being removed.
        by: who ordered it, such as `root` or `token deploy`.
        reason: why, in the operator's words.
    """

    admin: Admin
    since: float
    deadline: float
    hold: bool
    by: str
    reason: str


Orders = Mapping[OperatorKey, Order]
"""Everything that operators have ordered."""
