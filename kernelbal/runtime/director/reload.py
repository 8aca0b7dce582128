"""Reloads: documents that were replaced come into force when they are valid, and are refused otherwise."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Final

from kernelbal.errors import KernelbalError, StateError, awaits_confirmation
from kernelbal.model.event import Severity, Topic
from kernelbal.model.health import ProbeState
from kernelbal.model.node import ApiSettings
from kernelbal.model.status import ReloadAnswer
from kernelbal.plan.kind import DEFAULT_OPTIONS, Options
from kernelbal.runtime.director import overview
from kernelbal.runtime.director.configuration import (
    NOTHING_REFUSED,
    InForce,
    Origin,
    Refused,
    answer_of,
    problems_text,
    refused,
)
from kernelbal.runtime.director.context import DirectorContext, DirectorState, Replaced
from kernelbal.runtime.director.documents import (
    Documents,
    keys_of,
    new_faults,
    parse,
    read_texts,
    refusal_of,
    size_of,
    warning_events,
)
from kernelbal.runtime.director.first_results import inherit
from kernelbal.runtime.director.loop import Loop
from kernelbal.runtime.director.pacer import Cause
from kernelbal.runtime.director.rounds import RoundResult

SETTLE_S: Final = 0.2
"""After a file changed: how long to wait for the rest of what an editor does, in seconds."""


async def _ignore(_: ApiSettings) -> None:
    """Do nothing: no API is served."""


class Reloads:
    """Brings documents into force, one reload at a time.

    Attributes:
        on_load: called with the settings of the API in force each time that documents are read, and when
            others come into force; before the round, so that nobody keeps a right while that lasts.
        lock: held by whoever changes what is in force.
    """

    def __init__(self, context: DirectorContext, state: DirectorState, loop: Loop) -> None:
        self.on_load: Callable[[ApiSettings], Awaitable[None]] = _ignore
        self._context = context
        self._state = state
        self._loop = loop
        self.lock = asyncio.Lock()
        self._changed = asyncio.Event()
        self._hung_up = False

    def file_changed(self) -> None:
        """Note that a document may have been replaced."""
        self._changed.set()

    def hang_up(self) -> None:
        """Note SIGHUP: the documents are to be read again, and every probe is to be run."""
        self._context.checker.end_quarantine()
        self._hung_up = True
        self._changed.set()

    async def run(self) -> None:
        """Load documents that were replaced, until cancelled."""
        while True:
            await self._changed.wait()
            await asyncio.sleep(SETTLE_S)
            self._changed.clear()
            hung_up, self._hung_up = self._hung_up, False
            async with self.lock:
                await self._load("SIGHUP" if hung_up else "a changed file", again=hung_up)

    async def reload(self, by: str) -> ReloadAnswer:
        """Read the documents again, and have every probe run; see `Control.reload`."""
        self._context.checker.end_quarantine()
        async with self.lock:
            return await self._load(by, again=True)

    async def refresh_api(self) -> None:
        """Let the API take over what it has in the documents, and read its certificates again."""
        await self.on_load(self._state.force.documents.node.api)

    async def _load(self, by: str, *, again: bool) -> ReloadAnswer:
        """Load the documents.

        Args:
            by: who asks for it.
            again: somebody asks for it: a text that was refused before is judged again, one that is in force
                has a round, in which the kernel is asked again for all that it refused.
        """
        context, state = self._context, self._state
        await self.refresh_api()
        try:
            text = await context.files.call(read_texts, context.paths)
        except KernelbalError as error:
            return self._refuse(refused(error, None), by)
        if text == state.force.documents.text and state.force.origin is Origin.FILES:
            if state.refusal.why:
                state.refusal = NOTHING_REFUSED
                message = "the files match what is in force again"
                context.reporter.report(Topic.CONFIG_LOADED, message, by=by)
            if again:
                await self._loop.round_after(Cause.CONFIG)
            return answer_of(NOTHING_REFUSED, changed=False)
        if text == state.refusal.text and not again:
            return answer_of(state.refusal, changed=False)
        if state.unconfirmed is not None:
            waits = awaits_confirmation(state.unconfirmed.deadline_at - context.clocks.boot())
            return self._refuse(refused(waits, None), by)
        context.notifier.reloading()
        try:
            documents = await context.files.call(parse, text, context.paths)
            observed = await context.kernel.call(context.rounds.observe)
            found = await context.files.call(new_faults, documents, state.force.documents, observed)
            if found:
                raise refusal_of(found)
            await self.adopt(documents, by)
        except KernelbalError as error:
            return self._refuse(refused(error, text), by)
        finally:
            context.notifier.ready(overview.summary_of(state))
        if state.result is not None and state.result.observed is not None:
            warnings = await context.files.call(warning_events, documents, state.result.observed)
            context.reporter.emit_all(warnings)
        return answer_of(NOTHING_REFUSED, changed=True)

    def _refuse(self, refusal: Refused, by: str) -> ReloadAnswer:
        known = self._state.refusal
        self._state.refusal = refusal
        if (refusal.why, refusal.problems) != (known.why, known.problems):
            message = f"{refusal.why}: {problems_text(refusal)}; the documents before stay in force"
            self._context.reporter.report(
                Topic.CONFIG_REFUSED, message, Severity.ERROR, by=by, problems=len(refusal.problems)
            )
        return answer_of(refusal, changed=False)

    async def adopt(
        self,
        documents: Documents,
        by: str,
        origin: Origin = Origin.FILES,
        refusal: Refused = NOTHING_REFUSED,
        options: Options = DEFAULT_OPTIONS,
    ) -> RoundResult | None:
        """Bring documents into force, with `lock` held; return the result of the round that does so.

        Args:
            documents: from now on in force.
            by: who asks for it.
            origin: where they come from.
            refusal: why the files are not in force, when they are not.
            options: of the round.
        """
        context, state = self._context, self._state
        old, now = state.force.documents, context.clocks.boot()
        if state.force.origin is Origin.BEFORE and state.unconfirmed is None:
            with contextlib.suppress(StateError):  # what was rolled back is out of the way, or in force again
                await context.saver.discard_unconfirmed()
        keys = await context.files.call(keys_of, documents)
        state.states = await self._inherited(documents, now)
        state.replaced = Replaced(old.text, state.orders) if origin is Origin.FILES else None
        state.force = InForce(documents, origin, now)
        state.keys = keys
        state.refusal = refusal
        context.hooks.replace(documents.node.notify)
        message = f"in force: {size_of(documents)}"
        context.reporter.report(Topic.CONFIG_LOADED, message, by=by, digest=documents.digest[:12])
        if documents.node.api.socket != old.node.api.socket:
            message = "`api.socket` in the node document changed: restart the daemon to bring that into force"
            context.reporter.report(Topic.CONFIG_LOADED, message, Severity.WARNING)
        await self.refresh_api()
        await context.saver.save_good(documents.text)
        return await self._loop.round_after(Cause.CONFIG, options)

    async def _inherited(self, documents: Documents, now: float) -> dict[str, ProbeState]:
        """Return the states of the probes of new documents; what is reported meanwhile is newer."""
        state, old = self._state, self._state.force.documents.probes
        reported, known = dict(state.states), state.memory.servers
        states = await self._context.files.call(inherit, old, documents.probes, reported, known, now)
        newer = {key: found for key, found in state.states.items() if found is not reported.get(key)}
        return states | {key: newer[key] for key in newer.keys() & documents.probes.probes.keys()}
