"""Plans and applies that somebody asks the director for, and the confirmation of an apply.

An apply with a time to confirm writes down what to go back to before anything changes. When the time is over,
also because the daemon was away, the documents and orders of before are in force again, and what was applied
stays out until somebody asks for it, or the files change.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Final

from msgspec import structs

from kernelbal.errors import (
    ApiFailed,
    InvalidRequest,
    KernelbalError,
    PlanRefused,
    StateError,
    awaits_confirmation,
)
from kernelbal.model.address import parse_address
from kernelbal.model.answers import (
    ApplyAnswer,
    ApplyRequest,
    ConfirmAnswer,
    ExplainRequest,
    ExplanationDocument,
    PlanAnswer,
    PlanRequest,
    Remark,
)
from kernelbal.model.event import Severity, Topic
from kernelbal.model.ipvs import Protocol
from kernelbal.plan.desire import service_names
from kernelbal.plan.document import apply_document, left_actions, plan_document
from kernelbal.plan.explain.document import explanation_document
from kernelbal.plan.explain.query import ExplainQuery
from kernelbal.plan.feasibility import remarks_on
from kernelbal.plan.kind import Options
from kernelbal.plan.reachability import reachability_problems
from kernelbal.runtime.director import overview
from kernelbal.runtime.director.configuration import (
    APPLY_AGAIN,
    NOT_CONFIRMED,
    Origin,
    Refused,
    fingerprint,
    texts_before,
)
from kernelbal.runtime.director.context import DirectorContext, DirectorState, Replaced
from kernelbal.runtime.director.documents import Documents, Paths, parse, read_texts
from kernelbal.runtime.director.loop import ROUND_WITHIN_S, Loop
from kernelbal.runtime.director.pacer import Cause
from kernelbal.runtime.director.reload import Reloads
from kernelbal.runtime.director.rounds import RoundResult
from kernelbal.store.daemon import GoodDocuments, Unconfirmed

RECENT_S: Final = 60.0
"""A changed file that the director took by itself can still be put on trial for so long, in seconds."""
LOOK_S: Final = 1.0
"""How often the time to confirm is looked at, in seconds: the boot clock goes on while a machine sleeps."""


class Changes:
    """What somebody asks for: plans, applies, and to keep or undo them."""

    def __init__(self, context: DirectorContext, state: DirectorState, loop: Loop, reloads: Reloads) -> None:
        self._context = context
        self._state = state
        self._loop = loop
        self._reloads = reloads

    async def plan(self, request: PlanRequest) -> PlanAnswer:
        """Return what a round would do with documents; see `Control.plan`.

        Raises:
            KernelbalError: the documents are refused, or the kernel cannot be read.
        """
        context, force = self._context, self._state.force.documents
        text = _texts_of(request, force.text)
        names = Paths(Path(request.site_name), Path(request.node_name))
        documents = await self._documents(text, names)
        inputs, options = self._loop.inputs(documents), Options(cut=request.cut)

        def plan() -> PlanAnswer:
            prepared = context.rounds.preview(inputs, options)
            observed = prepared.observed
            known = reachability_problems(force.site, force.node, observed)
            remarks = remarks_on(documents.site, documents.node, observed, force=request.force, known=known)
            service_of = service_names(documents.site)
            document = plan_document(prepared.plan, service_of, observed, request.most)
            return PlanAnswer(plan=document, warnings=remarks)

        return await context.kernel.call(plan)

    async def explain(self, request: ExplainRequest) -> ExplanationDocument:
        """Return where a connection goes; see `Control.explain`.

        Raises:
            InvalidRequest: an address is none, or the port is missing.
            KernelError: the kernel cannot be read.
        """
        try:
            client, virtual = parse_address(request.client), parse_address(request.virtual_address)
        except ValueError as error:
            raise InvalidRequest(str(error), "write `192.0.2.10` or `2001:db8::10`") from error
        if len(client) != len(virtual):
            raise InvalidRequest("client and virtual address are of different address families")
        number = Protocol[request.protocol.upper()]
        query = ExplainQuery(client, virtual, request.port or 0, number, request.client_port)
        rounds, site = self._context.rounds, self._state.force.documents.site
        document = explanation_document(await self._context.kernel.call(rounds.explain, query, site))
        failing = overview.failing_for(self._state, self._context, query.virtual)
        return structs.replace(overview.with_reasons(document, self._state), failing_objects=failing)

    async def apply(self, request: ApplyRequest, by: str) -> ApplyAnswer:
        """Bring the documents on disk into force; see `Control.apply`.

        Raises:
            KernelbalError: they are refused, or something awaits confirmation; then nothing was changed.
        """
        self._own(request)
        context, state = self._context, self._state
        async with self._reloads.lock:
            now = context.clocks.boot()
            if state.unconfirmed is not None:
                raise awaits_confirmation(state.unconfirmed.deadline_at - now)
            force = state.force
            await self._reloads.refresh_api()
            text = await context.files.call(read_texts, context.paths)
            documents = await self._documents(text, context.paths)
            remarks = await self._remarks(documents, force=request.force)
            if request.confirm_s is not None:
                await self._try_out(documents, now + request.confirm_s)
            options = Options(cut=request.cut)
            if documents is force.documents and force.origin is Origin.FILES:
                result = await self._loop.round_after(Cause.CONFIG, options)
            else:
                result = await self._reloads.adopt(documents, by, options=options)
        if result is None:
            hint = "`kernelbal status` shows when it is over"
            raise ApiFailed(f"in force, but its round takes longer than {ROUND_WITHIN_S:.0f} s", hint)
        return self._answer(documents, result, remarks, request.most)

    async def confirm(self, by: str) -> ConfirmAnswer:
        """Keep what was applied; see `Control.confirm`.

        Raises:
            KernelbalError: nothing awaits confirmation, or the record of it cannot be removed.
        """
        async with self._reloads.lock:
            self._pending()
            await self._context.saver.discard_unconfirmed()
            self._state.unconfirmed = self._state.replaced = None
            message = "confirmed: the documents in force stay"
            self._context.reporter.report(Topic.CONFIG_CONFIRMED, message, by=by)
        self._reloads.file_changed()  # what was written meanwhile was put off
        return ConfirmAnswer(digest=self._state.force.documents.digest)

    async def rollback(self, by: str) -> ApplyAnswer:
        """Go back to the documents and orders of before; see `Control.rollback`.

        Raises:
            KernelbalError: nothing awaits confirmation.
        """
        async with self._reloads.lock:
            record = self._pending()
            result = await self._go_back(record, by, f"rolled back by {by}")
        if result is None:
            raise ApiFailed(f"its round takes longer than {ROUND_WITHIN_S:.0f} s", "see `kernelbal status`")
        return self._answer(self._state.force.documents, result, [], 0)

    async def run(self) -> None:
        """Go back whenever the time to confirm is over, until cancelled."""
        while True:
            await asyncio.sleep(LOOK_S)
            record = self._state.unconfirmed
            if record is None or self._context.clocks.boot() < record.deadline_at:
                continue
            async with self._reloads.lock:
                if self._state.unconfirmed is record:
                    await self._go_back(record, "the director", NOT_CONFIRMED)

    async def _documents(self, text: GoodDocuments, names: Paths) -> Documents:
        force = self._state.force.documents
        return force if text == force.text else await self._context.files.call(parse, text, names)

    def _own(self, request: ApplyRequest) -> None:
        """Refuse files that the daemon does not read: what it reads would come back at the next reload.

        Raises:
            PlanRefused: the request names others.
        """
        paths = self._context.paths
        for asked, own in ((request.site, paths.site), (request.node, paths.node)):
            if Path(asked).resolve() != own.resolve():
                where = own.absolute()
                raise PlanRefused(
                    f"the daemon applies {where}, and {asked} is another file",
                    f"see what it would change with `kernelbal plan {asked}`, put it in place"
                    f" (`cp {asked} {where}`), and apply that",
                )

    async def _remarks(self, documents: Documents, *, force: bool) -> list[Remark]:
        now = self._state.force.documents
        observed = await self._context.kernel.call(self._context.rounds.observe)
        known = reachability_problems(now.site, now.node, observed)
        return remarks_on(documents.site, documents.node, observed, force=force, known=known)

    def _pending(self) -> Unconfirmed:
        """Return what awaits confirmation.

        Raises:
            PlanRefused: nothing does.
        """
        if self._state.unconfirmed is None:
            hint = "`kernelbal status` shows whether it was rolled back"
            raise PlanRefused("nothing awaits confirmation", hint)
        return self._state.unconfirmed

    async def _try_out(self, documents: Documents, deadline_at: float) -> None:
        """Write down what to go back to; of documents that are long in force there is nothing to confirm.

        Raises:
            StateError: it cannot be written.
        """
        state, force = self._state, self._state.force
        before = state.replaced
        if documents is not force.documents:
            before = Replaced(force.documents.text, state.orders)
        elif self._context.clocks.boot() - force.at > RECENT_S:
            return
        if before is None:
            return
        record = Unconfirmed(
            boot_id="",
            deadline_at=deadline_at,
            applied=fingerprint(documents.text),
            site=before.text.site.decode(),
            node=before.text.node.decode(),
            orders=dict(before.orders),
        )
        await self._context.saver.save_unconfirmed(record)
        state.unconfirmed = record

    async def _go_back(self, record: Unconfirmed, by: str, why: str) -> RoundResult | None:
        """Bring the documents and orders of before into force; what was applied is refused from now on."""
        context, state = self._context, self._state
        refusal = Refused(state.force.documents.text, why, (APPLY_AGAIN,))
        state.unconfirmed = state.replaced = None
        context.reporter.report(Topic.CONFIG_ROLLED_BACK, why, Severity.WARNING, by=by)
        try:
            before = await context.files.call(parse, texts_before(record), context.paths)
        except KernelbalError as error:
            message = f"cannot roll back: {error.message}"
            context.reporter.report(Topic.CONFIG_REFUSED, message, Severity.ERROR, by=by)
            return None
        try:
            await context.saver.save_unconfirmed(replace(record, over=True))
        except StateError as error:  # the record of before makes a restart go back as well
            context.reporter.report(Topic.STATE_UNSAVED, error.message, Severity.ERROR)
        async with context.saver.ordering:
            state.orders = dict(record.orders)
            await context.saver.save_orders(state.orders)
        return await self._reloads.adopt(before, by, Origin.BEFORE, refusal)

    def _answer(
        self, documents: Documents, result: RoundResult, remarks: list[Remark], most: int | None
    ) -> ApplyAnswer:
        report, names = result.report, service_names(documents.site)
        if report is None:
            raise ApiFailed(result.error, result.hint)
        unconfirmed, now = self._state.unconfirmed, self._context.clocks.boot()
        return ApplyAnswer(
            plan=plan_document(report.plan, names, report.observed, most),
            warnings=remarks,
            report=apply_document(
                report.outcomes, report.remaining, names, converged=report.converged, most=most
            ),
            left=left_actions(report.remaining, names, most),
            confirm_left_s=None if unconfirmed is None else max(0.0, unconfirmed.deadline_at - now),
        )


def _texts_of(request: PlanRequest, force: GoodDocuments) -> GoodDocuments:
    return GoodDocuments(
        force.site if request.site is None else request.site.encode(),
        force.node if request.node is None else request.node.encode(),
    )
