"""Large documents, made in a worker thread piece by piece, so that the event loop never waits for long.

One call of a serialiser keeps every other thread out until it is through; so each takes one real server only.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from msgspec import structs

from kernelbal.model.status import ServiceStatus
from kernelbal.runtime.control import StatusSnapshot
from kernelbal.store.codec import encode_document

PIECE_BYTES: Final = 32 * 1024
"""Pieces of a document have about this size."""


def status_json(snapshot: StatusSnapshot, names: Sequence[str] | None = None) -> list[bytes]:
    """Return a `DirectorStatus` as JSON, in pieces.

    Args:
        snapshot: what it is made from.
        names: of the virtual services; all by default.
    """
    return list(joined(_status_json(snapshot, snapshot.names() if names is None else names)))


def service_json(snapshot: StatusSnapshot, name: str) -> list[bytes]:
    """Return a `ServiceStatus` as JSON, in pieces."""
    return list(joined(_service_json(snapshot.service(name))))


def _status_json(snapshot: StatusSnapshot, names: Sequence[str]) -> Iterator[bytes]:
    return _filled(
        encode_document(snapshot.summary()), (_service_json(snapshot.service(name)) for name in names)
    )


def _service_json(service: ServiceStatus) -> Iterator[bytes]:
    servers = service.real_servers
    empty = structs.replace(service, real_servers=[])
    return _filled(encode_document(empty), ((encode_document(server),) for server in servers))


def _filled(outer: bytes, items: Iterable[Iterable[bytes]]) -> Iterator[bytes]:
    """Yield a JSON object whose last field, an empty list in `outer`, holds the items."""
    assert outer.endswith(b"[]}")
    yield outer[:-2]
    for number, item in enumerate(items):
        if number:
            yield b","
        yield from item
    yield b"]}"


def joined(parts: Iterable[bytes]) -> Iterator[bytes]:
    """Yield parts, put together to pieces of about `PIECE_BYTES`."""
    piece = bytearray()
    for part in parts:
        piece += part
        if len(piece) >= PIECE_BYTES:
            yield bytes(piece)
            piece.clear()
    if piece:
        yield bytes(piece)
