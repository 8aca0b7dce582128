"""The director: its loop, what comes in, reloads and orders, put together as the daemon's `Control`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from kernelbal.model.answers import (
    ApplyAnswer,
    ApplyRequest,
    ConfirmAnswer,
    ExplainRequest,
    ExplanationDocument,
    PlanAnswer,
    PlanRequest,
)
from kernelbal.model.overlay import Admin
from kernelbal.model.status import OrderAnswer, OrderRequest, Recorded, ReloadAnswer
from kernelbal.runtime.director import overview
from kernelbal.runtime.director.changes import Changes
from kernelbal.runtime.director.context import DirectorContext, DirectorState
from kernelbal.runtime.director.intake import Intake
from kernelbal.runtime.director.loop import Loop
from kernelbal.runtime.director.orders import changed_orders, find_meant
from kernelbal.runtime.director.pacer import Cause
from kernelbal.runtime.director.reload import Reloads
from kernelbal.runtime.director.tasks import Tasks


class Director:
    """A running director, as the control API sees it."""

    def __init__(self, context: DirectorContext, state: DirectorState) -> None:
        self.state = state
        self.loop = Loop(context, state)
        self.reloads = Reloads(context, state, self.loop)
        self.changes = Changes(context, state, self.loop, self.reloads)
        self.intake = Intake(context, state, self.loop, self.reloads)
        self.tasks = Tasks(context.reporter.emit)
        self._context = context

    async def started(self) -> None:
        """Notify hooks, report the start, and have orders written as today, with their copy."""
        self._context.hooks.replace(self.state.force.documents.node.notify)
        self._context.reporter.emit_all(overview.start_events(self.state))
        if self.state.orders:
            await self._context.saver.save_orders(self.state.orders)

    async def attend(self) -> None:
        """Do everything beside rounds until cancelled."""
        keep, context = self.tasks.keep, self._context
        async with asyncio.TaskGroup() as group:
            group.create_task(keep("reloads", self.reloads.run))
            group.create_task(keep("confirmation", self.changes.run))
            group.create_task(keep("state", context.saver.run))
            group.create_task(keep("hooks", context.hooks.run))

    def status(self) -> overview.DirectorSnapshot:
        """Return the status as it is known now; see `Control.status`."""
        self.loop.counters_asked()
        return overview.snapshot_of(self.state, self._context, self.tasks.errors)

    def status_epoch(self) -> object:
        """Return what the status depends on; see `Control.status_epoch`."""
        return overview.epoch_of(self.state)

    async def reload(self, by: str) -> ReloadAnswer:
        """Read the documents again; see `Control.reload`."""
        return await self.reloads.reload(by)

    async def plan(self, request: PlanRequest) -> PlanAnswer:
        """Return what a round would do; see `Control.plan`."""
        return await self.changes.plan(request)

    async def explain(self, request: ExplainRequest) -> ExplanationDocument:
        """Return where a connection goes; see `Control.explain`."""
        return await self.changes.explain(request)

    async def apply(self, request: ApplyRequest, by: str) -> ApplyAnswer:
        """Bring the documents on disk into force; see `Control.apply`."""
        return await self.changes.apply(request, by)

    async def confirm(self, by: str) -> ConfirmAnswer:
        """Keep what was applied; see `Control.confirm`."""
        return await self.changes.confirm(by)

    async def rollback(self, by: str) -> ApplyAnswer:
        """Go back to what was in force before; see `Control.rollback`."""
        return await self.changes.rollback(by)

    async def order(self, admin: Admin | None, request: OrderRequest, by: str) -> OrderAnswer:
        """Carry out an operator's order; see `Control.order`.

        Raises:
            OrderRefused: no such real server or virtual service.
            StateError: the order cannot be written, and is not in force.
        """
        context, state = self._context, self.state
        async with context.saver.ordering:
            meant = find_meant(state.force.documents.site, request)
            before = state.orders
            orders = changed_orders(before, admin, meant, request, by, context.clocks.wall())
            if orders != before:
                await context.saver.accept_orders(orders)
                state.orders = orders
        if orders != before:
            await self.loop.round_after(Cause.ORDER)
        return overview.order_answer(state, context, meant)

    def recent(self, after: int, limit: int) -> list[Recorded]:
        """Return events; see `Control.recent`."""
        return self._context.reporter.journal.recent(after, limit)

    def follow(self, after: int) -> AsyncIterator[Recorded]:
        """Yield events; see `Control.follow`."""
        return self._context.reporter.journal.follow(after)
