"""The control API as one table: dispatch, the OpenAPI document and the reference page all come from it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Annotated, Final

from msgspec import Meta

from kernelbal.model.answers import (
    ApplyAnswer,
    ApplyRequest,
    ConfirmAnswer,
    ExplainRequest,
    ExplanationDocument,
    PlanAnswer,
    PlanRequest,
)
from kernelbal.model.choices import Right
from kernelbal.model.status import (
    DirectorStatus,
    OrderAnswer,
    OrderRequest,
    Part,
    Recorded,
    ReloadAnswer,
    ServiceStatus,
)

MAX_EVENTS: Final = 4096
"""Most events in one answer."""


class Endpoint(Enum):
    """What a request is for."""

    STATUS = "status"
    SERVICE = "service"
    EVENTS = "events"
    DRAIN = "drain"
    DISABLE = "disable"
    ENABLE = "enable"
    PLAN = "plan"
    EXPLAIN = "explain"
    APPLY = "apply"
    CONFIRM = "confirm"
    ROLLBACK = "rollback"
    RELOAD = "reload"
    LIVE = "live"
    METRICS = "metrics"
    OPENAPI = "openapi"


class StatusQuery(Part, frozen=True, kw_only=True):
    """How much of the status is asked for."""

    service: Annotated[
        Annotated[str, Meta(max_length=63)] | None, Meta(description="Only this virtual service.")
    ] = None


class EventsQuery(Part, frozen=True, kw_only=True):
    """Which events are wanted."""

    after: Annotated[int, Meta(ge=0, description="Only events with a number above this.")] = 0
    limit: Annotated[int, Meta(ge=1, le=MAX_EVENTS, description="At most so many, the oldest first.")] = 100
    follow: Annotated[
        bool,
        Meta(description="`1`: a stream, one JSON document per line; empty lines are keep-alives."),
    ] = False


class EventsAnswer(Part, frozen=True, kw_only=True):
    """Events, the oldest first."""

    events: list[Recorded]


class LiveAnswer(Part, frozen=True, kw_only=True):
    """The daemon answers."""

    alive: bool


@dataclass(frozen=True, slots=True)
class ApiRoute:
    """One thing that can be asked for.

    Attributes:
        path: as aiohttp's router takes it; `{name}` stands for one segment.
        right: what the caller must be allowed.
        query: model of the query string; None: there is none.
        request: model of the body; None: there is none.
        answer: model of the answer; None where it is no fixed JSON model.
        media: content type of the answer.
    """

    endpoint: Endpoint
    method: str
    path: str
    summary: str
    right: Right
    query: type[Part] | None = None
    request: type[Part] | None = None
    answer: type[Part] | None = None
    media: str = "application/json"


_ORDERS: Final = "/v1/real-servers"

ROUTES: Final = (
    ApiRoute(
        Endpoint.STATUS,
        "GET",
        "/v1/status",
        "The status of this director; each measured part carries its age.",
        Right.READ,
        query=StatusQuery,
        answer=DirectorStatus,
    ),
    ApiRoute(
        Endpoint.SERVICE,
        "GET",
        "/v1/virtual-services/{name}",
        "One virtual service with its real servers.",
        Right.READ,
        answer=ServiceStatus,
    ),
    ApiRoute(
        Endpoint.EVENTS,
        "GET",
        "/v1/events",
        "Events that happened, or a stream of them.",
        Right.READ,
        query=EventsQuery,
        answer=EventsAnswer,
    ),
    ApiRoute(
        Endpoint.DRAIN,
        "POST",
        f"{_ORDERS}/drain",
        "Take a real server out of service, and let its connections end.",
        Right.CHANGE,
        request=OrderRequest,
        answer=OrderAnswer,
    ),
    ApiRoute(
        Endpoint.DISABLE,
        "POST",
        f"{_ORDERS}/disable",
        "Take a real server out of service at once; its connections are cut.",
        Right.CHANGE,
        request=OrderRequest,
        answer=OrderAnswer,
    ),
    ApiRoute(
        Endpoint.ENABLE,
        "POST",
        f"{_ORDERS}/enable",
        "Put a drained or disabled real server back into service.",
        Right.CHANGE,
        request=OrderRequest,
        answer=OrderAnswer,
    ),
    ApiRoute(
        Endpoint.PLAN,
        "POST",
        "/v1/plan",
        "What the next round would do with documents, those in force by default; nothing changes.",
        Right.READ,
        request=PlanRequest,
        answer=PlanAnswer,
    ),
    ApiRoute(
        Endpoint.EXPLAIN,
        "POST",
        "/v1/explain",
        "Which real server a connection gets, as the kernel is now, and why; nothing changes.",
        Right.READ,
        request=ExplainRequest,
        answer=ExplanationDocument,
    ),
    ApiRoute(
        Endpoint.APPLY,
        "POST",
        "/v1/apply",
        "Bring the documents on disk into force, on trial with `confirm_s`, and report the round.",
        Right.CHANGE,
        request=ApplyRequest,
        answer=ApplyAnswer,
    ),
    ApiRoute(
        Endpoint.CONFIRM,
        "POST",
        "/v1/confirm",
        "Keep what was applied on trial.",
        Right.CHANGE,
        answer=ConfirmAnswer,
    ),
    ApiRoute(
        Endpoint.ROLLBACK,
        "POST",
        "/v1/rollback",
        "Go back to the documents and orders of before, and report the round.",
        Right.CHANGE,
        answer=ApplyAnswer,
    ),
    ApiRoute(
        Endpoint.RELOAD,
        "POST",
        "/v1/reload",
        "Re-read the documents, and bring them into force when they are valid.",
        Right.CHANGE,
        answer=ReloadAnswer,
    ),
    ApiRoute(Endpoint.LIVE, "GET", "/v1/live", "Liveness of the daemon.", Right.READ, answer=LiveAnswer),
    ApiRoute(
        Endpoint.METRICS,
        "GET",
        "/metrics",
        "Metrics in the text format of Prometheus.",
        Right.READ,
        media="text/plain",
    ),
    ApiRoute(Endpoint.OPENAPI, "GET", "/v1/openapi.json", "This API as an OpenAPI document.", Right.READ),
)
"""Every route; the application and the OpenAPI document are both made from this table."""
