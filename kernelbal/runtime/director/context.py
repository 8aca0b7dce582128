"""What a director works with, and its state."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from kernelbal.errors import awaits_confirmation
from kernelbal.health.decision import Decision, Memory
from kernelbal.health.quarantine import Quarantined
from kernelbal.model.health import Probe, ProbeState, ProbeStates
from kernelbal.model.overlay import OperatorKey, Order, Orders
from kernelbal.reconcile.retry import NOTHING_FAILS, Failing
from kernelbal.runtime.director.configuration import NOTHING_REFUSED, InForce, Refused, start
from kernelbal.runtime.director.documents import Keys, Paths, keys_of
from kernelbal.runtime.director.hooks import Hooks
from kernelbal.runtime.director.reporter import Reporter
from kernelbal.runtime.director.rounds import NO_ROUNDS, RoundResult, Rounds, Tally
from kernelbal.runtime.director.saver import Saver
from kernelbal.runtime.director.status_view import Counted
from kernelbal.runtime.director.worker import Worker
from kernelbal.runtime.systemd import Notifier
from kernelbal.store.daemon import DaemonState, GoodDocuments, Unconfirmed
from kernelbal.store.state import Damage


class Checker(Protocol):
    """What the director needs of the checker's supervisor."""

    @property
    def last_report_at(self) -> float | None:
        """When the last report came (boot clock), or None."""
        ...

    @property
    def alive(self) -> bool:
        """Whether a checker runs that has reported."""
        ...

    @property
    def restarts(self) -> int:
        """How often a checker was lost."""
        ...

    @property
    def unstable(self) -> bool:
        """Whether it keeps ending."""
        ...

    @property
    def quarantined(self) -> list[tuple[Probe, Quarantined]]:
        """Probes that are not run for a while, as they held it up or ended it."""
        ...

    def end_quarantine(self) -> None:
        """Run all probes again."""
        ...

    def set_probes(self, probes: Mapping[str, Probe], states: ProbeStates) -> None:
        """Replace what is probed."""
        ...


@dataclass(frozen=True, slots=True)
class Clocks:
    """The clocks of a director, in seconds.

    Attributes:
        boot: since boot.
        wall: since 1970.
        cpu: spent by the calling thread.
    """

    boot: Callable[[], float]
    wall: Callable[[], float]
    cpu: Callable[[], float]


@dataclass(frozen=True, slots=True)
class DirectorContext:
    """What a director works with."""

    paths: Paths
    clocks: Clocks
    kernel: Worker
    files: Worker
    rounds: Rounds
    reporter: Reporter
    hooks: Hooks
    checker: Checker
    saver: Saver
    notifier: Notifier


@dataclass(frozen=True, slots=True)
class Replaced:
    """What was in force before the documents changed."""

    text: GoodDocuments
    orders: Orders


@dataclass(slots=True)
class DirectorState:
    """Everything that changes while a director runs; the status is made from it.

    Attributes:
        force: the documents in force.
        unconfirmed: what awaits confirmation, or None.
        replaced: what the last change of the files replaced; None at the start, and once it is confirmed.
        states: by probe.
        memory: what decisions leave to each other.
        decision: of the last round; None before the first.
        result: of the last round.
        damages: records that could not be read at the start.
        hidden: that something in front hides the clients, in words; empty when nothing does.
        checker_up: whether the checker has reported since it was started.
    """

    force: InForce
    states: dict[str, ProbeState]
    orders: dict[OperatorKey, Order]
    memory: Memory
    keys: Keys
    started_at: float
    refusal: Refused = NOTHING_REFUSED
    unconfirmed: Unconfirmed | None = None
    replaced: Replaced | None = None
    decision: Decision | None = None
    result: RoundResult | None = None
    tally: Tally = NO_ROUNDS
    counted: Counted | None = None
    before: Counted | None = None
    hidden: str = ""
    late_p99_s: float | None = None
    probing: int = 0
    checker_up: bool = False
    damages: tuple[Damage, ...] = ()

    @property
    def failing(self) -> Failing:
        """What the kernel refuses."""
        return self.result.failing if self.result else NOTHING_FAILS

    @property
    def error(self) -> str:
        """Why the last round failed as a whole; empty when it did not."""
        return self.result.error if self.result else ""


def begin(paths: Paths, directory: DaemonState, now: float) -> DirectorState:
    """Return the state of a director that starts; records that cannot be read are set aside first.

    Args:
        paths: of the documents.
        directory: locked by the caller.
        now: seconds on the boot clock.

    Raises:
        PlanRefused: an apply awaits confirmation.
        StateError: a newer version has written a record.
        KernelbalError: the documents are broken, and there is no copy that is any better.
    """
    damages = directory.recover()
    snapshot = directory.load_snapshot()
    if snapshot is not None:
        raise awaits_confirmation(snapshot.deadline_at - now, watched=directory.watched)
    found = start(paths, directory, now)
    health, probes = directory.load_health(), found.documents.probes.probes
    return DirectorState(
        force=InForce(found.documents, found.origin, now),
        states={key: state for key, state in health.states.items() if key in probes},
        orders=directory.load_orders() if found.orders is None else found.orders,
        memory=health.memory,
        keys=keys_of(found.documents),
        started_at=now,
        refusal=found.refusal,
        unconfirmed=found.unconfirmed,
        damages=damages,
    )
