"""The ownership record, for a daemon whose disk may be full.

An `apply` changes nothing that it cannot write down first. A daemon has to: with a full disk it would go on
sending clients to a real server that died meanwhile.
"""

from __future__ import annotations

import contextlib

from kernelbal.errors import StateError
from kernelbal.plan.kind import Ownership
from kernelbal.plan.kinds import DIRECTOR
from kernelbal.reconcile.round import OwnershipStore


class LiveRecord:
    """A record that can be replaced in memory while it cannot be written.

    That holds as long as the record on the disk claims all that is ours. Of what is newer a crash would only
    lose since when real servers drain, and what is ours no more.

    Args:
        store: where the record is written.
    """

    def __init__(self, store: OwnershipStore) -> None:
        self._store = store
        self._unwritten: Ownership | None = None

    def load(self) -> Ownership:
        """Return the record; writes it first if that is still to be done.

        Raises:
            StateError: it cannot be read.
        """
        if self._unwritten is None:
            return self._store.load()
        newest = self._unwritten
        with contextlib.suppress(StateError):
            self._store.save(newest)
            self._unwritten = None
        return newest

    def save(self, ownership: Ownership) -> None:
        """Replace the record.

        Raises:
            StateError: it cannot be written, and claims what the one on the disk does not.
        """
        try:
            self._store.save(ownership)
        except StateError:
            if not _claims(self._store.load(), ownership):
                raise
            self._unwritten = ownership
        else:
            self._unwritten = None


def _claims(written: Ownership, ownership: Ownership) -> bool:
    """Return whether a record claims everything that another one does."""
    return all(kind.covers(written.of(kind), ownership.of(kind)) for kind in DIRECTOR)
