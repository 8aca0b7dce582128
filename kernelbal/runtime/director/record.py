"""The ownership record, for a daemon whose disk may be full or fail.

An `apply` changes nothing that it cannot write down first. A daemon has to: with a full disk it would program
nothing after a boot, and go on sending clients to a real server that died meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable

from kernelbal.errors import StateError
from kernelbal.plan.kind import Ownership
from kernelbal.reconcile.round import OwnershipStore


class LiveRecord:
    """A record that is read once, held in memory, and written whenever that is possible.

    What a crash loses of it while it is not written is no longer known to be ours: the next start adopts what
    equals the desired state, and leaves the rest alone.

    Args:
        store: where the record is written.
        written: called after each attempt to write, in the thread of the caller; with its error, or None.
    """

    def __init__(self, store: OwnershipStore, written: Callable[[StateError | None], None]) -> None:
        self._store = store
        self._written = written
        self._record: Ownership | None = None
        self._unwritten = False

    def load(self) -> Ownership:
        """Return the record; writes it first if that is still to be done.

        Raises:
            StateError: it has never been read, and cannot be read now.
        """
        if self._record is None:
            self._record = self._store.load()
        if self._unwritten:
            self.save(self._record)
        return self._record

    def save(self, ownership: Ownership) -> None:
        """Replace the record."""
        self._record = ownership
        error: StateError | None = None
        try:
            self._store.save(ownership)
        except StateError as refusal:
            error = refusal
        self._unwritten = error is not None
        self._written(error)
