"""Answers that every request may get: documents, and errors in their one form."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import web

from kernelbal.errors import (
    ConfigError,
    InvalidRequest,
    KernelbalError,
    OrderRefused,
    PlanRefused,
    StateError,
)
from kernelbal.model.status import ErrorAnswer, Part, problem_document
from kernelbal.store.codec import encode_document

LOG: Final = logging.getLogger("kernelbal.api")

_STATUSES: Final[tuple[tuple[type[KernelbalError], int], ...]] = (
    (InvalidRequest, 400),
    (OrderRefused, 409),
    (PlanRefused, 409),
    (ConfigError, 422),
    (StateError, 507),
)
"""Errors that are not the daemon's own."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class RequestRefused(Exception):
    """A request that is answered with an error.

    Attributes:
        status: of HTTP.
    """

    def __init__(
        self, status: int, error: str, hint: str = "", headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(error)
        self.status = status
        self.error = error
        self.hint = hint
        self.headers = headers or {}


def json_answer(document: Part) -> web.Response:
    """Return a document as an answer."""
    return web.Response(body=encode_document(document), content_type="application/json")


async def long_json_answer(document: Part) -> web.Response:
    """Return a document that may be long as an answer; it is written in another thread."""
    body = await asyncio.to_thread(encode_document, document)
    return web.Response(body=body, content_type="application/json")


@web.middleware
async def errors_as_documents(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer a request; every error becomes an `ErrorAnswer`, and shows nothing of our inside."""
    try:
        return await handler(request)
    except RequestRefused as refusal:
        return _error_answer(refusal)
    except KernelbalError as error:
        return _answer_to(error)
    except web.HTTPException as error:
        return _error_answer(_refusal_by_router(request, error))
    except ConnectionError:
        raise  # whoever asked is gone
    except Exception:
        LOG.exception("error while answering %s %s", request.method, request.path)
        answer = _error_answer(RequestRefused(500, "internal error", "see the daemon's log"))
        answer.force_close()
        return answer


def _refusal_by_router(request: web.Request, error: web.HTTPException) -> RequestRefused:
    match error:
        case web.HTTPMethodNotAllowed():
            allowed = ", ".join(sorted(error.allowed_methods))
            message = f"method {request.method} is not allowed here"
            return RequestRefused(error.status, message, f"use {allowed}", {"Allow": allowed})
        case web.HTTPNotFound():
            return RequestRefused(
                error.status, "nothing at this path", "GET /v1/openapi.json lists all paths"
            )
        case _:
            return RequestRefused(error.status, error.reason)


def _answer_to(error: KernelbalError) -> web.Response:
    problems = error.problems if isinstance(error, ConfigError) else ()
    answer = json_answer(
        ErrorAnswer(
            error=error.message,
            hint=error.hint or "",
            kind=type(error).__name__,
            problems=[problem_document(each) for each in problems],
        )
    )
    answer.set_status(next((status for kind, status in _STATUSES if isinstance(error, kind)), 503))
    return answer


def _error_answer(refusal: RequestRefused) -> web.Response:
    answer = json_answer(ErrorAnswer(error=refusal.error, hint=refusal.hint))
    answer.set_status(refusal.status)
    answer.headers.update(refusal.headers)
    return answer
