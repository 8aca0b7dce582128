"""An ownership record in memory."""

from kernelbal.plan.kind import Ownership
from tests.support.builders import service
from tests.support.fake_store import MemoryStore
from tests.support.states import owned_of

OURS = owned_of(services=frozenset({service("192.0.2.10", 80)}))


def test_newest_record_counts_and_all_are_kept() -> None:
    store = MemoryStore()
    assert store.load() == Ownership()
    store.save(OURS)
    store.save(owned_of(boot_id="b"))
    assert store.load() == owned_of(boot_id="b")
    assert store.saved == [OURS, owned_of(boot_id="b")]
