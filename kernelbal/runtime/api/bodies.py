"""What requests bring along, read within limits and validated."""

from __future__ import annotations

import asyncio
from typing import Final, TypeVar

import msgspec
from aiohttp import web

from kernelbal.model.status import Part
from kernelbal.runtime.api.answers import RequestRefused
from kernelbal.store.codec import Malformed, decode_document

BODY_BYTES: Final = 64 * 1024
"""Most bytes of a body."""
BODY_S: Final = 10.0
"""How long a body may take."""
_DOCUMENTED: Final = "see the API reference, or /v1/openapi.json"

P = TypeVar("P", bound=Part)


async def read_body(
    request: web.Request, model: type[P], most_bytes: int = BODY_BYTES, patience_s: float = BODY_S
) -> P:
    """Return the body of a request, validated in another thread when it is long.

    Raises:
        RequestRefused: it is too long, too slow or no JSON, or does not fit `model`; the message says where.
    """
    if request.content_type != "application/json":
        raise RequestRefused(415, "the body must be JSON", "send `Content-Type: application/json`")
    raw = await _read(request, most_bytes, patience_s)
    try:
        if len(raw) > BODY_BYTES:
            return await asyncio.to_thread(decode_document, model, raw)
        return decode_document(model, raw)
    except Malformed as error:
        raise RequestRefused(400, _worded(error.message), _DOCUMENTED) from error


async def _read(request: web.Request, most_bytes: int, patience_s: float) -> bytes:
    too_long = RequestRefused(413, f"the body is longer than {most_bytes} bytes")
    if (request.content_length or 0) > most_bytes:
        raise too_long
    try:
        async with asyncio.timeout(patience_s):
            return await request.clone(client_max_size=most_bytes).read()
    except web.HTTPRequestEntityTooLarge as error:
        raise too_long from error
    except TimeoutError as error:
        raise RequestRefused(408, f"the body did not come within {patience_s:g} s") from error


def read_query(request: web.Request, model: type[P]) -> P:
    """Return the query of a request.

    Raises:
        RequestRefused: it is not what `model` wants, or gives a field twice.
    """
    query = request.query
    twice = [key for key in query if len(query.getall(key)) > 1]
    if twice:
        raise RequestRefused(400, f"{twice[0]}: given twice", _DOCUMENTED)
    try:
        return msgspec.convert(dict(query), model, strict=False)
    except msgspec.ValidationError as error:
        raise RequestRefused(400, _worded(str(error)), _DOCUMENTED) from error


def _worded(complaint: str) -> str:
    """Return a complaint with its field in front."""
    what, _, place = complaint.partition(" - at `$.")
    return f"{place.rstrip('`')}: {what}" if place else what
