"""An ownership record that outlives a full disk."""

from kernelbal.errors import StateError
from kernelbal.plan.kind import Ownership
from kernelbal.runtime.director.record import LiveRecord
from tests.support.director_harness import WEB
from tests.support.fake_store import MemoryStore
from tests.support.states import owned_of

OURS = owned_of(services=frozenset({WEB}))


class Disk(MemoryStore):
    """A store whose disk may be full, or fail."""

    full = False
    broken = False

    def load(self) -> Ownership:
        if self.broken:
            raise StateError("Input/output error")
        return super().load()

    def save(self, ownership: Ownership) -> None:
        if self.full:
            raise StateError("No space left on device", "check the disk")
        super().save(ownership)


def test_what_cannot_be_written_holds_and_is_written_once_there_is_room() -> None:
    errors: list[str] = []
    record = LiveRecord(disk := Disk(), lambda error: errors.append(error.message if error else ""))
    disk.full = True
    record.save(OURS)
    assert record.load() == OURS
    assert disk.saved == []
    disk.full = False
    assert record.load() == OURS
    assert record.load() == OURS
    assert disk.saved == [OURS]
    assert errors == ["No space left on device", "No space left on device", ""]


def test_a_disk_that_fails_later_does_not_matter() -> None:
    record = LiveRecord(disk := Disk([OURS]), lambda _: None)
    assert record.load() == OURS
    disk.broken = True
    assert record.load() == OURS
