"""What is answered to each request."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from typing import Any, Final, TypeVar

from aiohttp import web

from kernelbal.model.answers import MAX_DOCUMENT_CHARACTERS, ApplyRequest, ExplainRequest, PlanRequest
from kernelbal.model.choices import Right
from kernelbal.model.overlay import Admin
from kernelbal.model.status import OrderRequest
from kernelbal.runtime.api import documents, metrics
from kernelbal.runtime.api.access import NOBODY, Caller
from kernelbal.runtime.api.answers import (
    Handler,
    RequestRefused,
    errors_as_documents,
    json_answer,
    long_json_answer,
)
from kernelbal.runtime.api.bodies import BODY_BYTES, read_body, read_query
from kernelbal.runtime.api.openapi import openapi_json
from kernelbal.runtime.api.routes import (
    ROUTES,
    ApiRoute,
    Endpoint,
    EventsAnswer,
    EventsQuery,
    LiveAnswer,
    StatusQuery,
)
from kernelbal.runtime.api.shared import Shared
from kernelbal.runtime.api.stream import DEFAULT_LIMITS, EventStreams, StreamLimits
from kernelbal.runtime.control import Control, StatusSnapshot

T = TypeVar("T")
_CALLER: Final = web.RequestKey("caller", Caller)
DOCUMENT_BYTES: Final = 2 * MAX_DOCUMENT_CHARACTERS
"""Most bytes of a request that brings documents along: a character may take several, quoted."""
_ORDERS: Final = {Endpoint.DRAIN: Admin.DRAIN, Endpoint.DISABLE: Admin.DISABLE, Endpoint.ENABLE: None}


class Handlers:
    """The API over a director.

    Args:
        control: the director.
        identify: says who asks.
        limits: of streams.
    """

    def __init__(
        self,
        control: Control,
        identify: Callable[[web.Request], Caller],
        limits: StreamLimits = DEFAULT_LIMITS,
    ) -> None:
        self._control = control
        self._identify = identify
        self._streams = EventStreams(limits)
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="documents")
        self._status = Shared(lambda: self._made(documents.status_json), control.status_epoch)
        self._metrics = Shared(lambda: self._made(metrics.render), control.status_epoch)
        self._at_work: set[asyncio.Future[Any]] = set()
        self._in_progress: list[tuple[web.Request, Right]] = []

    def application(self) -> web.Application:
        """Return the application with every route; it ends only after what it was asked to carry out."""
        application = web.Application(
            middlewares=[errors_as_documents, self._authenticate],
            client_max_size=BODY_BYTES,
        )
        for route in ROUTES:  # `add_routes` would answer HEAD as well, and send the document in pieces
            application.router.add_route(route.method, route.path, partial(self._handle, route))
        application.on_shutdown.append(self._finish)
        return application

    @web.middleware
    async def _authenticate(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        caller = self._identify(request)
        if caller == NOBODY:
            hint = "send `Authorization: Bearer TOKEN`, or present a client certificate"
            raise RequestRefused(401, "authentication required", hint, {"WWW-Authenticate": "Bearer"})
        request[_CALLER] = caller
        return await handler(request)

    async def _handle(self, route: ApiRoute, request: web.Request) -> web.StreamResponse:
        caller = request[_CALLER]
        _permit(caller, route)
        if route.query is None and request.query_string:
            raise RequestRefused(
                400, f"{next(iter(request.query), '?')}: unknown field", "this request takes no query"
            )
        self._in_progress.append((request, route.right))
        try:
            if route.right is Right.CHANGE:
                return await self._change(route.endpoint, request, caller.name)
            return await self._read(route.endpoint, request)
        finally:
            self._in_progress.remove((request, route.right))

    def is_answering(self, transport: asyncio.BaseTransport) -> bool:
        """Return whether a request of a connection is in progress."""
        return any(request.transport is transport for request, _ in self._in_progress)

    def reauthorise(self) -> None:
        """Cut off whoever reads, and has no right to it any more; changes are carried out and answered."""
        for request, right in list(self._in_progress):
            if right is Right.READ and not self._may_read(request) and request.transport is not None:
                request.transport.abort()

    def _may_read(self, request: web.Request) -> bool:
        try:
            return self._identify(request).may(Right.READ)
        except RequestRefused:
            return False

    async def _read(self, endpoint: Endpoint, request: web.Request) -> web.StreamResponse:
        match endpoint:
            case Endpoint.STATUS:
                return await self._status_of(request, read_query(request, StatusQuery))
            case Endpoint.SERVICE:
                return await self._service(request, request.match_info["name"])
            case Endpoint.EVENTS:
                return await self._events(request)
            case Endpoint.PLAN:
                asked = await read_body(request, PlanRequest, DOCUMENT_BYTES)
                return await long_json_answer(await self._control.plan(asked))
            case Endpoint.EXPLAIN:
                return json_answer(await self._control.explain(await read_body(request, ExplainRequest)))
            case Endpoint.METRICS:
                pieces = await self._metrics.get()
                return await self._streams.send_document(request, pieces, metrics.CONTENT_TYPE)
            case Endpoint.OPENAPI:
                return web.Response(text=_openapi(), content_type="application/json")
            case _:
                return json_answer(LiveAnswer(alive=True))

    async def _change(self, endpoint: Endpoint, request: web.Request, by: str) -> web.Response:
        control, finished = self._control, self._to_the_end
        match endpoint:
            case Endpoint.DRAIN | Endpoint.DISABLE | Endpoint.ENABLE:
                order = await read_body(request, OrderRequest)
                return json_answer(await finished(control.order(_ORDERS[endpoint], order, by)))
            case Endpoint.APPLY:
                asked = await read_body(request, ApplyRequest)
                return await long_json_answer(await finished(control.apply(asked, by)))
            case Endpoint.CONFIRM:
                return json_answer(await finished(control.confirm(by)))
            case Endpoint.ROLLBACK:
                return await long_json_answer(await finished(control.rollback(by)))
            case _:
                return json_answer(await finished(control.reload(by)))

    async def _made(self, make: Callable[[StatusSnapshot], list[bytes]]) -> list[bytes]:
        """Return a document of the whole status as it is now; one is made at a time."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._writer, make, self._control.status())

    async def _status_of(self, request: web.Request, query: StatusQuery) -> web.StreamResponse:
        if query.service is None:
            pieces = await self._status.get()
        else:
            snapshot = self._with_service(query.service)
            pieces = await asyncio.to_thread(documents.status_json, snapshot, (query.service,))
        return await self._streams.send_document(request, pieces, "application/json")

    async def _service(self, request: web.Request, name: str) -> web.StreamResponse:
        pieces = await asyncio.to_thread(documents.service_json, self._with_service(name), name)
        return await self._streams.send_document(request, pieces, "application/json")

    def _with_service(self, name: str) -> StatusSnapshot:
        snapshot = self._control.status()
        names = snapshot.names()
        if name not in names:
            known = f"there are: {', '.join(names[:10])}" if names else ""
            raise RequestRefused(404, f"there is no virtual service `{name}`", known)
        return snapshot

    async def _events(self, request: web.Request) -> web.StreamResponse:
        query = read_query(request, EventsQuery)
        if query.follow:
            return await self._streams.serve(request, self._control.follow(query.after))
        return json_answer(EventsAnswer(events=self._control.recent(query.after, query.limit)))

    async def _to_the_end(self, work: Coroutine[object, object, T]) -> T:
        """Carry something out even when whoever asked for it hangs up meanwhile."""
        future = asyncio.ensure_future(work)
        self._at_work.add(future)
        future.add_done_callback(self._at_work.discard)
        return await asyncio.shield(future)

    async def _finish(self, _: web.Application) -> None:
        pending: set[Awaitable[Any]] = set(self._at_work)
        await asyncio.gather(*pending, return_exceptions=True)
        self._writer.shutdown(wait=False, cancel_futures=True)


def _permit(caller: Caller, route: ApiRoute) -> None:
    if caller.may(route.right):
        return
    groups = "`change_groups`" if route.method != "GET" else "`read_groups` or `change_groups`"
    raise RequestRefused(
        403,
        f"{caller.name} may not do this: it needs the right to {route.right.value}",
        f"do it as root, or name a group of this user in {groups} of `api` in node.yaml",
    )


@cache
def _openapi() -> str:
    return openapi_json()
