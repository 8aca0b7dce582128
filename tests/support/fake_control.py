"""A director that only remembers what it was told; for tests of whoever speaks to one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import NamedTuple, TypeVar

from msgspec import structs

from kernelbal.errors import KernelbalError, OrderRefused
from kernelbal.model.answers import (
    ActionOutcome,
    ApplyAnswer,
    ApplyDocument,
    ApplyRequest,
    ConfirmAnswer,
    ExplainRequest,
    ExplanationDocument,
    PlanAnswer,
    PlanDocument,
    PlannedAction,
    PlannedDrain,
    PlanRequest,
)
from kernelbal.model.event import Severity
from kernelbal.model.health import Health
from kernelbal.model.overlay import Admin, Mode, ServerState
from kernelbal.model.status import (
    AdminStatus,
    CheckerStatus,
    CheckStatus,
    ConfigStatus,
    DirectorStatus,
    FailingStatus,
    OrderAnswer,
    OrderRequest,
    Recorded,
    ReloadAnswer,
    RoundStatus,
    ServerStatus,
    ServiceStatus,
    StateStatus,
    TableStatus,
)

T = TypeVar("T")
AT = "2026-01-02T03:04:05+00:00"


def check_status(address: str = "10.0.0.11") -> CheckStatus:
    """Return a check that is good."""
    return CheckStatus(
        key=f"key-{address}",
        check=f"http {address}:80 /health",
        health=Health.UP,
        since_s=3600.0,
        reason="",
        last_s=2.5,
        response_ms=1.5,
        warning="",
    )


def server_status(address: str = "10.0.0.11", name: str | None = "rs1") -> ServerStatus:
    """Return a real server that serves."""
    return ServerStatus(
        name=name,
        address=address,
        port=0,
        state=ServerState.SERVING,
        health=Health.UP,
        since=AT,
        since_s=3600.0,
        reason="",
        weight=100,
        configured_weight=100,
        weight_reason="",
        ramp_left_s=None,
        admin=None,
        checks=[check_status(address)],
        agent=None,
        active=12,
        inactive=3,
        connections=4321,
        bytes_in=6_500_000,
        bytes_out=1_080_000_000,
        connections_per_s=7.5,
        bytes_in_per_s=1500.0,
        bytes_out_per_s=250000.0,
    )


def down_server_status(address: str = "10.0.0.12", name: str | None = "rs2") -> ServerStatus:
    """Return a real server whose check fails."""
    reason = "http: no answer within 4 s"
    check = structs.replace(
        check_status(address), health=Health.DOWN, since_s=61.0, reason=reason, response_ms=None
    )
    return structs.replace(
        server_status(address, name),
        state=ServerState.DOWN,
        health=Health.DOWN,
        since_s=61.0,
        reason=reason,
        weight=0,
        weight_reason="down",
        checks=[check],
        active=0,
        inactive=0,
    )


def service_status(name: str = "web", servers: list[ServerStatus] | None = None) -> ServiceStatus:
    """Return a virtual service that serves, by default with one real server up and one down."""
    found = [server_status(), down_server_status()] if servers is None else servers
    return ServiceStatus(
        name=name,
        address="192.0.2.10",
        ports="80, 443",
        protocol="tcp",
        forwarding="nat",
        scheduler="wlc",
        mode=Mode.SERVING,
        since=AT,
        since_s=7200.0,
        usable=sum(each.state is ServerState.SERVING for each in found),
        quorum=1,
        real_servers=found,
    )


def director_status(services: list[ServiceStatus] | None = None) -> DirectorStatus:
    """Return the status of a director at work."""
    return DirectorStatus(
        node="lb1",
        version="0.1.0",
        pid=4242,
        started=AT,
        uptime_s=7200.0,
        config=ConfigStatus(
            site="/etc/kernelbal/site.yaml",
            node="/etc/kernelbal/node.yaml",
            digest="0" * 64,
            loaded=AT,
            loaded_s=7200.0,
            refused="",
            problems=[],
        ),
        state=StateStatus(unsaved=[], damaged=[]),
        reconcile=RoundStatus(
            rounds=9,
            changes=14,
            reverts=1,
            failures=0,
            last_s=3.0,
            duration_ms=12.0,
            converged=True,
            error="",
        ),
        checker=CheckerStatus(alive=True, probes=2, late_ms=0.8, restarts=0, last_s=0.5),
        table=TableStatus(buckets=4096, connections=15, warning=""),
        counters_s=1.5,
        virtual_services=[service_status()] if services is None else services,
    )


def recorded(seq: int, topic: str = "real_server.down", server: str = "10.0.0.12") -> Recorded:
    """Return an event."""
    return Recorded(
        seq=seq,
        at=AT,
        topic=topic,
        severity=Severity.WARNING,
        message=f"real server {server} is down: no answer",
        service="web",
        server=server,
        fields={"reason": "no answer"},
    )


class FakeSnapshot(NamedTuple):
    """The snapshot of a status that is there already.

    Attributes:
        looked_at: names of the virtual services that were asked for, in this order.
    """

    status: DirectorStatus
    looked_at: list[str]

    def summary(self) -> DirectorStatus:
        """Return the status without its virtual services."""
        return structs.replace(self.status, virtual_services=[])

    def names(self) -> tuple[str, ...]:
        """Return the names of the virtual services."""
        return tuple(each.name for each in self.status.virtual_services)

    def service(self, name: str) -> ServiceStatus:
        """Return a virtual service."""
        self.looked_at.append(name)
        return next(each for each in self.status.virtual_services if each.name == name)


def plan_document(*texts: str) -> PlanDocument:
    """Return a plan that adds things."""
    actions = [PlannedAction(kind="AddService", sign="+", text=text, impact=None) for text in texts]
    return PlanDocument(
        changes=len(texts),
        adds=len(texts),
        edits=0,
        removes=0,
        actions=actions,
        draining=[],
        foreign={},
        borrowed_addresses=[],
        captured_addresses=[],
        adopted=[],
        missing_sysctls=[],
    )


def plan_answer(*texts: str, draining: Sequence[PlannedDrain] = ()) -> PlanAnswer:
    """Return a plan as an answer."""
    plan = structs.replace(plan_document(*texts), draining=list(draining))
    return PlanAnswer(plan=plan, warnings=[])


def apply_answer(*texts: str, confirm_left_s: float | None = None, draining: int = 0) -> ApplyAnswer:
    """Return an apply that added things."""
    outcomes = [
        ActionOutcome(kind="AddService", text=text, result="done", errno=0, message=None, hint=None)
        for text in texts
    ]
    report = ApplyDocument(
        converged=True,
        changes=len(texts),
        failed=0,
        skipped=0,
        outcomes=outcomes,
        remaining=0,
        draining=draining,
    )
    plan = plan_document(*texts)
    return ApplyAnswer(plan=plan, warnings=[], report=report, left=[], confirm_left_s=confirm_left_s)


def failing_status(**changes: object) -> FailingStatus:
    """Return a virtual service whose scheduler the kernel lacks."""
    found = FailingStatus(
        service="web",
        operation="add virtual service",
        change="+ service `web` 192.0.2.10:80/tcp wlc",
        errno="ENOENT",
        error="the kernel has no scheduler `wlc`",
        hint="modprobe ip_vs_wlc",
        since=AT,
        since_s=200.0,
        attempts=8,
        next_s=41.2,
        holds_back=2,
    )
    return structs.replace(found, **changes)


def explanation() -> ExplanationDocument:
    """Return an explanation that nothing leads anywhere."""
    return ExplanationDocument(
        source="kernel",
        query="198.51.100.7 -> 192.0.2.10:80/tcp",
        client="198.51.100.7",
        client_port=None,
        virtual_address="192.0.2.10",
        port=80,
        protocol="tcp",
        outcome="elsewhere",
        answer="it does not come here",
        service=None,
        service_name=None,
        mark=None,
        masquerade=False,
        real_server=None,
        translated_to=None,
        certainty=None,
        steps=[],
        candidates=[],
    )


class FakeControl:
    """A director in memory.

    Attributes:
        now: the status that it tells.
        orders: what it was ordered: what, which, by whom.
        reloads: who asked for reloads.
        answer: to reloads.
        planned, applied: answers to plans, and to applies and rollbacks.
        error: raised instead of those answers.
        left: connections that a draining real server still has, one number per look at the status.
        gate: orders wait for it.
        epoch: of the status; None: another one each time.
        snapshots: how many were taken.
        looked_at: names of virtual services whose status was made.
    """

    def __init__(self) -> None:
        self.now = director_status()
        self.orders: list[tuple[Admin | None, OrderRequest, str]] = []
        self.reloads: list[str] = []
        self.answer = ReloadAnswer(loaded=True, changed=True, problems=[])
        self.left: list[int] = []
        self.plans: list[PlanRequest] = []
        self.explains: list[ExplainRequest] = []
        self.applies: list[tuple[ApplyRequest | None, str]] = []
        self.planned = plan_answer()
        self.applied = apply_answer()
        self.error: KernelbalError | None = None
        self.events: list[Recorded] = []
        self.ended = False
        self.gate = asyncio.Event()
        self.gate.set()
        self.epoch: object = None
        self.snapshots = 0
        self.looked_at: list[str] = []
        self._more = asyncio.Event()

    def status_epoch(self) -> object:
        """Return the epoch."""
        return object() if self.epoch is None else self.epoch

    def status(self) -> FakeSnapshot:
        """Return the status; draining real servers have lost connections since the last look."""
        self.snapshots += 1
        if self.left:
            self._replace(ServerState.DRAINING, {"active": self.left.pop(0), "inactive": 0})
            if self._find(ServerState.DRAINING) and not self.left:
                self._replace(ServerState.DRAINING, {"state": ServerState.DRAINED, "active": 0})
        return FakeSnapshot(self.now, self.looked_at)

    async def reload(self, by: str) -> ReloadAnswer:
        """Remember who asked."""
        self.reloads.append(by)
        return self.answer

    async def plan(self, request: PlanRequest) -> PlanAnswer:
        """Remember what was to be planned."""
        self.plans.append(request)
        return self.answered(self.planned)

    async def explain(self, request: ExplainRequest) -> ExplanationDocument:
        """Remember what was to be explained."""
        self.explains.append(request)
        return self.answered(explanation())

    async def apply(self, request: ApplyRequest, by: str) -> ApplyAnswer:
        """Remember who applied what."""
        self.applies.append((request, by))
        return self.answered(self.applied)

    async def confirm(self, by: str) -> ConfirmAnswer:
        """Remember who confirmed."""
        self.applies.append((None, by))
        return self.answered(ConfirmAnswer(digest="0" * 64))

    async def rollback(self, by: str) -> ApplyAnswer:
        """Remember who went back."""
        self.applies.append((None, by))
        return self.answered(self.applied)

    def answered(self, answer: T) -> T:
        """Return an answer, or raise `error`.

        Raises:
            KernelbalError: that of the test.
        """
        if self.error is not None:
            raise self.error
        return answer

    async def order(self, admin: Admin | None, request: OrderRequest, by: str) -> OrderAnswer:
        """Remember an order, and let the status show it.

        Raises:
            OrderRefused: no real server has that name or address.
        """
        await self.gate.wait()
        self.orders.append((admin, request, by))
        found = [
            (service, server)
            for service in self.now.virtual_services
            for server in service.real_servers
            if request.server in (server.name, server.address) and request.service in (None, service.name)
        ]
        if not found:
            raise OrderRefused(f"there is no real server `{request.server}`", "there are: rs1, rs2")
        changed = [structs.replace(server, **_ordered(admin, request, by)) for _, server in found]
        for (_, old), new in zip(found, changed, strict=True):
            self._exchange(old, new)
        return OrderAnswer(servers=changed, services=[service.name for service, _ in found])

    def recent(self, after: int, limit: int) -> list[Recorded]:
        """Return events."""
        return [each for each in self.events if each.seq > after][:limit]

    async def follow(self, after: int) -> AsyncIterator[Recorded]:
        """Yield events, and new ones when `tell` is called, until `end`."""
        while True:
            more = self._more
            for each in self.recent(after, len(self.events)):
                after = each.seq
                yield each
            if self.recent(after, 1):
                continue
            if self.ended:
                return
            await more.wait()

    def emit(self, event: Recorded) -> None:
        """Let something happen."""
        self.events.append(event)
        self._wake()

    def end(self) -> None:
        """Let all streams come to an end."""
        self.ended = True
        self._wake()

    def _wake(self) -> None:
        waiting, self._more = self._more, asyncio.Event()
        waiting.set()

    def _find(self, state: ServerState) -> list[ServerStatus]:
        return [
            each
            for service in self.now.virtual_services
            for each in service.real_servers
            if each.state is state
        ]

    def _replace(self, state: ServerState, update: dict[str, object]) -> None:
        for old in self._find(state):
            self._exchange(old, structs.replace(old, **update))

    def _exchange(self, old: ServerStatus, new: ServerStatus) -> None:
        services = [
            structs.replace(
                service, real_servers=[new if each is old else each for each in service.real_servers]
            )
            for service in self.now.virtual_services
        ]
        self.now = structs.replace(self.now, virtual_services=services)


def _ordered(admin: Admin | None, request: OrderRequest, by: str) -> dict[str, object]:
    if admin is None:
        return {"state": ServerState.SERVING, "admin": None, "weight": 100}
    status = AdminStatus(
        order=admin,
        by=by,
        reason=request.reason,
        since=AT,
        everywhere=request.service is None,
        hold=request.hold,
        left_s=request.timeout_s,
        done=False,
    )
    state = ServerState.DRAINING if admin is Admin.DRAIN else ServerState.DISABLED
    return {"state": state, "admin": status, "weight": 0, "since_s": 0.0, "reason": f"{admin.value} by {by}"}
