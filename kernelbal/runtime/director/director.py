"""The director: takes in what happens, runs rounds, tells what came of them.

Everything here runs in the event loop; what would block it goes to two workers: one that owns the kernel's
sockets and runs rounds, and one that reads and writes files.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Final, TypeVar

from kernelbal.errors import KernelbalError, KernelError
from kernelbal.health.decision import Facts
from kernelbal.model.event import Event, Severity, Topic
from kernelbal.model.health import ProbeState
from kernelbal.model.site.services import ServerKey
from kernelbal.model.standing import Admin
from kernelbal.model.status import OrderAnswer, OrderRequest, Recorded, ReloadAnswer
from kernelbal.runtime.checker.wire import CheckerReport
from kernelbal.runtime.director import orders as ordering
from kernelbal.runtime.director import overview
from kernelbal.runtime.director.book import Book, Parts
from kernelbal.runtime.director.configuration import (
    NOTHING_REFUSED,
    InForce,
    Origin,
    Refused,
    answer_of,
    refused,
    told,
)
from kernelbal.runtime.director.documents import (
    Documents,
    new_faults,
    parse,
    read_texts,
    refusal_of,
    warnings_of,
)
from kernelbal.runtime.director.drift import repair_event
from kernelbal.runtime.director.first_results import inherit, longest_wait_s, unanswered
from kernelbal.runtime.director.pace import Look, Looks
from kernelbal.runtime.director.pacer import Cause, Ending, Pacer
from kernelbal.runtime.director.rounds import Inputs, Outcomes
from kernelbal.runtime.director.sizes import keys_of, size_of
from kernelbal.runtime.director.status_view import Counted

ANSWER_WITHIN_S: Final = 30.0
"""An order or a reload waits this long for its round, in seconds; it holds in any case."""
CHECKER_WITHIN_S: Final = 30.0
"""The first round waits this long for a checker that does not start, in seconds."""
WARNINGS: Final = 10
"""Most warnings that are told of one document."""
SETTLE_S: Final = 0.2
"""After a file changed: how long to wait for the rest of what an editor does, in seconds."""

T = TypeVar("T")


class Director:
    """A running director; it is the daemon's `Control`.

    Attributes:
        on_load: called after each time that the documents were read, whatever became of it.
    """

    def __init__(self, parts: Parts, book: Book) -> None:
        self.book = book
        self.on_load: Callable[[], None] = lambda: None
        self._parts = parts
        self._pacer = Pacer()
        self._looks = Looks()
        self._wake = asyncio.Event()
        self._stopping = False
        self._waiting: list[asyncio.Future[None]] = []
        self._reloading = asyncio.Lock()
        self._file_changed = asyncio.Event()
        self._hung_up = False
        self._ended = False
        self._status_text = ""
        self._probes_to_send = False
        self._checker_up = False
        self._round_began_at: float | None = None
        self._drained: frozenset[ServerKey] = frozenset()
        self.ready = asyncio.Event()
        self.fatal: KernelbalError | None = None

    # -- what happens --------------------------------------------------------------------------------------

    def note(self, cause: Cause) -> None:
        """Ask for a round."""
        self._pacer.note(cause, self._parts.clocks.boot())
        self._wake.set()

    def take_report(self, report: CheckerReport) -> None:
        """Take in what the checker found."""
        book = self.book
        if not self._checker_up and (report.probes or not book.force.documents.probes.probes):
            self._checker_up = True
            self._say(Topic.CHECKER_STARTED, f"the checker runs {report.probes} probes", Severity.INFO)
        probes = book.force.documents.probes.probes
        changed = False
        for key, state in report.states.items():
            if key in probes:
                changed = _matters(book.states.get(key), state) or changed
                book.states[key] = state
        for notice in report.notices:
            hint = f" (hint: {notice.hint})" if notice.hint else ""
            self._parts.reporter.tell(Event(notice.topic, Severity.WARNING, notice.message + hint))
        book.late_p99_s, book.probing = report.late_p99_s, report.probes
        if changed:
            self._parts.saver.standings_changed()
            if self.ready.is_set():
                self.note(Cause.PROBES)
        self._wake.set()

    def lose_checker(self, reason: str) -> None:
        """Take in that the checker ended; every state stays as it was."""
        self._checker_up = False
        message = f"{reason}; it is started again, and until then every real server stays as it is"
        self._say(Topic.CHECKER_LOST, message, Severity.ERROR)

    def file_changed(self) -> None:
        """Take in that a document may have been replaced."""
        self._file_changed.set()

    def hang_up(self) -> None:
        """Take in SIGHUP: the documents are to be read again."""
        self._hung_up = True
        self._file_changed.set()

    def warn(self, message: str) -> None:
        """Tell of a part of the daemon that does not work."""
        self._say(Topic.DIRECTOR_STARTED, message, Severity.WARNING)

    def stop(self) -> None:
        """End after the round that is under way; the kernel stays as it is."""
        self._stopping = True
        self._wake.set()

    # -- rounds --------------------------------------------------------------------------------------------

    async def run_rounds(self) -> None:
        """Run rounds until `stop`, or until an error that no retry can help (`fatal`)."""
        await self._first_results()
        self.note(Cause.START)
        now = self._parts.clocks.boot
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
            self._release(self._waiting)

    async def _first_results(self) -> None:
        """Wait until each probe has a result, of now or of before a restart, or had its time."""
        book, now = self.book, self._parts.clocks.boot
        documents: Documents | None = None
        until, probing = 0.0, False
        while not self._stopping:
            if documents is not book.force.documents:  # also when they are replaced meanwhile
                documents = book.force.documents
                await self._begin_probes(documents)
                until, probing = now() + CHECKER_WITHIN_S, False
                continue
            probes = documents.probes.probes
            if self._checker_up and not probing:
                until, probing = now() + longest_wait_s(probes.values()), True
            if now() >= until or not unanswered(probes, book.states):
                break
            await self._sleep(until)

    async def _begin_probes(self, documents: Documents) -> None:
        if documents.probes.paths:
            await self._parts.kernel.call(self._parts.rounds.lead_probes, documents)
        self._parts.checker.set_probes(documents.probes.probes, self.book.states)

    async def _sleep(self, until: float) -> None:
        """Sleep until something happens, at most until an instant of the boot clock."""
        try:
            async with asyncio.timeout(max(0.0, until - self._parts.clocks.boot())):
                await self._wake.wait()
        except TimeoutError:
            return
        self._wake.clear()

    async def _round(self) -> None:
        parts, book = self._parts, self.book
        began_at = parts.clocks.boot()
        causes = self._pacer.begin(began_at)
        waiting, self._waiting = self._waiting, []
        self._drained = overview.drained_of(book, parts)
        facts = Facts(
            began_at,
            parts.clocks.wall(),
            dict(book.states),
            dict(book.orders),
            starting=not self.ready.is_set(),
            drained=self._drained,
        )
        self._round_began_at = began_at
        try:
            inputs = Inputs(book.force.documents, facts, book.memory)
            outcomes = await parts.kernel.call(parts.rounds.run, inputs)
            was_ready = self.ready.is_set()
            self._finish_round(outcomes, causes)
            if not was_ready:
                self._warn_of(book.force.documents)
                if book.force.origin is Origin.FILES:
                    await parts.saver.save_good(book.force.documents.text)
        finally:
            self._round_began_at = None
            self._release(waiting)

    def _finish_round(self, outcomes: Outcomes, causes: frozenset[Cause]) -> None:
        book, now = self.book, self._parts.clocks.boot()
        if book.memory != outcomes.decision.memory:
            book.memory = outcomes.decision.memory
            self._parts.saver.standings_changed()
        book.decision = outcomes.decision
        self._tell_round(outcomes, causes)
        book.outcomes = outcomes
        book.tally = book.tally.after(outcomes, now)
        ending = Ending(
            converged=not outcomes.error,
            repaired=bool(outcomes.repaired),
            draining=outcomes.draining,
            next_at=outcomes.decision.next_at,
        )
        self._pacer.end(now, ending)
        self._looks.settled(now)
        self._note_drained()
        if self._probes_to_send:
            self._probes_to_send = False
            self._parts.checker.set_probes(book.force.documents.probes.probes, book.states)
        text = overview.summary_of(book)
        if text != self._status_text:
            self._status_text = text
            self._parts.notifier.status(text)
        if outcomes.fatal is not None:
            self.fatal = outcomes.fatal
            self._stopping = True
        self.ready.set()

    def _tell_round(self, outcomes: Outcomes, causes: frozenset[Cause]) -> None:
        reporter, before = self._parts.reporter, self.book.outcomes
        reporter.tell_all(outcomes.decision.events)
        if outcomes.repaired:
            reporter.tell(repair_event(outcomes.repaired, self.book.keys.names))
        was = before.error if before else ""
        if outcomes.error and outcomes.error != was:
            hint = f" (hint: {outcomes.hint})" if outcomes.hint else ""
            self._say(Topic.ROUND_FAILED, f"{outcomes.error}{hint}; it is tried again", Severity.ERROR)
        elif was and not outcomes.error:
            self._say(Topic.ROUND_RECOVERED, "the kernel is as wanted again")
        changes = len(outcomes.report.outcomes) if outcomes.report else 0
        if changes > len(outcomes.repaired):
            why = "+".join(sorted(cause.value for cause in causes))
            reporter.log(
                f"round.changed cause={why} changes={changes} repairs={len(outcomes.repaired)}"
                f" took_ms={outcomes.took_s * 1000:.0f}"
            )

    def _note_drained(self) -> None:
        """Ask for a round when a drain has ended since the last decision."""
        if self.book.orders and overview.drained_of(self.book, self._parts) != self._drained:
            self.note(Cause.DRAIN)

    async def _look(self, look: Look) -> None:
        """Read something beside rounds; a reading that fails is repeated by a round, which says why."""
        book, rounds, clocks = self.book, self._parts.rounds, self._parts.clocks
        cost_s = 0.0
        try:
            match look:
                case Look.COUNTERS:
                    table, cost_s = await self._measured(lambda: rounds.read_counters(book.keys.all))
                    book.before, book.counted = book.counted, Counted(clocks.boot(), table)
                    book.hidden, more_s = await self._measured(rounds.hidden_clients)
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
        cpu = self._parts.clocks.cpu

        def measure() -> tuple[T, float]:
            started = cpu()
            return read(), cpu() - started

        return await self._parts.kernel.call(measure)

    async def _round_after(self, cause: Cause) -> None:
        """Wait for the end of a round that begins from now on; at the daemon's end there is none."""
        if self._ended:
            return
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(done)
        self.note(cause)
        try:
            async with asyncio.timeout(ANSWER_WITHIN_S):
                await done
        except TimeoutError:
            return

    @staticmethod
    def _release(waiting: list[asyncio.Future[None]]) -> None:
        for done in waiting:
            if not done.done():
                done.set_result(None)

    def stuck_s(self) -> float:
        """Return for how long the round that is under way has run; 0 when there is none."""
        began_at = self._round_began_at
        return 0.0 if began_at is None else self._parts.clocks.boot() - began_at

    # -- documents -----------------------------------------------------------------------------------------

    async def run_reloads(self) -> None:
        """Load documents that were replaced, until cancelled."""
        while True:
            await self._file_changed.wait()
            await asyncio.sleep(SETTLE_S)
            self._file_changed.clear()
            hung_up, self._hung_up = self._hung_up, False
            async with self._reloading:
                await self._load("SIGHUP" if hung_up else "a changed file", again=hung_up)
            self.on_load()

    async def reload(self, by: str) -> ReloadAnswer:
        """Read the documents again; see `Control.reload`."""
        async with self._reloading:
            answer = await self._load(by, again=True)
        self.on_load()
        return answer

    async def _load(self, by: str, *, again: bool) -> ReloadAnswer:
        """Load the documents.

        Args:
            by: who wants it.
            again: judge a text again that was refused before; otherwise nothing is said of it twice.
        """
        parts, book = self._parts, self.book
        try:
            text = await parts.files.call(read_texts, parts.paths)
        except KernelbalError as error:
            return self._refuse(refused(error, None), by)
        if text == book.force.documents.text and book.force.origin is Origin.FILES:
            if book.refusal.why:
                book.refusal = NOTHING_REFUSED
                self._say(Topic.CONFIG_LOADED, "the files are again what is in force", by=by)
            return answer_of(NOTHING_REFUSED, changed=False)
        if text == book.refusal.text and not again:
            return answer_of(book.refusal, changed=False)
        parts.notifier.reloading()
        try:
            documents = await parts.files.call(parse, text, parts.paths)
            observed = await parts.kernel.call(parts.rounds.observe)
            found = new_faults(documents, book.force.documents, observed)
            if found:
                raise refusal_of(found)
            await self._adopt(documents, by)
        except KernelbalError as error:
            return self._refuse(refused(error, text), by)
        finally:
            parts.notifier.ready(overview.summary_of(book))
        self._warn_of(documents)
        return answer_of(NOTHING_REFUSED, changed=True)

    def _warn_of(self, documents: Documents) -> None:
        """Say what of the documents in force may not work on this machine."""
        outcomes = self.book.outcomes
        if outcomes is None or outcomes.report is None:
            return
        found = (
            *new_faults(documents, None, outcomes.report.observed),
            *warnings_of(documents, outcomes.report.observed),
        )
        for fault in found[:WARNINGS]:
            message = f"virtual service `{fault.service}`: {fault.message} (hint: {fault.hint})"
            event = Event(Topic.CONFIG_LOADED, Severity.WARNING, message, service=fault.service)
            self._parts.reporter.tell(event)

    def _refuse(self, refusal: Refused, by: str) -> ReloadAnswer:
        known = self.book.refusal
        self.book.refusal = refusal
        if (refusal.why, refusal.problems) != (known.why, known.problems):
            message = f"{refusal.why}: {told(refusal)}; the documents before stay in force"
            self._say(Topic.CONFIG_REFUSED, message, Severity.ERROR, by=by, problems=len(refusal.problems))
        return answer_of(refusal, changed=False)

    async def _adopt(self, documents: Documents, by: str) -> None:
        parts, book = self._parts, self.book
        old, now = book.force.documents, parts.clocks.boot()
        book.states = inherit(old.probes, documents.probes, book.states, book.memory.servers, now)
        book.force = InForce(documents, Origin.FILES, now)
        book.keys = keys_of(documents)
        book.refusal = NOTHING_REFUSED
        parts.hooks.replace(documents.node.notify)
        self._say(
            Topic.CONFIG_LOADED,
            f"in force: {size_of(documents)}",
            by=by,
            digest=documents.digest[:12],
        )
        if documents.node.api != old.node.api:
            self._say(
                Topic.CONFIG_LOADED,
                "`api` in the node document changed: restart the daemon to bring that into force",
                Severity.WARNING,
            )
        # Probes follow the round, so that those through a virtual address find their way in the kernel.
        self._probes_to_send = True
        await parts.saver.save_good(documents.text)
        await self._round_after(Cause.CONFIG)

    # -- control -------------------------------------------------------------------------------------------

    def status(self) -> overview.Snapshot:
        """Return the status as it is known now; see `Control.status`."""
        self._looks.asked(self._parts.clocks.boot())
        self._wake.set()
        return overview.snapshot_of(self.book, self._parts)

    def status_epoch(self) -> object:
        """Return what the status depends on; see `Control.status_epoch`."""
        return overview.epoch_of(self.book)

    async def order(self, admin: Admin | None, request: OrderRequest, by: str) -> OrderAnswer:
        """Carry out an operator's order; see `Control.order`.

        Raises:
            OrderRefused: no such real server or virtual service.
        """
        parts, book = self._parts, self.book
        meant = ordering.find_meant(book.force.documents.site, request)
        if admin is None:
            changed = ordering.withdraw(book.orders, meant, request)
        else:
            order = ordering.new_order(admin, meant, request, by, parts.clocks.wall())
            changed = ordering.give(book.orders, meant, request, order)
        if changed.orders != book.orders:
            book.orders = changed.orders
            await parts.saver.save_orders(book.orders)
            await self._round_after(Cause.ORDER)
        return overview.order_answer(book, parts, meant)

    def recent(self, after: int, limit: int) -> list[Recorded]:
        """Return events; see `Control.recent`."""
        return self._parts.reporter.journal.recent(after, limit)

    def follow(self, after: int) -> AsyncIterator[Recorded]:
        """Yield events; see `Control.follow`."""
        return self._parts.reporter.journal.follow(after)

    def _say(
        self, topic: Topic, message: str, severity: Severity = Severity.NOTICE, **fields: str | int
    ) -> None:
        self._parts.reporter.say(topic, message, severity, **fields)


def _matters(old: ProbeState | None, new: ProbeState) -> bool:
    """Return whether a decision may depend on the difference."""
    return old is None or (old.health, old.reading, old.warning) != (new.health, new.reading, new.warning)
