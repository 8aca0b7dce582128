"""Answers that every request may get: documents, and errors in their one form."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import web

from kernelbal.errors import KernelbalError, OrderRefused
from kernelbal.model.status import ErrorAnswer, Part
from kernelbal.store.codec import encode_document

LOG: Final = logging.getLogger("kernelbal.api")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Refusal(Exception):
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


@web.middleware
async def errors_as_documents(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer a request; every error becomes an `ErrorAnswer`, and shows nothing of our inside."""
    try:
        return await handler(request)
    except Refusal as refusal:
        return _error_answer(refusal)
    except OrderRefused as error:
        return _error_answer(Refusal(409, error.message, error.hint or ""))
    except KernelbalError as error:
        return _error_answer(Refusal(503, error.message, error.hint or ""))
    except web.HTTPException as error:
        return _error_answer(_refusal_by_router(request, error))
    except ConnectionError:
        raise  # whoever asked is gone
    except Exception:
        LOG.exception("error while answering %s %s", request.method, request.path)
        answer = _error_answer(Refusal(500, "internal error of kernelbal", "the daemon's log says more"))
        answer.force_close()
        return answer


def _refusal_by_router(request: web.Request, error: web.HTTPException) -> Refusal:
    match error:
        case web.HTTPMethodNotAllowed():
            allowed = ", ".join(sorted(error.allowed_methods))
            message = f"method {request.method} is not allowed here"
            return Refusal(error.status, message, f"use {allowed}", {"Allow": allowed})
        case web.HTTPNotFound():
            return Refusal(error.status, "nothing at this path", "GET /v1/openapi.json lists all paths")
        case _:
            return Refusal(error.status, error.reason)


def _error_answer(refusal: Refusal) -> web.Response:
    answer = json_answer(ErrorAnswer(error=refusal.error, hint=refusal.hint))
    answer.set_status(refusal.status)
    answer.headers.update(refusal.headers)
    return answer
