"""The OpenAPI document (3.1) of the control API, from its table."""

from __future__ import annotations

import json
from typing import Any, Final

import msgspec

from kernelbal.model.choices import Right
from kernelbal.model.status import ErrorAnswer, Part
from kernelbal.runtime.api.routes import ROUTES, ApiRoute, Endpoint

VERSION: Final = "3.1.0"
API_VERSION: Final = "1"
REFERENCE: Final = "#/components/schemas/{name}"

ERRORS: Final = {
    400: "Malformed, an unknown field, or an invalid value.",
    401: "By TLS: neither a known client certificate nor a known token.",
    403: "The caller lacks the right, or a web page asks (`Origin`) for more than to read.",
    404: "Nothing has that name.",
    405: "Method not allowed.",
    408: "The body came too slowly.",
    409: "Refused: the order, or the documents, would not work; nothing was changed.",
    413: "The body is too long.",
    415: "The body is not declared as JSON.",
    421: "By TLS: the host is neither an address nor a name of the server's certificate.",
    422: "A document is not valid; `problems` lists what is wrong.",
    503: "Not possible now.",
    507: "The state directory cannot be written: the change is not in force.",
}
"""Every error status and what it means."""

_WITH_BODY: Final = frozenset({408, 413, 415})
_OF_DOCUMENTS: Final = frozenset({Endpoint.PLAN, Endpoint.APPLY})


def openapi_json() -> str:
    """Return the document as JSON."""
    return json.dumps(document(), indent=2)


def document() -> dict[str, Any]:
    """Return the document."""
    paths: dict[str, dict[str, Any]] = {}
    for route in ROUTES:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    models: list[type[Part]] = [ErrorAnswer]
    models += [each for route in ROUTES for each in (route.request, route.answer) if each is not None]
    _, schemas = msgspec.json.schema_components(dict.fromkeys(models), ref_template=REFERENCE)
    return {
        "openapi": VERSION,
        "info": {"title": "kernelbal control API", "version": API_VERSION},
        "paths": paths,
        "components": {"schemas": schemas},
    }


def errors_of(route: ApiRoute) -> list[int]:
    """Return the error statuses that a route may answer with."""
    return [
        status
        for status in ERRORS
        if (status not in _WITH_BODY or route.request is not None)
        and (status != 409 or route.request is not None or route.right is Right.CHANGE)
        and (status != 404 or route.endpoint in (Endpoint.STATUS, Endpoint.SERVICE))
        and (status != 422 or route.endpoint in _OF_DOCUMENTS)
        and (status != 507 or route.right is Right.CHANGE or route.endpoint is Endpoint.PLAN)
        and status != 405
    ]


def _operation(route: ApiRoute) -> dict[str, Any]:
    answer: dict[str, Any] = {"type": "string"} if route.media != "application/json" else {"type": "object"}
    if route.answer is not None:
        answer = {"$ref": REFERENCE.format(name=route.answer.__name__)}
    content = {route.media: {"schema": answer}}
    if route.endpoint is Endpoint.EVENTS:
        content["application/x-ndjson"] = {"schema": {"$ref": REFERENCE.format(name="Recorded")}}
    error = {"application/json": {"schema": {"$ref": REFERENCE.format(name="ErrorAnswer")}}}
    operation: dict[str, Any] = {
        "operationId": route.endpoint.value,
        "summary": route.summary,
        "parameters": _parameters(route),
        "responses": {
            "200": {"description": "Done.", "content": content},
            **{str(each): {"description": ERRORS[each], "content": error} for each in errors_of(route)},
        },
    }
    if route.request is not None:
        schema = {"$ref": REFERENCE.format(name=route.request.__name__)}
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    return operation


def _parameters(route: ApiRoute) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    if "{name}" in route.path:
        found.append({"name": "name", "in": "path", "required": True, "schema": {"type": "string"}})
    if route.query is not None:
        _, schemas = msgspec.json.schema_components([route.query])
        for name, schema in schemas[route.query.__name__]["properties"].items():
            found.append({"name": name, "in": "query", "required": False, "schema": schema})
    return found
