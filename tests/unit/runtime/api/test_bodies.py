"""Bodies of requests."""

from collections.abc import AsyncIterator

import pytest

from tests.support.api_harness import JSON, ApiHarness, with_api


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        (b'{"server": ', 400, "truncated"),
        (b"[]", 400, "object"),
        (b"{}", 400, "missing required field `server`"),
        (b'{"server": "a", "servr": 1}', 400, "unknown field `servr`"),
        (b'{"server": 5}', 400, "server: Expected `str`, got `int`"),
        (b'{"server": "a", "timeout_s": -1}', 400, "timeout_s: "),
        (b'{"server": "a", "timeout_s": NaN}', 400, ""),
        (b"\xff\xfe", 400, "JSON is malformed"),
        (b'{"server": "' + b"x" * 70000 + b'"}', 413, "longer than 65536 bytes"),
    ],
    ids=["cut", "list", "empty", "unknown", "type", "range", "nan", "bytes", "long"],
)
@with_api()
async def test_bad_body_is_refused_and_the_field_is_named(
    api: ApiHarness, body: bytes, status: int, words: str
) -> None:
    got, answer = await api.ask("POST", "/v1/real-servers/drain", data=body, headers=JSON)
    assert got == status
    assert words in answer["error"]
    assert api.control.orders == []


@with_api()
async def test_body_without_a_length_is_limited_too(api: ApiHarness) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(80):
            yield b" " * 1024

    got, answer = await api.ask("POST", "/v1/real-servers/drain", data=endless(), headers=JSON)
    assert (got, list(answer)) == (413, ["error", "hint"])
    assert api.control.orders == []
