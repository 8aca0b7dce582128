"""The records in the state directory: which file holds what, and in which layout."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Generic, TypeVar

import msgspec

from kernelbal.model.ipvs import ServiceKey
from kernelbal.model.state import DesiredState, Ownership
from kernelbal.store.codec import Codec, Malformed

LAYOUT: Final = 2
"""Number of the layout of all records; a file of another one is refused."""

T = TypeVar("T")

_FOREIGN_WITHOUT: Final = (
    "then what it lists counts as foreign, and `kernelbal apply` adopts what the site file names"
)


class _Envelope(msgspec.Struct):
    schema: int
    record: msgspec.Raw = msgspec.Raw()


_ENVELOPES: Final = Codec(_Envelope)


class RecordFile(Generic[T]):
    """One file of the state directory.

    Attributes:
        name: of the file.
        what: it holds, for messages.
        without: what follows when somebody moves a damaged one away.
    """

    def __init__(self, name: str, kind: type[T], what: str, without: str = _FOREIGN_WITHOUT) -> None:
        self.name = name
        self.what = what
        self.without = without
        self._codec: Codec[T] = Codec(kind, deterministic=True)

    def encode(self, value: T) -> bytes:
        """Return the content of the file; equal values give equal bytes."""
        return _ENVELOPES.encode(_Envelope(LAYOUT, msgspec.Raw(self._codec.encode(value)))) + b"\n"

    def decode(self, data: bytes) -> T:
        """Return the value.

        Raises:
            Malformed: the content is damaged or of another layout.
        """
        try:
            envelope = _ENVELOPES.decode(data)
        except Malformed as error:
            raise Malformed(f"it is damaged: {error.message}") from error
        if envelope.schema != LAYOUT:
            raise Malformed(f"its layout has number {envelope.schema}, this version knows {LAYOUT}")
        try:
            return self._codec.decode(envelope.record)
        except Malformed as error:
            raise Malformed(f"it is damaged: {error.message}") from error


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What to come back to when an apply is not confirmed.

    Attributes:
        state: what was ours before the apply.
        deadline_at: until when to confirm, in seconds on the boot clock.
        boot_id: of the boot whose clock that is.
        adopted: services of others among them, which are theirs again after a roll-back.
    """

    state: DesiredState
    deadline_at: float
    boot_id: str
    adopted: frozenset[ServiceKey] = frozenset()


OWNERSHIP: Final = RecordFile("owned.json", Ownership, "the ownership record")
SNAPSHOT: Final = RecordFile("snapshot.json", Snapshot, "the snapshot for `kernelbal rollback`")
