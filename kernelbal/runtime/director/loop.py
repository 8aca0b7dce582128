"""The loop of the director: rounds as they fall due, and looks at the kernel between them.

It runs in the event loop; what touches the kernel runs in the kernel's worker.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable
from typing import Final, TypeVar

from kernelbal.errors import KernelbalError, KernelError
from kernelbal.health.decision import Inputs
from kernelbal.model.site.services import ServerKey
from kernelbal.plan.kind import DEFAULT_OPTIONS, Options
from kernelbal.reconcile.retry import all_due
from kernelbal.runtime.director import overview
from kernelbal.runtime.director.configuration import Origin
from kernelbal.runtime.director.context import DirectorContext, DirectorState
from kernelbal.runtime.director.documents import Documents, warning_events
from kernelbal.runtime.director.first_results import inherit, longest_wait_s, unanswered
from kernelbal.runtime.director.pace import Look, Looks
from kernelbal.runtime.director.pacer import Cause, Ending, Pacer
from kernelbal.runtime.director.rounds import RoundResult, round_events, round_line
from kernelbal.runtime.director.status_view import Counted

ROUND_WITHIN_S: Final = 30.0
"""Who waits for a round waits this long, in seconds; what was asked for holds in any case."""
CHECKER_WITHIN_S: Final = 30.0
"""The first round waits this long for a checker that does not start, in seconds."""

T = TypeVar("T")


class Loop:
    """Runs rounds and looks.

    Attributes:
        ready: set once the first round is over.
        fatal: an error that no retry can help; the loop ends with it.
    """

    def __init__(self, context: DirectorContext, state: DirectorState) -> None:
        self.ready = asyncio.Event()
        self.fatal: KernelbalError | None = None
        self._context = context
        self._state = state
        self._pacer = Pacer()
        self._looks = Looks()
        self._wake = asyncio.Event()
        self._stopping = False
        self._ended = False
        self._waiting: list[asyncio.Future[RoundResult | None]] = []
        self._options = DEFAULT_OPTIONS
        self._round_began_at: float | None = None
        self._drained: frozenset[ServerKey] = frozenset()
        self._probed: Documents | None = None
        self._status_text = ""

    def note(self, cause: Cause) -> None:
        """Ask for a round."""
        self._pacer.note(cause, self._context.clocks.boot())
        self._wake.set()

    def wake(self) -> None:
        """Look again what is due."""
        self._wake.set()

    def stop(self) -> None:
        """End after the round that is under way; the kernel stays as it is."""
        self._stopping = True
        self._wake.set()

    def counters_asked(self) -> None:
        """Note that somebody looks at counters: they are read more often for a while."""
        self._looks.asked(self._context.clocks.boot())
        self._wake.set()

    def stuck_s(self) -> float:
        """Return for how long the round that is under way has run; 0 when there is none."""
        began_at = self._round_began_at
        return 0.0 if began_at is None else self._context.clocks.boot() - began_at

    async def round_after(self, cause: Cause, options: Options = DEFAULT_OPTIONS) -> RoundResult | None:
        """Wait for a round that begins from now on, and return its result.

        Args:
            cause: why it is asked for.
            options: how it plans; rounds after it drain again.

        Returns:
            None at the daemon's end, and when the round takes longer than `ROUND_WITHIN_S`.
        """
        if self._ended:
            return None
        done: asyncio.Future[RoundResult | None] = asyncio.get_running_loop().create_future()
        self._waiting.append(done)
        if options != DEFAULT_OPTIONS:
            self._options = options
        self.note(cause)
        try:
            async with asyncio.timeout(ROUND_WITHIN_S):
                return await done
        except TimeoutError:
            return None

    async def run(self) -> None:
        """Run rounds until `stop`, or until an error that no retry can help."""
        await self._first_results()
        self.note(Cause.START)
        now = self._context.clocks.boot
        try:
            while not self._stopping:
                due_at = self._pacer.due_at()
                if due_at is not None and due_at <= now():
                    await self._round()
                elif self.ready.is_set() and (look := self._looks.due(now())) is not None:
                    await self._look(look)
                else:
                    looks_at = self._looks.next_at() if self.ready.is_set() else None
                    await self._sleep(min(at for at in (due_at, looks_at) if at is not None))
        finally:
            self._ended = True
            _release(self._waiting, None)

    async def _first_results(self) -> None:
        """Wait until each probe has a result, of now or of before a restart, or had its time."""
        state, now = self._state, self._context.clocks.boot
        until, probing = 0.0, False
        while not self._stopping:
            documents = state.force.documents
            if documents is not self._probed:  # also when they are replaced meanwhile
                if documents.probes.paths:
                    await self._context.kernel.call(self._context.rounds.lead_probes, documents)
                self._send_probes(documents)
                until, probing = now() + CHECKER_WITHIN_S, False
                continue
            probes = documents.probes.probes
            if state.checker_up and not probing:
                until, probing = now() + longest_wait_s(probes.values()), True
            if now() >= until or not unanswered(probes, state.states):
                break
            await self._sleep(until)

    def _send_probes(self, documents: Documents) -> None:
        self._probed = documents
        self._context.checker.set_probes(documents.probes.probes, self._state.states)

    async def _sleep(self, until: float) -> None:
        """Sleep until something happens, at most until an instant of the boot clock."""
        try:
            async with asyncio.timeout(max(0.0, until - self._context.clocks.boot())):
                await self._wake.wait()
        except TimeoutError:
            return
        self._wake.clear()

    # -- rounds --------------------------------------------------------------------------------------------

    async def _round(self) -> None:
        context, state = self._context, self._state
        began_at = context.clocks.boot()
        causes = self._pacer.begin(began_at)
        waiting, self._waiting = self._waiting, []
        options, self._options = self._options, DEFAULT_OPTIONS
        result: RoundResult | None = None
        self._drained = overview.drained_of(state, context)
        self._round_began_at = began_at
        try:
            documents = state.force.documents
            failing = all_due(state.failing) if Cause.CONFIG in causes else state.failing
            result = await context.kernel.call(context.rounds.run, self.inputs(documents), failing, options)
            first = not self.ready.is_set()
            self._finish_round(documents, result, causes)
            if first and result.observed is not None:
                warnings = await context.files.call(warning_events, documents, result.observed)
                context.reporter.emit_all(warnings)
            if first and state.force.origin is Origin.FILES:
                await context.saver.save_good(state.force.documents.text)
        finally:
            self._round_began_at = None
            _release(waiting, result)

    def inputs(self, documents: Documents) -> Inputs:
        """Return what a round would be made from now, with these documents in force."""
        state, clocks = self._state, self._context.clocks
        states, force = dict(state.states), state.force.documents
        if documents is not force:
            states = inherit(force.probes, documents.probes, states, state.memory.servers, clocks.boot())
        return Inputs(
            site=documents.site,
            node=documents.node,
            probes=documents.probes,
            now=clocks.boot(),
            wall=clocks.wall(),
            states=states,
            orders=dict(state.orders),
            memory=state.memory,
            starting=not self.ready.is_set(),
            drained=self._drained,
        )

    def _finish_round(self, documents: Documents, result: RoundResult, causes: frozenset[Cause]) -> None:
        context, state, now = self._context, self._state, self._context.clocks.boot()
        if state.memory != result.decision.memory:
            state.memory = result.decision.memory
            context.saver.health_changed()
        context.reporter.emit_all(round_events(result, state.result, state.keys.names, now))
        if line := round_line(result, sorted(cause.value for cause in causes)):
            context.reporter.log(line)
        state.decision, state.result = result.decision, result
        state.tally = state.tally.after(result, now)
        next_at, retry_at = result.decision.next_at, result.retry_at
        ending = Ending(bool(result.error), bool(result.reverted), result.draining, next_at, retry_at)
        self._pacer.end(now, ending)
        self._looks.settled(now)
        self._note_drained()
        # Probes follow the round, so that those through a virtual address find their path in the kernel.
        if self._probed is not documents:
            self._send_probes(documents)
            gc.freeze()  # as in `parse`: what stays until the next reload is there now
        text = overview.summary_of(state)
        if text != self._status_text:
            self._status_text = text
            context.notifier.status(text)
        if result.fatal is not None:
            self.fatal = result.fatal
            self._stopping = True
        self.ready.set()

    def _note_drained(self) -> None:
        """Ask for a round when a drain has ended since the last decision."""
        if self._state.orders and overview.drained_of(self._state, self._context) != self._drained:
            self.note(Cause.DRAIN)

    # -- looks ---------------------------------------------------------------------------------------------

    async def _look(self, look: Look) -> None:
        """Read something beside rounds; a reading that fails is repeated by a round, which says why."""
        state, rounds, clocks = self._state, self._context.rounds, self._context.clocks
        cost_s = 0.0
        try:
            match look:
                case Look.COUNTERS:
                    table, cost_s = await self._measured(lambda: rounds.read_counters(state.keys.all))
                    state.before, state.counted = state.counted, Counted(clocks.boot(), table)
                    state.hidden, more_s = await self._measured(rounds.hidden_clients)
                    cost_s += more_s
                    self._note_drained()
                case Look.GLANCE | Look.TABLE:
                    read = rounds.changed_at_a_glance if look is Look.GLANCE else rounds.changed
                    changed, cost_s = await self._measured(read)
                    if changed:
                        self.note(Cause.TABLE)
        except KernelError:
            self.note(Cause.TABLE)
        self._looks.spent(look, cost_s, clocks.boot())

    async def _measured(self, read: Callable[[], T]) -> tuple[T, float]:
        cpu = self._context.clocks.cpu

        def measure() -> tuple[T, float]:
            started = cpu()
            return read(), cpu() - started

        return await self._context.kernel.call(measure)


def _release(waiting: list[asyncio.Future[RoundResult | None]], result: RoundResult | None) -> None:
    for done in waiting:
        if not done.done():
            done.set_result(result)
