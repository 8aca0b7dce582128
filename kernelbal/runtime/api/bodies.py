"""What requests bring along, read within limits and validated."""

from __future__ import annotations

import asyncio
from typing import Final, TypeVar

from aiohttp import web
from pydantic import ValidationError

from kernelbal.model.status import Part
from kernelbal.runtime.api.answers import Refusal

BODY_BYTES: Final = 64 * 1024
"""Most bytes of a body."""
BODY_S: Final = 10.0
"""How long a body may take."""
_DOCUMENTED: Final = "see the API reference, or /v1/openapi.json"

P = TypeVar("P", bound=Part)


async def read_body(request: web.Request, model: type[P], patience_s: float = BODY_S) -> P:
    """Return the body of a request.

    Raises:
        Refusal: it is too long, too slow, no JSON, or not what `model` wants; the message names the field.
    """
    if request.content_type != "application/json":
        raise Refusal(415, "the body must be JSON", "send `Content-Type: application/json`")
    raw = await _read(request, patience_s)
    try:
        return model.model_validate_json(raw, strict=False)
    except ValidationError as error:
        raise _worded(error) from error


async def _read(request: web.Request, patience_s: float) -> bytes:
    too_long = Refusal(413, f"the body is longer than {BODY_BYTES} bytes")
    if (request.content_length or 0) > BODY_BYTES:
        raise too_long
    try:
        async with asyncio.timeout(patience_s):
            return await request.read()
    except web.HTTPRequestEntityTooLarge as error:
        raise too_long from error
    except TimeoutError as error:
        raise Refusal(408, f"the body did not come within {patience_s:g} s") from error


def read_query(request: web.Request, model: type[P]) -> P:
    """Return the query of a request.

    Raises:
        Refusal: it is not what `model` wants, or gives a field twice.
    """
    query = request.query
    twice = [key for key in query if len(query.getall(key)) > 1]
    if twice:
        raise Refusal(400, f"{twice[0]}: given twice", _DOCUMENTED)
    try:
        return model.model_validate(dict(query))
    except ValidationError as error:
        raise _worded(error) from error


def _worded(error: ValidationError) -> Refusal:
    parts = []
    for each in error.errors(include_url=False, include_context=False, include_input=False):
        field = ".".join(map(str, each["loc"]))
        unknown = "unknown field" if each["type"] == "extra_forbidden" else each["msg"]
        parts.append(f"{field}: {unknown}" if field else unknown)
    return Refusal(400, "; ".join(parts[:8]), _DOCUMENTED)
