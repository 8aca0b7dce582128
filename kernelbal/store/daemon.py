"""What the daemon keeps in the state directory, beside what every apply keeps there.

Orders and good documents outlive a boot. States of probes and the memory of decisions are of the boot clock,
and count for nothing after a reboot.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple

from kernelbal.health.decision import Memory
from kernelbal.model.health import ProbeStates
from kernelbal.model.overlay import OperatorKey, Order, Orders
from kernelbal.store.records import OWNERSHIP, SNAPSHOT, RecordFile
from kernelbal.store.state import HEALTH_FILE, UNCONFIRMED_FILE, Damage, StateDirectory


@dataclass(frozen=True, slots=True)
class HealthRecord:
    """States of probes and what decisions remember, when it was written.

    Attributes:
        boot_id: of the boot whose clock the instants are of.
    """

    boot_id: str = ""
    states: ProbeStates = field(default_factory=dict)
    memory: Memory = field(default_factory=Memory)


@dataclass(frozen=True, slots=True)
class Unconfirmed:
    """What to go back to when an apply is not confirmed.

    Attributes:
        boot_id: of the boot whose clock the deadline is of.
        deadline_at: until when to confirm, in seconds on the boot clock.
        applied: fingerprint of the documents that were applied.
        site, node: the documents before.
        orders: of operators, before.
        over: whether the director went back already: what was applied stays out until it is asked for again.
    """

    boot_id: str
    deadline_at: float
    applied: str
    site: str
    node: str
    orders: dict[OperatorKey, Order] = field(default_factory=dict)
    over: bool = False


HEALTH: Final = RecordFile(
    HEALTH_FILE, HealthRecord, "the states of probes", "then every real server is checked anew"
)
ORDERS: Final = RecordFile(
    "orders.json",
    dict[OperatorKey, Order],
    "operators' orders",
    "then the orders of its copy hold; without one no real server is drained or disabled any more",
)
ORDERS_COPY: Final = RecordFile(
    "orders.copy.json", dict[OperatorKey, Order], "the copy of operators' orders", "then it is made anew"
)


UNCONFIRMED: Final = RecordFile(
    UNCONFIRMED_FILE,
    Unconfirmed,
    "the documents of before an apply",
    "then the documents on disk come into force, confirmed or not",
)


@dataclass(frozen=True, slots=True)
class _GoodRecord:
    site: str
    node: str


GOOD: Final = RecordFile(
    "good.json",
    _GoodRecord,
    "the documents that were in force last",
    "then the daemon starts only with valid documents on disk",
)
"""One file for both: a crash never leaves documents together that were not in force together."""


DAEMON_RECORDS: Final = (OWNERSHIP, SNAPSHOT, ORDERS, ORDERS_COPY, HEALTH, UNCONFIRMED, GOOD)
"""Every record that the daemon reads when it starts."""


class GoodDocuments(NamedTuple):
    """The documents that were in force last, as they were written."""

    site: bytes
    node: bytes


class DaemonState(StateDirectory):
    """A state directory with what the daemon keeps in it."""

    def recover(self) -> tuple[Damage, ...]:
        """Set aside every record that cannot be read, so that the daemon can start without.

        Raises:
            StateError: a newer version has written one; it stays.
        """
        return self.set_damaged_aside(DAEMON_RECORDS)

    def load_orders(self) -> dict[OperatorKey, Order]:
        """Return the orders in force, of the copy where their own file is gone; none without either.

        Raises:
            StateError: the record cannot be read, or is damaged.
        """
        found = self._read(ORDERS)
        return (self._read(ORDERS_COPY) or {}) if found is None else found

    def save_orders(self, orders: Orders) -> None:
        """Replace the orders and their copy; on return they have reached the disk.

        Raises:
            StateError: they cannot be written; then the old ones stay.
        """
        self._write(ORDERS, dict(orders), ORDERS_COPY.name)

    def load_health(self) -> HealthRecord:
        """Return states of probes and memory of this boot; empty when there is no record of it.

        Raises:
            StateError: the record cannot be read, or is damaged.
        """
        found, this_boot = self._read(HEALTH), self._boot()
        return found if found is not None and found.boot_id == this_boot else HealthRecord(this_boot)

    def save_health(self, health: HealthRecord) -> None:
        """Replace states of probes and memory.

        Raises:
            StateError: they cannot be written; then the old ones stay.
        """
        self._write(HEALTH, replace(health, boot_id=self._boot()))

    def load_good(self) -> GoodDocuments | None:
        """Return the last documents that were in force; None when there are none.

        Raises:
            StateError: they cannot be read, or are damaged.
        """
        found = self._read(GOOD)
        return None if found is None else GoodDocuments(found.site.encode(), found.node.encode())

    def save_good(self, documents: GoodDocuments) -> None:
        """Keep the documents that are in force; on return they have reached the disk.

        Raises:
            StateError: they cannot be written; then the old ones stay.
        """
        self._write(GOOD, _GoodRecord(documents.site.decode(), documents.node.decode()))

    def load_unconfirmed(self) -> Unconfirmed | None:
        """Return what to go back to when an apply is not confirmed; its time is over after a reboot.

        Raises:
            StateError: it cannot be read, or is damaged.
        """
        found = self._read(UNCONFIRMED)
        if found is not None and found.boot_id != self._boot():
            return replace(found, deadline_at=0.0)
        return found

    def save_unconfirmed(self, record: Unconfirmed) -> None:
        """Replace what to go back to, under the clock of this boot; on return it has reached the disk.

        Raises:
            StateError: it cannot be written; then the old record stays.
        """
        self._write(UNCONFIRMED, replace(record, boot_id=self._boot()))

    def discard_unconfirmed(self) -> None:
        """Forget what to go back to, if there is anything.

        Raises:
            StateError: it cannot be removed.
        """
        self._remove(UNCONFIRMED.name)
