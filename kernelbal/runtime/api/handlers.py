"""What is answered to each request."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from functools import cache
from typing import Any, Final, TypeVar
from urllib.parse import unquote

from aiohttp import web

from kernelbal.errors import KernelbalError, OrderRefused
from kernelbal.model.standing import Admin
from kernelbal.model.status import OrderRequest, Part
from kernelbal.runtime.api import metrics
from kernelbal.runtime.api.access import NOBODY, Caller
from kernelbal.runtime.api.bodies import read_body, read_query
from kernelbal.runtime.api.http import Refusal, error_answer
from kernelbal.runtime.api.openapi import openapi_json
from kernelbal.runtime.api.routes import Endpoint, EventsAnswer, EventsQuery, LiveAnswer, Route, find_routes
from kernelbal.runtime.api.stream import DEFAULT_PACE, Pace, Streams
from kernelbal.runtime.control import Control

T = TypeVar("T")
_ORDERS: Final = {Endpoint.DRAIN: Admin.DRAIN, Endpoint.DISABLE: Admin.DISABLE, Endpoint.ENABLE: None}


class Handlers:
    """The API over a director.

    Args:
        control: the director.
        identify: says who asks.
        pace: limits of streams.
    """

    def __init__(
        self,
        control: Control,
        identify: Callable[[web.BaseRequest], Caller],
        pace: Pace = DEFAULT_PACE,
    ) -> None:
        self._control = control
        self._identify = identify
        self._streams = Streams(pace)
        self._at_work: set[asyncio.Future[Any]] = set()

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request."""
        try:
            caller = self._caller(request)
            route, name = _route(request)
            _permit(caller, route)
            return await self._answer(request, route, unquote(name), caller)
        except Refusal as refusal:
            return error_answer(refusal)
        except OrderRefused as error:
            return error_answer(Refusal(409, error.message, error.hint or ""))
        except KernelbalError as error:
            return error_answer(Refusal(503, error.message, error.hint or ""))

    def _caller(self, request: web.BaseRequest) -> Caller:
        caller = self._identify(request)
        if caller == NOBODY:
            hint = "send `Authorization: Bearer TOKEN`, or come with a client certificate"
            raise Refusal(401, "who is there?", hint, {"WWW-Authenticate": "Bearer"})
        return caller

    async def _answer(
        self, request: web.BaseRequest, route: Route, name: str, caller: Caller
    ) -> web.StreamResponse:
        if route.query is None and request.query_string:
            raise Refusal(400, f"{next(iter(request.query), '?')}: unknown field", "there is no query here")
        match route.endpoint:
            case Endpoint.STATUS:
                return _json(self._control.status())
            case Endpoint.SERVICE:
                return self._service(name)
            case Endpoint.EVENTS:
                return await self._events(request)
            case Endpoint.DRAIN | Endpoint.DISABLE | Endpoint.ENABLE:
                wanted = await read_body(request, OrderRequest)
                order = self._control.order(_ORDERS[route.endpoint], wanted, caller.name)
                return _json(await self._to_the_end(order))
            case Endpoint.RELOAD:
                return _json(await self._to_the_end(self._control.reload(caller.name)))
            case Endpoint.LIVE:
                return _json(LiveAnswer(alive=True))
            case Endpoint.METRICS:
                # Thousands of real servers take half a second; the director goes on meanwhile.
                body = await asyncio.to_thread(metrics.render, self._control.status())
                return web.Response(body=body, headers={"Content-Type": metrics.CONTENT_TYPE})
            case Endpoint.OPENAPI:
                return web.Response(text=_openapi(), content_type="application/json")

    def _service(self, name: str) -> web.Response:
        services = self._control.status().virtual_services
        for service in services:
            if service.name == name:
                return _json(service)
        known = ", ".join(each.name for each in services[:10])
        raise Refusal(404, f"there is no virtual service `{name}`", f"there are: {known}" if known else "")

    async def _events(self, request: web.BaseRequest) -> web.StreamResponse:
        wanted = read_query(request, EventsQuery)
        if wanted.follow:
            return await self._streams.serve(request, self._control.follow(wanted.after))
        return _json(EventsAnswer(events=self._control.recent(wanted.after, wanted.limit)))

    async def _to_the_end(self, work: Coroutine[object, object, T]) -> T:
        """Carry something out even when whoever asked for it hangs up meanwhile."""
        future = asyncio.ensure_future(work)
        self._at_work.add(future)
        future.add_done_callback(self._at_work.discard)
        return await asyncio.shield(future)

    async def finish(self) -> None:
        """Wait for what is being carried out."""
        pending: set[Awaitable[Any]] = set(self._at_work)
        await asyncio.gather(*pending, return_exceptions=True)


def _route(request: web.BaseRequest) -> tuple[Route, str]:
    found = find_routes(request.rel_url.raw_path)
    for route, name in found:
        if route.method == request.method:
            return route, name
    if found:
        allowed = ", ".join(route.method for route, _ in found)
        raise Refusal(405, f"{request.method} is not possible here", f"use {allowed}", {"Allow": allowed})
    raise Refusal(404, "there is nothing at this path", "GET /v1/openapi.json says what there is")


def _permit(caller: Caller, route: Route) -> None:
    if caller.may(route.right):
        return
    groups = "`change_groups`" if route.method != "GET" else "`read_groups` or `change_groups`"
    raise Refusal(
        403,
        f"{caller.name} may not do this: it needs the right to {route.right.value}",
        f"do it as root, or name a group of this user in {groups} of `api` in node.yaml",
    )


def _json(part: Part) -> web.Response:
    return web.Response(text=part.model_dump_json(by_alias=True), content_type="application/json")


@cache
def _openapi() -> str:
    return openapi_json()
