"""Plans, applies and explanations as documents: of the control API, and of `--json`."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, field

from kernelbal.model.status import AS_IT_IS, SEVERAL_LINES, FailingStatus, Part

MAX_DOCUMENT_CHARACTERS = 64 * 1024 * 1024
"""Longest document that is planned over the API; that of 100,000 real servers has a tenth of it."""

NO_NUL = r"^[^\x00]*$"
"""What every path of a file matches."""


class PlannedAction(Part, frozen=True, kw_only=True):
    """One change of the kernel."""

    kind: str
    sign: Annotated[str, Meta(description="`+` adds, `~` changes, `-` removes.")]
    text: str
    impact: Annotated[str | None, Meta(description="What it does to connections; null: nothing.")]
    detail: Annotated[
        str | None, SEVERAL_LINES, Meta(description="What is written, such as the nftables table.")
    ] = None


class PlannedDrain(Part, frozen=True, kw_only=True):
    """A real server that is leaving and still has connections."""

    service: str
    name: Annotated[
        str | None, Meta(description="Name of the virtual service; null when it has left the site.")
    ]
    real_server: str
    connections: int
    left_s: Annotated[float, Meta(description="Seconds until it is removed anyway.")]


class PlanDocument(Part, frozen=True, kw_only=True):
    """What an apply would do, in the order in which it would do it."""

    changes: int
    adds: int
    edits: int
    removes: int
    actions: Annotated[
        list[PlannedAction], Meta(description="May be fewer than `changes`, if fewer were asked for.")
    ]
    draining: list[PlannedDrain]
    foreign: Annotated[
        dict[str, list[str]],
        Meta(description="What is not kernelbal's, such as `services`, by kind: shown, never touched."),
    ]
    borrowed_addresses: Annotated[
        list[str], Meta(description="Configured by someone else, used and left alone.")
    ]
    captured_addresses: Annotated[
        list[str], Meta(description="Those of them of which 1:1 NAT takes everything.")
    ]
    adopted: Annotated[
        list[str], Meta(description="IPVS services that were there already and become kernelbal's.")
    ]
    missing_sysctls: Annotated[list[str], Meta(description="Optional sysctls that this kernel lacks.")]


class Remark(Part, frozen=True, kw_only=True):
    """What may not work, and the remedy."""

    message: str
    hint: str


class ActionOutcome(Part, frozen=True, kw_only=True):
    """How one action ended."""

    kind: str
    text: str
    result: str
    errno: Annotated[int, Meta(description="The kernel's error number; 0 without.")]
    message: str | None
    hint: str | None

    @property
    def failed(self) -> bool:
        """Whether the kernel refused it, or it was not tried because of another."""
        return self.result in ("failed", "skipped")


class ApplyDocument(Part, frozen=True, kw_only=True):
    """How an apply ended."""

    converged: Annotated[
        bool, Meta(description="Whether the kernel matched site.yaml when it was read again.")
    ]
    changes: Annotated[int, Meta(description="Actions that were tried.")]
    failed: Annotated[int, Meta(description="Those of them that the kernel refused.")]
    skipped: Annotated[int, Meta(description="Actions that were not tried, because of those.")]
    outcomes: Annotated[
        list[ActionOutcome], Meta(description="Of all actions, or of as many failures as were asked for.")
    ]
    remaining: Annotated[int, Meta(description="Changes that are still pending.")]
    draining: Annotated[int, Meta(description="Real servers that still have connections.")]


class PlanRequest(Part, frozen=True, kw_only=True):
    """Which documents to plan."""

    site: Annotated[
        Annotated[str, Meta(max_length=MAX_DOCUMENT_CHARACTERS)] | None,
        AS_IT_IS,
        Meta(description="The site document; null: the one in force."),
    ] = None
    node: Annotated[
        Annotated[str, Meta(max_length=MAX_DOCUMENT_CHARACTERS)] | None,
        AS_IT_IS,
        Meta(description="The node document; null: the one in force."),
    ] = None
    site_name: Annotated[Annotated[str, Meta(max_length=4096)], Meta(description="Its name in problems.")] = (
        "site.yaml"
    )
    node_name: Annotated[Annotated[str, Meta(max_length=4096)], Meta(description="Its name in problems.")] = (
        "node.yaml"
    )
    cut: Annotated[bool, Meta(description="Cut connections of what is removed instead of draining.")] = False
    force: Annotated[bool, Meta(description="Plan even what would not work, with a warning.")] = False
    most: Annotated[Annotated[int, Meta(ge=0)] | None, Meta(description="Name at most so many actions.")] = (
        None
    )


class PlanAnswer(Part, frozen=True, kw_only=True):
    """The plan."""

    plan: PlanDocument
    warnings: list[Remark]


class ApplyRequest(Part, frozen=True, kw_only=True):
    """Which documents to bring into force."""

    site: Annotated[
        Annotated[str, Meta(max_length=4096, pattern=NO_NUL)],
        AS_IT_IS,
        Meta(description="Path of the site document, as the daemon reads it."),
    ]
    node: Annotated[
        Annotated[str, Meta(max_length=4096, pattern=NO_NUL)],
        AS_IT_IS,
        Meta(description="Path of the node document, likewise."),
    ]
    confirm_s: Annotated[
        Annotated[float, Meta(ge=1, le=86400)] | None,
        Meta(description="Go back after so many seconds unless it is confirmed."),
    ] = None
    cut: Annotated[bool, Meta(description="Cut connections of what is removed instead of draining.")] = False
    force: Annotated[bool, Meta(description="Apply even what would not work, with a warning.")] = False
    most: Annotated[
        Annotated[int, Meta(ge=0)] | None, Meta(description="Name at most so many, and only failures.")
    ] = None


class ApplyAnswer(Part, frozen=True, kw_only=True):
    """What was done."""

    plan: PlanDocument
    warnings: list[Remark]
    report: ApplyDocument
    left: Annotated[list[PlannedAction], Meta(description="Changes that are still pending.")]
    confirm_left_s: Annotated[
        float | None, Meta(description="Seconds left to confirm; null: nothing to confirm.")
    ]


class ConfirmAnswer(Part, frozen=True, kw_only=True):
    """What was confirmed stays."""

    digest: Annotated[str, Meta(description="SHA-256 of the site document in force.")]


class ExplainRequest(Part, frozen=True, kw_only=True):
    """A new connection from a client."""

    client: Annotated[str, Meta(max_length=64)]
    virtual_address: Annotated[str, Meta(max_length=64)]
    port: Annotated[
        Annotated[int, Meta(ge=1, le=65535)] | None,
        Meta(description="Null: that of the address's one service."),
    ] = None
    protocol: Literal["tcp", "udp", "sctp"] = "tcp"
    client_port: Annotated[int, Meta(ge=1, le=65535)] | None = None


class ExplainedStep(Part, frozen=True, kw_only=True):
    """One decision on the connection's way."""

    topic: str
    verdict: str
    reason: str
    source: str


class ExplainedPath(Part, frozen=True, kw_only=True):
    """How a packet goes on to a real server."""

    method: str
    port: int
    device: str | None
    gateway: str | None
    overhead_bytes: int
    mtu_bytes: int | None
    text: str
    problems: list[str]


class ExplainedReply(Part, frozen=True, kw_only=True):
    """How the answer comes back."""

    way: str
    text: str
    conditions: list[str]
    problems: list[str]


class ExplainedCandidate(Part, frozen=True, kw_only=True):
    """A real server of the service that matched."""

    real_server: str
    name: str | None
    chosen: bool
    weight: int
    active: int
    inactive: int
    upper_threshold: int
    lower_threshold: int
    state: str
    why_out: str | None
    reason: Annotated[str, Meta(description="Why the daemon has it so; empty where there is no reason.")] = ""
    forwarding: ExplainedPath
    return_: ExplainedReply = field(name="return")


class ExplanationDocument(Part, frozen=True, kw_only=True):
    """Where a connection goes, and why."""

    source: Annotated[str, Meta(description="What was read: `kernel`, or `site file`.")]
    query: Annotated[str, Meta(description="The connection, such as `198.51.100.7 -> 192.0.2.10:80/tcp`.")]
    client: str
    client_port: int | None
    virtual_address: str
    port: int
    protocol: str
    outcome: str
    answer: str
    service: str | None
    service_name: str | None
    mark: int | None
    masquerade: bool
    real_server: str | None
    translated_to: str | None
    certainty: str | None
    steps: list[ExplainedStep]
    candidates: list[ExplainedCandidate]
    failing_objects: Annotated[
        list[FailingStatus], Meta(description="What the kernel refuses of what the connection depends on.")
    ] = field(default_factory=list)
