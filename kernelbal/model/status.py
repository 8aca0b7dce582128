"""The director's status: the document of `GET /v1/status`, `kernelbal status --json` and the metrics.

Every measured part carries its age, so that nothing stale pretends to be live. Instants are text in ISO 8601
with the zone; ages and durations are seconds.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class Part(BaseModel):
    """A part of the status."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class AdminStatus(Part):
    """An operator's order that is in force."""

    order: Literal["drain", "disable"]
    by: str = Field(description="Who ordered it.")
    reason: str = Field(description="Why, in the operator's words; may be empty.")
    since: str = Field(description="When, ISO 8601.")
    everywhere: bool = Field(description="Whether it holds in all virtual services.")
    hold: bool = Field(description="Whether it stays at weight 0 when drained.")
    left_s: float | None = Field(
        description="Seconds until remaining connections are cut; None: never, or over."
    )
    done: bool = Field(description="Whether it has no connections left.")


class CheckStatus(Part):
    """One probe of a real server."""

    key: str = Field(description="Identity of the probe; the same in every service that shares it.")
    check: str = Field(description="What is probed, such as `http 10.0.0.11:80 /health`.")
    health: Literal["unknown", "up", "down"]
    since_s: float = Field(description="Age of `health`.")
    reason: str = Field(description="Why it is not up, or why the last probe failed.")
    last_s: float | None = Field(description="Age of the last probe; None before the first.")
    response_ms: float | None = Field(description="Duration of the last good probe.")
    warning: str = Field(description="Such as a certificate that expires soon.")


class ServerStatus(Part):
    """A real server in a virtual service."""

    name: str | None
    address: str
    port: int = Field(description="Port of its own; 0 when it takes the service's.")
    state: Literal[
        "serving", "ramping", "draining", "drained", "disabled", "down", "unknown", "standby", "quiesced"
    ] = Field(description="One word for it; `standby`: up, but its service is not serving by it.")
    health: Literal["unknown", "up", "down"]
    since: str = Field(description="When `state` became what it is, ISO 8601.")
    since_s: float = Field(description="Age of `state`.")
    reason: str = Field(description="Why it is in this state; empty when it simply serves.")
    weight: int = Field(description="In force now.")
    configured_weight: int
    weight_reason: str = Field(description="Why `weight` differs from the configured one.")
    ramp_left_s: float | None = Field(description="Seconds left of slow start.")
    admin: AdminStatus | None
    checks: list[CheckStatus]
    agent: str | None = Field(description="What its agent said last.")
    active: int
    inactive: int
    connections: int = Field(description="Since it was added to the kernel.")
    connections_per_s: float | None = Field(description="None before a second measurement.")
    bytes_in: int = Field(description="Since it was added to the kernel.")
    bytes_out: int = Field(
        description="Since it was added to the kernel; 0 for dsr and tunnel: replies bypass the director."
    )
    bytes_in_per_s: float | None
    bytes_out_per_s: float | None = Field(
        description="Always 0 for dsr and tunnel: replies bypass the director."
    )


class ServiceStatus(Part):
    """A virtual service."""

    name: str
    address: str
    ports: str
    protocol: str
    forwarding: str
    scheduler: str
    mode: Literal["serving", "sorry", "refusing", "kept", "withdrawn"]
    since: str
    since_s: float
    usable: int = Field(description="Real servers that may take connections.")
    quorum: int
    real_servers: list[ServerStatus]


class ConfigStatus(Part):
    """The site file in force."""

    site: str = Field(description="Path of the site file.")
    node: str = Field(description="Path of the node file.")
    digest: str = Field(description="SHA-256 of the site file in force.")
    loaded: str = Field(description="Since when, ISO 8601.")
    loaded_s: float
    refused: str = Field(description="Why a newer one is not in force; empty when there is none.")
    problems: list[str]


class RoundStatus(Part):
    """Reconciliation with the kernel."""

    rounds: int = Field(description="Since the daemon started.")
    changes: int = Field(description="Actions that were performed since then.")
    repairs: int = Field(description="Actions that repaired what others had changed.")
    failures: int = Field(description="Actions that the kernel refused.")
    last_s: float | None = Field(description="Age of the last round.")
    duration_ms: float | None
    converged: bool = Field(description="Whether the kernel was as wanted after it.")
    error: str = Field(description="Why it was not.")


class CheckerStatus(Part):
    """The health checker."""

    alive: bool
    probes: int
    late_ms: float | None = Field(description="99th percentile of how late probes start.")
    restarts: int
    last_s: float | None = Field(description="Age of its last word.")


class TableStatus(Part):
    """The IPVS connection table."""

    buckets: int
    connections: int
    warning: str
    hidden_clients: str = Field(
        "", description="That something in front hides the clients' addresses; empty when nothing does."
    )


class DirectorStatus(Part):
    """Everything about a director."""

    schema_: Literal[1] = Field(1, alias="schema", serialization_alias="schema")
    node: str
    version: str
    pid: int
    started: str
    uptime_s: float
    config: ConfigStatus
    reconcile: RoundStatus
    checker: CheckerStatus
    table: TableStatus
    counters_s: float | None = Field(description="Age of connection counts and rates.")
    virtual_services: list[ServiceStatus]


class Recorded(Part):
    """An event as it is streamed and logged."""

    seq: int = Field(description="Grows by one; a gap means that events were lost.")
    at: str = Field(description="ISO 8601.")
    topic: str
    severity: Literal["info", "notice", "warning", "error"]
    message: str
    service: str
    server: str
    fields: dict[str, str]


class OrderRequest(Part):
    """What an operator asks for."""

    server: str = Field(max_length=128, description="Name or address of the real server, `ADDRESS:PORT` too.")
    service: str | None = Field(
        None, max_length=63, description="Virtual service; all that have it by default."
    )
    timeout_s: float | None = Field(
        None,
        ge=0,
        le=30 * 86400,
        description="Drain: when to cut what is left; the service's `drain` by default.",
    )
    hold: bool = Field(False, description="Drain: stay at weight 0 instead of being removed.")
    reason: str = Field("", max_length=500)


class OrderAnswer(Part):
    """What became of it."""

    servers: list[ServerStatus] = Field(description="As they were ordered to be; one per virtual service.")
    services: list[str] = Field(description="Their virtual services, in the same order.")


class ReloadAnswer(Part):
    """What became of a reload."""

    loaded: bool
    changed: bool = Field(description="Whether the new site differs from the one before.")
    problems: list[str]


class ErrorAnswer(Part):
    """Why a request was refused."""

    error: str
    hint: str = ""
