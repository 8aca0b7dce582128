"""An ownership record that outlives a full disk."""

import pytest

from kernelbal.errors import StateError
from kernelbal.model.ipvs import Drain, DrainKey, ServiceKey
from kernelbal.plan.kind import Ownership
from kernelbal.runtime.director.record import LiveRecord
from tests.support.director_harness import WEB, destination
from tests.support.fake_store import MemoryStore
from tests.support.states import owned_of

OTHER = ServiceKey(2, 0, WEB.address, 0, 7)
OURS = owned_of(services=frozenset({WEB}))
DRAINING = owned_of(
    services=frozenset({WEB}), drains={DrainKey(WEB, destination("10.0.0.11")): Drain(1.0, 9.0)}
)


class Disk(MemoryStore):
    """A store whose disk may be full."""

    full = False

    def save(self, ownership: Ownership) -> None:
        if self.full:
            raise StateError("No space left on device", "check the disk")
        super().save(ownership)


def test_without_a_fault_everything_is_written() -> None:
    record = LiveRecord(disk := Disk())
    record.save(OURS)
    assert disk.saved == [OURS]
    assert record.load() == OURS


def test_what_claims_nothing_new_is_kept_until_it_can_be_written() -> None:
    record = LiveRecord(disk := Disk([OURS]))
    disk.full = True
    record.save(DRAINING)
    assert record.load() == DRAINING
    assert disk.saved == [OURS]
    disk.full = False
    assert record.load() == DRAINING
    assert disk.saved == [OURS, DRAINING]
    assert record.load() == DRAINING
    assert len(disk.saved) == 2


def test_what_is_new_is_refused_as_nobody_would_know_after_a_crash_that_it_is_ours() -> None:
    record = LiveRecord(disk := Disk([OURS]))
    disk.full = True
    with pytest.raises(StateError, match="No space"):
        record.save(owned_of(services=frozenset({WEB, OTHER})))
    assert record.load() == OURS
