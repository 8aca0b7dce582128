"""The control API before whatever a client may send: declared answers only, and no error of its own.

Requests are made from the OpenAPI document with a fixed seed, valid and otherwise, for a director on a kernel
in memory. What is no HTTP is refused in plain text, and answered once at most.
"""

import asyncio
import json
import random
import string
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import quote

import pytest

from kernelbal.errors import KernelbalError
from kernelbal.model.node import ApiSettings
from kernelbal.model.status import ErrorAnswer
from kernelbal.runtime.api.openapi import document
from kernelbal.runtime.api.routes import ROUTES, ApiRoute, Endpoint
from kernelbal.runtime.api.server import ApiServer
from kernelbal.store.codec import decode_document
from tests.support.api_harness import ApiHarness, with_api
from tests.support.director_harness import NODE, SITE, DirectorHarness, VirtualLoop, play

REQUESTS: Final = 10_000
SEED: Final = 5
DOCUMENT: Final = document()
NAMES: Final = ("web", "10.0.0.11", "10.0.0.12:80", "192.0.2.10", "198.51.100.7", "site.yaml", "", "nobody")
TEXTS: Final = (
    *(*NAMES, SITE, NODE, "\x1b[2J", "\u202e", "\0", "é" * 100, "x" * 5000),
    *("../../etc/passwd", "%", "[", "a: ["),
)
NUMBERS: Final = (0, 1, -1, 80, 65535, 65536, 2**31, 2**63, 2**64, 10**400, -(10**30), 0.5, 1e308, 86400.5)
VALUES: Final = (None, True, False, [], {}, [[]], {"a": {}}, "", "1", "true", *NUMBERS, *TEXTS)
LITERALS: Final = (
    *("NaN", "-Infinity", "1e999", "-0", "01", "+1", "0x10", "nul", "1" * 5000),
    *('"\\ud800"', '"\\u0000"'),
)
BODIES: Final = (b"", b"\xef\xbb\xbf{}", b"\xff\xfe{\0}\0", b"null", b"[]", b'"\xff"', b"{}{}")
JSON: Final = "application/json"
CONTENT_TYPES: Final = (
    *(JSON, f"{JSON}; charset=utf-8", JSON.upper(), f"{JSON}; charset=utf-16", f"{JSON}, text/plain"),
    *("text/plain", "application/problem+json", "multipart/form-data", "", "\xff", ";;"),
)
WEIGHTS: Final = [1 if route.endpoint is Endpoint.RELOAD else 20 for route in ROUTES]
"""A reload has a round, and rounds keep their distance."""
METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "get", "PROPFIND")


class Sent(NamedTuple):
    """A request.

    Attributes:
        route: that it is for; None where there is none.
    """

    data: bytes
    route: ApiRoute | None
    method: str = "GET"


class Got(NamedTuple):
    """An answer."""

    status: int
    media: str
    body: bytes
    closes: bool


class Generator:
    """Makes requests for the operations of the OpenAPI document."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def request(self) -> Sent:
        (route,) = self._random.choices(ROUTES, WEIGHTS)
        method = route.method if self._odds(12) else self._random.choice(METHODS)
        target = self._target(route)
        headers = [("Host", "localhost"), *self._headers()]
        body = self._body(route) if route.request is not None or not self._odds(10) else b""
        if body or method == "POST":
            if self._odds(15):
                headers.append(("Content-Type", "application/json"))
            else:
                headers.append(("Content-Type", self._random.choice(CONTENT_TYPES)))
            if self._odds(5):
                headers.append(("Content-Length", str(len(body))))
            else:
                headers.append(("Transfer-Encoding", "chunked"))
                body = self._chunked(body)
        lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers)]
        known = route if method == route.method and "{" not in target and not target.endswith("?#") else None
        return Sent("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body, known, method)

    def _odds(self, most: int) -> bool:
        """Return True all but once in so many times."""
        return self._random.randrange(most) > 0

    def _target(self, route: ApiRoute) -> str:
        path = route.path.replace("{name}", quote(self._random.choice(TEXTS)[:200], safe="") or "web")
        operation = DOCUMENT["paths"][route.path][route.method.lower()]
        given = [each for each in operation["parameters"] if each["in"] == "query" and not self._odds(2)]
        pairs = [(each["name"], self._query_value(each["schema"])) for each in given]
        if not self._odds(15):
            pairs.append((self._random.choice(("after", "x", "%00", "service")), self._random.choice(NAMES)))
        # A stream of events has no end: it is not asked for here.
        query = "&".join(
            f"{name}={quote(value)}"
            for name, value in pairs
            if name != "follow" or value.lower() not in ("1", "true")
        )
        return f"{path}?{query}" if query else path

    def _query_value(self, schema: dict[str, Any]) -> str:
        value = self._value(schema) if self._odds(3) else self._random.choice(VALUES)
        return value if isinstance(value, str) else json.dumps(value)

    def _headers(self) -> Iterator[tuple[str, str]]:
        if not self._odds(20):
            yield "Authorization", self._random.choice(("Bearer x", "Basic x", "Bearer", "\xff"))
        if not self._odds(20):
            yield "Origin", "https://evil.example"
        if not self._odds(20):
            yield "Accept", self._random.choice(("text/html", "*/*", "application/xml;q=0"))
        if not self._odds(20):
            yield "X-" + "a" * self._random.randrange(1, 300), "b" * self._random.randrange(3000)

    def _body(self, route: ApiRoute) -> bytes:
        name = route.request.__name__ if route.request is not None else "OrderRequest"
        whole = json.dumps(self._object(DOCUMENT["components"]["schemas"][name]))
        match self._random.randrange(12):
            case 0:
                return whole[: self._random.randrange(len(whole) + 1)].encode()
            case 1:
                at = self._random.randrange(len(whole))
                return (whole[:at] + self._random.choice(string.printable) + whole[at + 1 :]).encode()
            case 2:
                depth = self._random.choice((10, 500, 20_000))
                return b"[" * depth + b"]" * self._random.choice((0, depth))
            case 3:
                return b'{"server":' + self._random.choice(LITERALS).encode() + b"}"
            case 4:
                return whole[:-1].encode() + b', "server": "a", "server": 1, "site": "x"}'
            case 5:
                return self._random.choice(BODIES)
            case _:
                return whole.encode()

    def _object(self, schema: dict[str, Any]) -> dict[str, Any]:
        made = {}
        for name, field in schema["properties"].items():
            if name in schema.get("required", ()) or not self._odds(2):
                made[name] = self._value(field) if self._odds(8) else self._random.choice(VALUES)
        if not self._odds(15):
            made[self._random.choice(("x", "", "SERVER", "__class__"))] = self._random.choice(VALUES)
        return made

    def _value(self, schema: dict[str, Any]) -> Any:  # noqa: ANN401 - any JSON value
        options = schema.get("anyOf") or [schema]
        chosen = self._random.choice(options)
        if "enum" in chosen:
            return self._random.choice(chosen["enum"])
        match chosen.get("type"):
            case "string":
                return self._random.choice(TEXTS)
            case "boolean":
                return not self._odds(2)
            case "integer" | "number":
                low, high = chosen.get("minimum", 0), chosen.get("maximum", 2**63 - 1)
                return self._random.choice((low, high, self._random.randint(int(low), int(high))))
            case _:
                return None

    def _chunked(self, body: bytes) -> bytes:
        size = self._random.choice((1, 7, 4096)) if len(body) < 5000 else 4096
        parts = [body[at : at + size] for at in range(0, len(body), size)]
        extension = self._random.choice((b"", b";a=b", b";" + b"x" * 50))
        return b"".join(b"%x%s\r\n%s\r\n" % (len(each), extension, each) for each in parts) + b"0\r\n\r\n"


async def read_answer(reader: asyncio.StreamReader, method: str) -> Got:
    head = await reader.readuntil(b"\r\n\r\n")
    first, *lines = head[:-4].split(b"\r\n")
    if first.startswith(b"HTTP/1.1 100 "):
        return await read_answer(reader, method)
    pairs = (each.partition(b":") for each in lines)
    headers = {name.lower(): value.strip().decode() for name, _, value in pairs}
    assert b"transfer-encoding" not in headers, "a document has a length"
    length = int(headers.get(b"content-length", "0"))
    body = b"" if method == "HEAD" else await reader.readexactly(length)
    closes = headers.get(b"connection") == "close" or first.startswith(b"HTTP/1.0")
    return Got(int(first.split()[1]), headers.get(b"content-type", "").partition(";")[0], body, closes)


def problem_with(sent: Sent, got: Got) -> str:
    """What in an answer is not declared; empty when all of it is."""
    if sent.route is None:
        if got.status not in (400, 403, 404, 405):
            return f"status {got.status} where nothing is"
        return problem_with_error(sent, got)
    declared = DOCUMENT["paths"][sent.route.path][sent.route.method.lower()]["responses"]
    if str(got.status) not in declared:
        return f"status {got.status} is not declared"
    if got.status != 200:
        return problem_with_error(sent, got)
    if got.media not in declared["200"]["content"]:
        return f"{got.media} is not declared"
    if sent.route.answer is not None:
        decode_document(sent.route.answer, got.body)
    return ""


def problem_with_error(sent: Sent, got: Got) -> str:
    if sent.method == "HEAD":
        return ""
    if got.media == "text/plain" and got.status == 400:
        return ""  # no HTTP for aiohttp, as the reference says
    if got.media != "application/json":
        return f"an error as {got.media}"
    decode_document(ErrorAnswer, got.body)
    return ""


class RealTime(VirtualLoop):
    """A loop on the clock of the machine: sockets do not wait for virtual time."""

    def __init__(self) -> None:
        asyncio.SelectorEventLoop.__init__(self)

    def time(self) -> float:
        return asyncio.SelectorEventLoop.time(self)

    @property  # type: ignore[override] # the virtual clock is a variable
    def now(self) -> float:
        return self.time()


class Client:
    """Sends requests, on one connection for as long as it stays open."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def send(self, sent: Sent) -> Got:
        if self._streams is None:
            self._streams = await asyncio.open_unix_connection(str(self._path))
        reader, writer = self._streams
        with suppress(ConnectionError):  # a long body that was refused is not read
            writer.write(sent.data)
            await writer.drain()
        got = await asyncio.wait_for(read_answer(reader, sent.method), 10)
        if got.closes or got.status >= 400:  # what is left of a body is no request
            await self.close()
        return got

    async def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


def with_director(scene: Callable[[Path, DirectorHarness], Any], folder: Path) -> None:
    """Run a scene with the API of a director that is ready."""
    (folder / "site.yaml").write_text(SITE)
    (folder / "node.yaml").write_text(NODE)

    async def serve(harness: DirectorHarness) -> None:
        await harness.begin()
        api = ApiServer(harness.director, ApiSettings(socket=str(folder / "s")))
        await api.start()
        try:
            await scene(folder / "s", harness)
        finally:
            await api.stop()

    play(serve, folder, loop=RealTime())


def test_every_answer_is_declared(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    statuses = Counter[tuple[str, int]]()

    async def scene(path: Path, _: DirectorHarness) -> None:
        generator, client = Generator(SEED), Client(path)
        for number in range(REQUESTS):
            sent = generator.request()
            try:
                got = await client.send(sent)
                problem = problem_with(sent, got)
            except (OSError, EOFError, KernelbalError, ValueError) as error:
                problem, got = f"{type(error).__name__}: {error}", None
            assert not problem, f"request {number}, {sent.data[:2000]!r}: {problem}, {got}"
            statuses[sent.route.endpoint.value if sent.route else "", got.status] += 1
        await client.close()

    with_director(scene, tmp_path)
    rare = {Endpoint.APPLY, Endpoint.EXPLAIN, Endpoint.CONFIRM, Endpoint.ROLLBACK}
    assert {name for name, status in statuses if status == 200} >= {e.value for e in set(Endpoint) - rare}
    assert [each.getMessage() for each in caplog.records if each.exc_info] == []


SMUGGLED: Final = b"GET /v1/live HTTP/1.1\r\nHost: x\r\n\r\n"
HEAD: Final = b"POST /v1/reload HTTP/1.1\r\nHost: x\r\n"


@pytest.mark.parametrize(
    "data",
    [
        HEAD + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
        HEAD + b"Content-Length: 0\r\nContent-Length: 40\r\n\r\n" + SMUGGLED,
        HEAD + b"Content-Length: -1\r\n\r\n" + SMUGGLED,
        HEAD + b"Content-Length: +1\r\n\r\na" + SMUGGLED,
        HEAD + b"Content-Length: 1_0\r\n\r\n" + SMUGGLED,
        HEAD + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
        HEAD + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n" + SMUGGLED,
        HEAD + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
        HEAD + b"X: a\0b\r\n\r\n" + SMUGGLED,
        HEAD + b"X: a\rb\r\n\r\n" + SMUGGLED,
        HEAD + b"X y: a\r\n\r\n" + SMUGGLED,
        b"GET /v1/live HTTP/9.9\r\nHost: x\r\n\r\n" + SMUGGLED,
        b"G\0T /v1/live HTTP/1.1\r\nHost: x\r\n\r\n" + SMUGGLED,
    ],
    ids=lambda data: data[len(HEAD) : len(HEAD) + 30].decode("latin-1"),
)
@with_api()
async def test_what_two_servers_could_read_differently_is_refused_once(api: ApiHarness, data: bytes) -> None:
    answer = await api.send(data)
    assert answer.startswith(b"HTTP/1.0 400 ")
    assert answer.count(b"\r\nServer: ") == 1
    assert api.control.reloads == []
