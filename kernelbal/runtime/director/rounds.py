"""What one round does in the worker thread: decide, desire, prepare, perform.

Everything that touches the kernel is here, and runs in one thread, one call at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Protocol

from kernelbal.errors import KernelbalError, NotPermitted
from kernelbal.health.decide import decide
from kernelbal.health.decision import Decision, Inputs
from kernelbal.kernel.interface import Kernel
from kernelbal.model.address import AF_INET, Address
from kernelbal.model.event import Event, Severity, Topic
from kernelbal.model.ipvs import CounterTable, ServiceKey
from kernelbal.model.node import Node
from kernelbal.model.overlay import Overlay
from kernelbal.model.site import Site
from kernelbal.model.units import counted
from kernelbal.plan.action import Names, Outcome
from kernelbal.plan.desire import desired_state
from kernelbal.plan.explain.query import ExplainQuery
from kernelbal.plan.explain.result import Explanation
from kernelbal.plan.hidden_clients import SAMPLE, hidden_clients
from kernelbal.plan.kind import DEFAULT_OPTIONS, DesiredState, ObservedState, Options
from kernelbal.plan.kinds import DIRECTOR
from kernelbal.plan.kinds.addresses import ADDRESSES
from kernelbal.plan.kinds.services import SERVICES
from kernelbal.plan.kinds.sysctls import SYSCTLS
from kernelbal.plan.path_checks import path_services, sysctls_of_paths
from kernelbal.plan.planning import Plan, kept_state, scopes
from kernelbal.reconcile.explain import ConnectionsOf, connections_of, explain_kernel
from kernelbal.reconcile.retry import NOTHING_FAILS, Failing, next_attempt_at
from kernelbal.reconcile.round import OwnershipStore, PreparedRound, Reconciler, RoundReport
from kernelbal.runtime.director.documents import Documents
from kernelbal.runtime.director.drift import revert_event, reverting
from kernelbal.runtime.director.failing import failing_events


class ClosableKernel(Kernel, Protocol):
    """A kernel whose clients can be counted, and whose sockets be closed; they are opened when needed."""

    def close(self) -> None:
        """Close every socket."""
        ...

    def count_clients(self, limit: int) -> dict[Address, int]:
        """Return how many connections each client has, among `limit` entries of the connection table.

        Raises:
            KernelError: the table cannot be read.
        """
        ...


@dataclass(frozen=True, slots=True)
class RoundResult:
    """What a round came to.

    Attributes:
        desired: the desired state; None when the kernel could not be read.
        report: how it ended; None when nothing could be done.
        failing: what the kernel refuses; that of before where nothing could be done.
        reverted: the outcomes that reverted external changes.
        error: why the round failed as a whole; empty when it did not, whatever is failing.
        hint: the remedy, or empty.
        took_s: how long it took.
        fatal: an error that no retry can help.
    """

    decision: Decision
    desired: DesiredState | None = None
    report: RoundReport | None = None
    failing: Failing = field(default_factory=dict)
    reverted: tuple[Outcome, ...] = ()
    error: str = ""
    hint: str = ""
    took_s: float = 0.0
    fatal: KernelbalError | None = None

    @property
    def converged(self) -> bool:
        """Whether the kernel matches the desired state."""
        return self.report is not None and self.report.converged

    @property
    def retry_at(self) -> float | None:
        """When something that the kernel refused is tried again; None when nothing is failing."""
        return next_attempt_at(self.failing)

    @property
    def plan(self) -> Plan:
        """What was done and what remains."""
        return self.report.plan if self.report else Plan()

    @property
    def observed(self) -> ObservedState | None:
        """The kernel after the round; None when it could not be read."""
        return self.report.observed if self.report else None

    @property
    def draining(self) -> bool:
        """Whether real servers are leaving."""
        return self.report is not None and bool(self.report.plan.drains or self.report.remaining.drains)


@dataclass(slots=True)
class Rounds:
    """The worker's side of rounds.

    Attributes:
        now: seconds on the boot clock.
        connections: reads the connection table.
        left: the kernel as the last round left it; None before the first, and when a round failed midway.
    """

    kernel: ClosableKernel
    store: OwnershipStore
    now: Callable[[], float]
    left: ObservedState | None = None
    connections: ConnectionsOf = connections_of
    _site: Site | None = None
    _node: Node | None = None
    _overlay: Overlay | None = None
    _desired: DesiredState = field(default_factory=DesiredState)

    def run(
        self, inputs: Inputs, failing: Failing = NOTHING_FAILS, options: Options = DEFAULT_OPTIONS
    ) -> RoundResult:
        """Run one round; an error of the kernel or the disk is part of its result.

        Args:
            inputs: what is decided from.
            failing: what failed in rounds before; not tried before its next attempt is due.
            options: how it is planned.
        """
        started_at = self.now()
        decision = decide(inputs)
        try:
            result = self._reconcile(inputs, decision, failing, options)
        except KernelbalError as error:
            self.kernel.close()
            fatal = error if isinstance(error, NotPermitted) and self.left is None else None
            result = RoundResult(
                decision, failing=failing, error=error.message, hint=error.hint or "", fatal=fatal
            )
            self.left = None
        return replace(result, took_s=self.now() - started_at)

    def _reconcile(
        self, inputs: Inputs, decision: Decision, failing: Failing, options: Options
    ) -> RoundResult:
        desired = self._desire(inputs, decision.overlay)
        reconciler = Reconciler(self.kernel, self.store, self.now)
        prepared = reconciler.prepare(desired, options)
        before, self.left = self.left, None
        report = reconciler.perform(prepared, options, failing=failing)
        self.left = report.observed
        reverted = tuple(reverting(before, prepared.observed, report.outcomes))
        undone = len(report.undone)
        error = f"{counted(undone, 'change')} did not take: something else changes the same objects"
        return RoundResult(decision, desired, report, report.failing, reverted, error if undone else "")

    def _desire(self, inputs: Inputs, overlay: Overlay) -> DesiredState:
        """Return the desired state; made anew only when documents or decision changed."""
        same = self._site is inputs.site and self._node is inputs.node and self._overlay == overlay
        if not same:
            self._desired = desired_state(inputs.site, inputs.node, overlay)
            self._site, self._node, self._overlay = inputs.site, inputs.node, overlay
        return self._desired

    def preview(self, inputs: Inputs, options: Options) -> PreparedRound:
        """Plan what a round would do now; changes nothing.

        Raises:
            KernelError: the kernel cannot be read, or would refuse the nftables table.
            StateError: the ownership record cannot be read.
            PlanRefused: the documents do not fit together.
        """
        overlay = decide(inputs).overlay
        in_force = inputs.site is self._site
        desired = (
            self._desire(inputs, overlay) if in_force else desired_state(inputs.site, inputs.node, overlay)
        )
        try:
            reconciler = Reconciler(self.kernel, self.store, self.now)
            prepared = reconciler.prepare(desired, options)
            reconciler.check_tables(prepared)
        except KernelbalError:
            self.kernel.close()
            raise
        return prepared

    def explain(self, query: ExplainQuery, site: Site) -> Explanation:
        """Return where a connection goes, as the kernel is now.

        Raises:
            KernelError: the kernel cannot be read.
            InvalidRequest: no port is given, and there is not just one.
        """
        return explain_kernel(self.kernel, query, (site, self._desired), self.connections)

    def lead_probes(self, documents: Documents) -> None:
        """Make the kernel lead probes through virtual addresses, and leave everything else as it is.

        Without this the first results of such probes would be failures. An error here comes back in the first
        round, which reports it.
        """
        reconciler = Reconciler(self.kernel, self.store, self.now)
        paths = documents.probes.paths
        try:
            kept = kept_state(DIRECTOR, *reconciler.observe())
            sysctls = {each.path: each for each in kept.of(SYSCTLS)}
            sysctls |= {each.path: each for each in sysctls_of_paths(documents.site, documents.node, paths)}
            services = kept.of(SERVICES)
            table = {**services.table, **dict(path_services(paths))}
            desired = kept.having(SERVICES, replace(services, table=table))
            reconciler.perform(reconciler.prepare(desired.having(SYSCTLS, tuple(sysctls.values()))))
        except KernelbalError:
            self.kernel.close()

    def observe(self) -> ObservedState:
        """Read the kernel, as far as new documents are checked against it.

        Raises:
            KernelError: it cannot be read.
        """
        return self.kernel.observe(scopes(DIRECTOR))

    def changed_at_a_glance(self) -> bool:
        """Return whether there are other numbers of IPv4 services or their real servers than were left.

        Raises:
            KernelError: it cannot be read.
        """
        if self.left is None:
            return False
        seen, left = self.kernel.glance(), self.left.of(SERVICES)
        if seen.services is not None and seen.services != sum(key.family == AF_INET for key in left):
            return True
        return any(
            key not in left or len(left[key].destinations) != count
            for key, count in seen.destinations.items()
        )

    def changed(self) -> bool:
        """Return whether the IPVS table is in any way not as it was left.

        Raises:
            KernelError: it cannot be read.
        """
        return self.left is not None and self.kernel.read_services() != self.left.of(SERVICES)

    def read_counters(self, services: Collection[ServiceKey]) -> CounterTable:
        """Return the counters of services.

        Raises:
            KernelError: they cannot be read.
        """
        return self.kernel.read_counters(services)

    def hidden_clients(self) -> str:
        """Return in words that something in front hides the clients; empty when nothing does.

        Where the table is not for this process to read, as in some containers, nothing is said.

        Raises:
            KernelError: the connection table cannot be read.
        """
        own = {address.key.address for address in self.left.of(ADDRESSES)} if self.left else set()
        try:
            clients = self.kernel.count_clients(SAMPLE)
        except NotPermitted:
            return ""
        return hidden_clients({address: count for address, count in clients.items() if address not in own})

    def close(self) -> None:
        """Close the kernel's sockets; its state stays."""
        self.kernel.close()


def round_events(
    result: RoundResult, before: RoundResult | None, names: Names, now: float
) -> Iterator[Event]:
    """Yield what there is to report of a round; the same error is reported once.

    Args:
        result: of the round.
        before: of the round before it; None when there was none.
        names: of the virtual services.
        now: seconds on the boot clock.
    """
    failing_before, error_before = (before.failing, before.error) if before else (NOTHING_FAILS, "")
    yield from result.decision.events
    if result.reverted:
        yield revert_event(result.reverted, names)
    if result.report is not None:
        yield from failing_events(failing_before, result.report, names, now)
    if result.error and result.error != error_before:
        hint = f" (hint: {result.hint})" if result.hint else ""
        yield Event(Topic.ROUND_FAILED, Severity.ERROR, f"{result.error}{hint}; retried with back-off")
    elif error_before and not result.error:
        yield Event(Topic.ROUND_RECOVERED, Severity.NOTICE, "rounds succeed again")


def round_line(result: RoundResult, causes: Sequence[str]) -> str:
    """Return the log line of a round that changed more than it reverted; empty otherwise."""
    changes = len(result.report.done) if result.report else 0
    if changes <= len(result.reverted):
        return ""
    return (
        f"round.changed cause={'+'.join(causes)} changes={changes} reverts={len(result.reverted)}"
        f" took_ms={result.took_s * 1000:.0f}"
    )


@dataclass(frozen=True, slots=True)
class Tally:
    """What rounds came to since the start.

    Attributes:
        changes: actions that were done.
        reverts: those of them that reverted external changes.
        failures: attempts that the kernel refused.
        ended_at: when the last one ended; None before the first.
    """

    rounds: int = 0
    changes: int = 0
    reverts: int = 0
    failures: int = 0
    ended_at: float | None = None

    def after(self, result: RoundResult, now: float) -> Tally:
        """Return the tally after one more round."""
        report = result.report
        done, failed = (len(report.done), len(report.failed)) if report else (0, 0)
        return replace(
            self,
            rounds=self.rounds + 1,
            changes=self.changes + done,
            reverts=self.reverts + len(result.reverted),
            failures=self.failures + failed,
            ended_at=now,
        )


NO_ROUNDS: Final = Tally()
