"""An ownership record in memory."""

from kernelbal.model.state import Ownership
from tests.support.fake_store import MemoryStore
from tests.unit.plan.samples import service

OURS = Ownership(services=frozenset({service("192.0.2.10", 80)}))


def test_newest_record_counts_and_all_are_kept() -> None:
    store = MemoryStore()
    assert store.load() == Ownership()
    store.save(OURS)
    store.save(Ownership(boot_id="b"))
    assert store.load() == Ownership(boot_id="b")
    assert store.saved == [OURS, Ownership(boot_id="b")]
