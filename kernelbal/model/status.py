"""The director's status: the document of `GET /v1/status`, `kernelbal status --json` and the metrics.

Every measured part carries its age, so that nothing stale pretends to be live. Instants are text in ISO 8601
with the zone; ages and durations are seconds.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from functools import cache
from typing import Annotated, Any, Final, Literal, get_args, get_origin, get_type_hints

from msgspec import Meta, Struct, field
from msgspec.structs import force_setattr

from kernelbal.errors import Problem, Span
from kernelbal.model.event import Severity
from kernelbal.model.health import Health
from kernelbal.model.overlay import Admin, Mode, ServerState
from kernelbal.model.text import lines, one_line

AS_IT_IS: Final = Meta(extra={"text": "as it is"})
"""Marks text of a request that is no text to show: documents, and paths of files."""
SEVERAL_LINES: Final = Meta(extra={"text": "several lines"})
"""Marks text that may have line ends."""


class Owner(Enum):
    """Whose an object of the kernel is."""

    KERNELBAL = "kernelbal"
    FOREIGN = "foreign"


class Part(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A document of the control API, or a part of one.

    However it is made, by the director or of what a peer sent, each text in it is one printable line, unless
    its field says otherwise: it can be printed, logged and streamed as it is.
    """

    def __post_init__(self) -> None:
        for name, make_safe in _text_fields(type(self)):
            value = getattr(self, name)
            if value:
                safe = make_safe(value)
                if safe is not value:
                    force_setattr(self, name, safe)


@cache
def _text_fields(kind: type[Part]) -> tuple[tuple[str, Callable[[Any], Any]], ...]:
    """Return the fields of a document that hold text, each with what makes it safe."""
    hints = get_type_hints(kind, include_extras=True)
    found = ((name, _made_safe(hints[name])) for name in kind.__struct_fields__)
    return tuple((name, make_safe) for name, make_safe in found if make_safe is not None)


def _made_safe(hint: Any) -> Callable[[Any], Any] | None:  # noqa: ANN401 - any type expression
    """Return what makes values of a type safe; None when it holds no text."""
    marks = getattr(hint, "__metadata__", ())
    if AS_IT_IS in marks or SEVERAL_LINES in marks:
        return lines if SEVERAL_LINES in marks else None
    if hint is str:
        return one_line
    if get_origin(hint) is list:
        return None if _made_safe(get_args(hint)[0]) is None else _each_safe
    if get_origin(hint) is dict:
        make_safe = _made_safe(get_args(hint)[1]) or one_line
        return lambda value: {one_line(key): make_safe(each) for key, each in value.items()}
    return next(filter(None, map(_made_safe, get_args(hint))), None)


def _each_safe(texts: list[str]) -> list[str]:
    return [one_line(each) for each in texts]


class AdminStatus(Part, frozen=True, kw_only=True):
    """An operator's order that is in force."""

    order: Admin
    by: Annotated[str, Meta(description="Who ordered it.")]
    reason: Annotated[str, Meta(description="Why, in the operator's words; may be empty.")]
    since: Annotated[str, Meta(description="When, ISO 8601.")]
    everywhere: Annotated[bool, Meta(description="Whether it holds in all virtual services.")]
    hold: Annotated[bool, Meta(description="Whether it stays at weight 0 when drained.")]
    left_s: Annotated[
        float | None, Meta(description="Seconds until remaining connections are cut; None: never, or over.")
    ]
    done: Annotated[bool, Meta(description="Whether it has no connections left.")]


class CheckStatus(Part, frozen=True, kw_only=True):
    """One probe of a real server."""

    key: Annotated[str, Meta(description="Identity of the probe; the same in every service that shares it.")]
    check: Annotated[str, Meta(description="What is probed, such as `http 10.0.0.11:80 /health`.")]
    health: Health
    since_s: Annotated[float, Meta(description="Age of `health`.")]
    reason: Annotated[str, Meta(description="Why it is not up, or why the last probe failed.")]
    last_s: Annotated[float | None, Meta(description="Age of the last probe; None before the first.")]
    response_ms: Annotated[float | None, Meta(description="Duration of the last successful probe.")]
    warning: Annotated[str, Meta(description="Such as a certificate that expires soon.")]


class ServerStatus(Part, frozen=True, kw_only=True):
    """A real server in a virtual service."""

    name: str | None
    address: str
    port: Annotated[int, Meta(description="Port of its own; 0 when it takes the service's.")]
    state: Annotated[
        ServerState, Meta(description="One word for it; `standby`: up, but its service is not serving by it.")
    ]
    health: Health
    since: Annotated[
        str | None, Meta(description="When `state` became what it is, ISO 8601; None without a daemon.")
    ]
    since_s: Annotated[float | None, Meta(description="Age of `state`.")]
    reason: Annotated[str, Meta(description="Why it is in this state; empty while it serves normally.")]
    weight: Annotated[int, Meta(description="In force now.")]
    configured_weight: int
    weight_reason: Annotated[str, Meta(description="Why `weight` differs from the configured one.")]
    ramp_left_s: Annotated[float | None, Meta(description="Seconds left of slow start.")]
    admin: AdminStatus | None
    checks: list[CheckStatus]
    agent: Annotated[str | None, Meta(description="Last line of its agent.")]
    active: int
    inactive: int
    connections: Annotated[int, Meta(description="Since it was added to the kernel.")]
    connections_per_s: Annotated[float | None, Meta(description="None before a second measurement.")]
    bytes_in: Annotated[int, Meta(description="Since it was added to the kernel.")]
    bytes_out: Annotated[
        int,
        Meta(
            description="Since it was added to the kernel; 0 for dsr and tunnel: replies bypass the director."
        ),
    ]
    bytes_in_per_s: float | None
    bytes_out_per_s: Annotated[
        float | None, Meta(description="Always 0 for dsr and tunnel: replies bypass the director.")
    ]


class ServiceStatus(Part, frozen=True, kw_only=True):
    """A virtual service."""

    name: str
    address: str
    ports: str
    protocol: str
    forwarding: str
    scheduler: str
    mode: Mode
    since: Annotated[
        str | None, Meta(description="When `mode` became what it is, ISO 8601; None without a daemon.")
    ]
    since_s: Annotated[float | None, Meta(description="Age of `mode`.")]
    usable: Annotated[int, Meta(description="Real servers that may take connections.")]
    quorum: int
    real_servers: list[ServerStatus]


class ConfigStatus(Part, frozen=True, kw_only=True):
    """The site file in force."""

    site: Annotated[str, Meta(description="Path of the site file.")]
    node: Annotated[str, Meta(description="Path of the node file.")]
    digest: Annotated[str, Meta(description="SHA-256 of the site file in force.")]
    loaded: Annotated[str, Meta(description="Since when, ISO 8601.")]
    loaded_s: float
    refused: Annotated[str, Meta(description="Why a newer one is not in force; empty when there is none.")]
    problems: list[str]
    confirm_left_s: Annotated[
        float | None,
        Meta(description="Seconds left to confirm what is in force; None: nothing awaits confirmation."),
    ] = None


class FailingStatus(Part, frozen=True, kw_only=True):
    """An object of the kernel that is not as site.yaml has it, because the kernel refuses the change."""

    service: Annotated[str, Meta(description="Its virtual service; empty: it is of none.")]
    operation: Annotated[str, Meta(description="What is asked of the kernel, such as `add virtual service`.")]
    change: Annotated[str, Meta(description="The action with its sign, as `kernelbal plan` prints it.")]
    errno: Annotated[str, Meta(description="The error by name, such as `ENOENT`; empty when there is none.")]
    error: Annotated[str, Meta(description="What it means here.")]
    hint: Annotated[str, Meta(description="The remedy, or empty.")]
    since: Annotated[str, Meta(description="When it was refused first, ISO 8601.")]
    since_s: Annotated[float, Meta(description="Age of that.")]
    attempts: Annotated[int, Meta(description="How often this was tried.")]
    next_s: Annotated[float, Meta(description="Seconds until the next attempt.")]
    holds_back: Annotated[int, Meta(description="Other actions that wait for it.")]


class RoundStatus(Part, frozen=True, kw_only=True):
    """Reconciliation with the kernel."""

    rounds: Annotated[int, Meta(description="Since the daemon started.")]
    changes: Annotated[int, Meta(description="Actions that were performed since then.")]
    reverts: Annotated[int, Meta(description="Actions that reverted external changes.")]
    failures: Annotated[int, Meta(description="Attempts that the kernel refused.")]
    last_s: Annotated[float | None, Meta(description="Age of the last round.")]
    duration_ms: float | None
    converged: Annotated[bool, Meta(description="Whether the kernel matched site.yaml after it.")]
    error: Annotated[str, Meta(description="Why it failed as a whole; empty when it did not.")]
    failing: Annotated[int, Meta(description="Objects that the kernel refuses; all others are in place.")] = 0
    failing_objects: Annotated[
        list[FailingStatus], Meta(description="The first 100 of them, those failing longest first.")
    ] = []


class QuarantineStatus(Part, frozen=True, kw_only=True):
    """A probe that is not run for a while, as it held the checker up or ended it."""

    check: Annotated[str, Meta(description="What it probes.")]
    reason: str
    next_s: Annotated[float, Meta(description="Time until it is run again; `reload` runs it at once.")]


class CheckerStatus(Part, frozen=True, kw_only=True):
    """The health checker."""

    alive: bool
    probes: int
    unable: Annotated[int, Meta(description="Probes that cannot be run on this machine now.")] = 0
    late_ms: Annotated[float | None, Meta(description="99th percentile of how late probes start.")]
    restarts: int
    unstable: Annotated[bool, Meta(description="Whether it was lost three times within 60 s.")] = False
    quarantined: list[QuarantineStatus] = []
    last_s: Annotated[float | None, Meta(description="Age of its last report.")]


class TableStatus(Part, frozen=True, kw_only=True):
    """The IPVS connection table."""

    buckets: int
    connections: int
    warning: str
    hidden_clients: Annotated[
        str,
        Meta(description="That something in front hides the clients' addresses; empty when nothing does."),
    ] = ""


class DamagedRecord(Part, frozen=True, kw_only=True):
    """A record in the state directory that could not be read when the daemon started."""

    file: Annotated[str, Meta(description="Its path.")]
    error: Annotated[str, Meta(description="What is wrong with it.")]
    kept: Annotated[str, Meta(description="Where it is now; empty when it could not be renamed.")]
    consequence: Annotated[str, Meta(description="What follows.")]


class StateStatus(Part, frozen=True, kw_only=True):
    """The state directory."""

    unsaved: Annotated[list[str], Meta(description="Why it cannot be written; empty when it can.")]
    damaged: list[DamagedRecord]


class KernelServerStatus(Part, frozen=True, kw_only=True):
    """A real server of an IPVS service."""

    address: Annotated[str, Meta(description="With its port; `*`: that of the packet.")]
    forwarding: str
    weight: int
    active: int
    inactive: int
    connections: Annotated[int, Meta(description="Since it was added to the kernel.")]
    drain_left_s: Annotated[
        float | None, Meta(description="Seconds until it is removed; None: it does not drain.")
    ]


class KernelServiceStatus(Part, frozen=True, kw_only=True):
    """An IPVS service."""

    service: Annotated[str, Meta(description="Such as `192.0.2.10:80/tcp`.")]
    name: Annotated[str | None, Meta(description="Its virtual service; None: it is of none.")]
    owner: Owner
    scheduler: Annotated[str, Meta(description="With its flags and persistence.")]
    real_servers: list[KernelServerStatus]


class KernelAddressStatus(Part, frozen=True, kw_only=True):
    """An address of this machine, those of `lo` left out."""

    address: Annotated[str, Meta(description="Such as `192.0.2.10/32 dev eth0`.")]
    owner: Owner


class KernelSyncDaemonStatus(Part, frozen=True, kw_only=True):
    """An IPVS sync daemon."""

    role: Annotated[str, Meta(description="`master` or `backup`.")]
    attributes: Annotated[str, Meta(description="Such as `224.0.0.81:8848 on eth1 sync_id 7 ...`.")]
    owner: Owner


class KernelStatus(Part, frozen=True, kw_only=True):
    """What a look at the kernel shows, with whatever others have in it."""

    ipvs_available: bool
    services: list[KernelServiceStatus]
    addresses: list[KernelAddressStatus]
    sync_daemons: list[KernelSyncDaemonStatus]
    pending_changes: Annotated[
        int | None, Meta(description="How many actions `kernelbal plan` has; None without a site file.")
    ]
    draining: Annotated[int, Meta(description="Real servers that are removed when their connections ended.")]


class DirectorStatus(Part, frozen=True, kw_only=True):
    """Everything about a director; what only a daemon knows is None when none was asked."""

    schema_: Literal[1] = field(default=1, name="schema")
    node: Annotated[str, Meta(description="Its name; empty without a node file.")]
    version: str
    pid: int | None
    started: str | None
    uptime_s: float | None
    config: ConfigStatus | None
    reconcile: RoundStatus | None
    checker: CheckerStatus | None
    table: TableStatus
    counters_s: Annotated[float | None, Meta(description="Age of connection counts and rates.")]
    state: Annotated[
        StateStatus | None, Meta(description="The state directory; None when no daemon was asked.")
    ] = None
    internal_errors: Annotated[
        int,
        Meta(description="Tasks that ended with an internal error, and were started again."),
    ] = 0
    kernel: Annotated[
        KernelStatus | None,
        Meta(description="From `kernelbal status` without a daemon or with `--kernel`; None from a daemon."),
    ] = None
    virtual_services: list[ServiceStatus]


class Recorded(Part, frozen=True, kw_only=True):
    """An event as it is streamed and logged."""

    seq: Annotated[int, Meta(description="Grows by one; a gap means that events were lost.")]
    at: Annotated[str, Meta(description="ISO 8601.")]
    topic: str
    severity: Severity
    message: str
    service: str
    server: str
    fields: dict[str, str]


class OrderRequest(Part, frozen=True, kw_only=True):
    """What an operator asks for."""

    server: Annotated[
        str, Meta(max_length=128, description="Name or address of the real server, `ADDRESS:PORT` too.")
    ]
    service: Annotated[
        Annotated[str, Meta(max_length=63)] | None,
        Meta(description="Virtual service; all that have it by default."),
    ] = None
    timeout_s: Annotated[
        Annotated[float, Meta(ge=0, le=30 * 86400)] | None,
        Meta(description="Drain: when to cut what is left; the service's `drain` by default."),
    ] = None
    hold: Annotated[bool, Meta(description="Drain: stay at weight 0 instead of being removed.")] = False
    reason: Annotated[str, Meta(max_length=500)] = ""


class OrderAnswer(Part, frozen=True, kw_only=True):
    """What became of it."""

    servers: Annotated[
        list[ServerStatus], Meta(description="As they were ordered to be; one per virtual service.")
    ]
    services: Annotated[list[str], Meta(description="Their virtual services, in the same order.")]


class ReloadAnswer(Part, frozen=True, kw_only=True):
    """What became of a reload."""

    loaded: bool
    changed: Annotated[bool, Meta(description="Whether the new site differs from the one before.")]
    problems: list[str]


class ProblemDocument(Part, frozen=True, kw_only=True):
    """One problem of a document."""

    file: str | None
    line: int | None
    column: int | None
    key: Annotated[str, Meta(description="Path of the setting; empty for the whole document.")]
    message: str
    expected: str | None
    hint: str | None


class ErrorAnswer(Part, frozen=True, kw_only=True, omit_defaults=True):
    """Why a request was refused."""

    error: str
    hint: str
    kind: Annotated[str, Meta(description="Its class; empty when it is about the request itself.")] = ""
    problems: Annotated[list[ProblemDocument], Meta(description="Of a document that is not valid.")] = []


def problem_document(problem: Problem) -> ProblemDocument:
    """Return a problem as a document."""
    span = problem.span
    return ProblemDocument(
        file=span.file if span else None,
        line=span.line if span else None,
        column=span.column if span else None,
        key=problem.key,
        message=problem.message,
        expected=problem.expected,
        hint=problem.hint,
    )


def problem_of(document: ProblemDocument) -> Problem:
    """Return the problem of a document."""
    file, line, column = document.file, document.line, document.column
    span = None if file is None or line is None or column is None else Span(file, line, column)
    return Problem(document.key, document.message, document.expected, document.hint, span)
