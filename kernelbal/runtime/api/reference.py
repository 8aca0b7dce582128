"""The reference pages of the control API and of the metrics, from their tables."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from kernelbal.model.event import MEANINGS
from kernelbal.model.node import DEFAULT_SOCKET
from kernelbal.runtime.api.metrics import METRICS
from kernelbal.runtime.api.openapi import ERRORS, document, errors_of
from kernelbal.runtime.api.routes import ROUTES, ApiRoute

_API = f"""\
# Control API

HTTP/1.1 and JSON on the Unix socket `{DEFAULT_SOCKET}`, and by TLS where `api.tls` in
[node.yaml](node.md) says so. This page is generated: `kernelbal schema api --format markdown`;
`kernelbal schema api` prints the same as an OpenAPI document.

On the Unix socket the kernel says who asks: root and members of `change_groups` may change things, members of
`read_groups` may read. By TLS everybody needs a client certificate or sends `Authorization: Bearer TOKEN`.
`kernelbal reload` and a changed node.yaml bring all of `api` into force at once but `socket`, and read the
certificates again: tokens, groups and CAs that were revoked are refused, also on connections that are open.

A request with an `Origin`, as browsers send it for web pages, may only read; by TLS `Host` must be an address
or a name of the server's certificate.

    curl --unix-socket {DEFAULT_SOCKET} http://localhost/v1/status

Bodies are JSON (`Content-Type: application/json`), 64 KiB at most; unknown fields are refused. What cannot
be done is answered with an [ErrorAnswer](#erroranswer); what is no HTTP, or has more than 64 headers or a
line of more than 8190 bytes, with 400 and plain text.

The status and the metrics are computed once for all who ask at the same time. They show at once what a round,
an order or a reload has changed; ages and results of single probes may be one second old.
"""

_METRICS = """\
# Metrics

`GET /metrics` of the [control API](api.md) gives these in the text format of Prometheus. This page is
generated: `kernelbal schema metrics --format markdown`.
[Monitor a director](../how-to/monitor.md) says how to collect them.

A figure that is not known has no sample. Whatever is measured has an age beside it.

| metric | kind | labels | meaning |
|---|---|---|---|
"""


_EVENTS = """\
# Events

What the daemon reports: `kernelbal events`, `GET /v1/events`, its log, and the hooks of `notify` in
[node.yaml](node.md). This page is generated: `kernelbal schema events --format markdown`.

A line of the log is the topic and then `name=value` pairs, with `message` as the last. As JSON an event is a
[Recorded](api.md). `seq` grows by one with each event; a gap says that some were lost. `--topic` and `topics`
take a whole topic, or the part before the dot for all of that kind.

| topic | meaning |
|---|---|
"""


def api_page() -> str:
    """Return the reference page of the API in Markdown."""
    described = document()
    lines = [_API, "| request | right | |", "|---|---|---|"]
    lines += [f"| `{each.method} {each.path}` | {each.right.value} | {each.summary} |" for each in ROUTES]
    for route in ROUTES:
        lines += _route(route, described)
    lines += ["", "## Errors", "", "| status | meaning |", "|---|---|"]
    lines += [f"| {status} | {meaning} |" for status, meaning in ERRORS.items()]
    for name, schema in sorted(described["components"]["schemas"].items()):
        lines += _model(name, schema)
    return "\n".join([*lines, ""])


def metrics_page() -> str:
    """Return the reference page of the metrics in Markdown."""
    rows = (
        f"| `{each.name}` | {'counter' if each.counter else 'gauge'} | "
        f"{', '.join(f'`{label}`' for label in each.labels)} | {each.help} |\n"
        for each in METRICS
    )
    return _METRICS + "".join(rows)


def metrics_json() -> str:
    """Return what there is to know of each metric as JSON."""
    found = [
        {
            "name": each.name,
            "kind": "counter" if each.counter else "gauge",
            "labels": list(each.labels),
            "meaning": each.help,
        }
        for each in METRICS
    ]
    return json.dumps({"schema": 1, "metrics": found}, indent=2)


def events_page() -> str:
    """Return the reference page of the events in Markdown."""
    rows = (f"| `{topic.value}` | {meaning} |\n" for topic, meaning in MEANINGS.items())
    return _EVENTS + "".join(rows)


def events_json() -> str:
    """Return what each topic means as JSON."""
    found = [{"topic": topic.value, "meaning": meaning} for topic, meaning in MEANINGS.items()]
    return json.dumps({"schema": 1, "topics": found}, indent=2)


def _route(route: ApiRoute, described: dict[str, Any]) -> Iterator[str]:
    operation = described["paths"][route.path][route.method.lower()]
    yield from ("", f"## {route.method} {route.path}", "", route.summary, "")
    if route.request is not None:
        yield f"- body: {_link(route.request.__name__)}"
    for each in operation["parameters"]:
        text = each["schema"].get("description", "")
        yield f"- {each['in']}: `{each['name']}`" + (f": {text}" if text else "")
    yield f"- answer: {_link(route.answer.__name__) if route.answer else f'`{route.media}`'}"
    yield f"- errors: {', '.join(map(str, errors_of(route)))}"


def _model(name: str, schema: dict[str, Any]) -> Iterator[str]:
    yield from ("", f"### {name}", "", schema.get("description", ""), "")
    if "enum" in schema:
        yield f"One of {_type(schema)}."
        return
    yield from ("| field | type | |", "|---|---|---|")
    required = schema.get("required", [])
    for key, value in schema.get("properties", {}).items():
        optional = "" if key in required else "optional. "
        yield f"| `{key}` | {_type(value)} | {optional}{value.get('description', '')} |"


def _type(value: dict[str, Any]) -> str:
    if "$ref" in value:
        return _link(value["$ref"].rpartition("/")[2])
    if "anyOf" in value:
        return " or ".join(_type(each) for each in value["anyOf"])
    if "enum" in value:
        return ", ".join(f"`{each}`" for each in value["enum"])
    if value.get("type") == "array":
        return f"list of {_type(value['items'])}"
    return str(value.get("type", "any"))


def _link(name: str) -> str:
    return f"[{name}](#{name.lower()})"
