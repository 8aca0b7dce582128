"""The records in the state directory: which file holds what, and in which layout."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, make_dataclass
from functools import partial
from typing import Any, Final, Generic, TypeVar

import msgspec

from kernelbal.model.ipvs import ServiceKey
from kernelbal.plan.kind import DesiredState, Ownership
from kernelbal.plan.kinds import KINDS
from kernelbal.store import layout1
from kernelbal.store.codec import LEFT_OUT_IF_DEFAULT, Codec, Malformed, write_as

LAYOUT: Final = 2
"""Number of the layout of all records; of others, only those of `layout1` are read."""
MAX_BYTES: Final = 256 * 1024 * 1024
"""Most that is read of a file of the state directory; 100,000 real servers take 10 MB."""

T = TypeVar("T")


class NewerLayout(Malformed):
    """A record was written by a newer version."""


_UNPROVEN: Final = (
    "then what equals site.yaml is adopted, and nothing that the record alone could prove to be kernelbal's"
    " is removed"
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
        without: what follows when a damaged one is set aside.
    """

    def __init__(self, name: str, kind: type[T], what: str, without: str) -> None:
        self.name = name
        self.what = what
        self.without = without
        self._codec: Codec[T] = Codec(kind, deterministic=True)

    def encode(self, value: T) -> bytes:
        """Return the content of the file; equal values give equal bytes.

        Raises:
            ValueError: a number in it is infinite or none; the message names the part.
        """
        return _ENVELOPES.encode(_Envelope(LAYOUT, msgspec.Raw(self._codec.encode(value)))) + b"\n"

    def decode(self, data: bytes) -> T:
        """Return the value.

        Raises:
            NewerLayout: a newer version has written it.
            Malformed: the content is damaged or of another layout.
        """
        try:
            envelope = _ENVELOPES.decode(data)
        except Malformed as error:
            raise Malformed(f"it is damaged: {error.message}") from error
        earlier = envelope.schema == layout1.LAYOUT and self.name in layout1.CONVERTERS
        if envelope.schema > LAYOUT:
            raise NewerLayout(f"its layout has number {envelope.schema}, this version knows {LAYOUT}")
        if envelope.schema != LAYOUT and not earlier:
            raise Malformed(f"its layout has number {envelope.schema}, this version knows {LAYOUT}")
        try:
            record = layout1.converted(self.name, data) if earlier else bytes(envelope.record) or b"null"
            return self._codec.decode(record)
        except Malformed as error:
            raise Malformed(f"it is damaged: {error.message}") from error


def _by_kind(name: str, types: Mapping[str, object], defaults: Mapping[str, object]) -> type[Any]:
    """Return a data class with a field per kind: the format of a state follows from the list of kinds.

    What says nothing of a later kind is left out: versions before it read the record, and it reads theirs.
    """
    later = {kind.name for kind in KINDS if kind.came_later}
    fields = [
        (
            *(key, kind),
            field(
                default_factory=partial(defaults.__getitem__, key),
                metadata=LEFT_OUT_IF_DEFAULT if key in later else None,
            ),
        )
        for key, kind in types.items()
    ]
    return make_dataclass(name, fields, frozen=True)


def _write_states() -> None:
    recorded = {kind.name: kind.recorded for kind in KINDS if kind.recorded is not None}
    record = _by_kind(
        "OwnershipDocument",
        {"boot_id": str, **recorded},
        {"boot_id": "", **{kind.name: kind.unowned for kind in KINDS}},
    )
    write_as(
        Ownership,
        record,
        lambda value: record(
            boot_id=value.boot_id, **{k: value.parts[k] for k in recorded if k in value.parts}
        ),
        lambda read: Ownership(
            read.boot_id, _parts(read, {k.name: k.unowned for k in KINDS if k.name in recorded})
        ),
    )
    undesired = {kind.name: kind.undesired for kind in KINDS}
    state = _by_kind("StateDocument", {kind.name: kind.desired for kind in KINDS}, undesired)
    write_as(
        DesiredState,
        state,
        lambda value: state(**value.parts),
        lambda read: DesiredState(_parts(read, undesired)),
    )


def _parts(read: object, defaults: Mapping[str, object]) -> dict[str, object]:
    found = {name: getattr(read, name) for name in defaults}
    return {name: part for name, part in found.items() if part != defaults[name]}


_write_states()


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


OWNERSHIP: Final = RecordFile("owned.json", Ownership, "the ownership record", _UNPROVEN)
SNAPSHOT: Final = RecordFile(
    "snapshot.json",
    Snapshot,
    "the snapshot for `kernelbal rollback`",
    "then the last `apply --confirm` is neither confirmed nor rolled back: what it did stays",
)
