"""Errors, in their one form."""

import pytest

from tests.support.api_harness import ApiHarness, with_api
from tests.support.fake_control import FakeControl


@pytest.mark.parametrize(
    ("method", "path", "status", "words"),
    [
        ("GET", "/", 404, "nothing at this path"),
        ("GET", "/v1/status/", 404, "nothing at this path"),
        ("GET", "/v1/../metrics%00", 404, "nothing at this path"),
        ("POST", "/v1/status", 405, "method POST is not allowed here"),
        ("GET", "/v1/reload", 405, "method GET is not allowed here"),
        ("GET", "/v1/virtual-services/", 404, "nothing at this path"),
        ("GET", "/v1/virtual-services/a/b", 404, "nothing at this path"),
        ("GET", "/v1/status?verbose=1", 400, "unknown field `verbose`"),
        ("GET", "/v1/events?after=x", 400, "after: "),
        ("GET", "/v1/events?limit=0", 400, "limit: "),
        ("GET", "/v1/events?folow=1", 400, "unknown field `folow`"),
        ("GET", "/v1/events?after=1&after=2", 400, "after: given twice"),
    ],
)
@with_api()
async def test_wrong_request_is_told_what_is_wrong(
    api: ApiHarness, method: str, path: str, status: int, words: str
) -> None:
    got, answer = await api.ask(method, path)
    assert (got, list(answer)) == (status, ["error", "hint"])
    assert words in answer["error"]


@with_api()
async def test_internal_error_shows_no_inside_and_is_logged(
    api: ApiHarness, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(_: FakeControl) -> None:
        raise RuntimeError("secret")

    monkeypatch.setattr(FakeControl, "status", broken)

    got, answer = await api.ask("GET", "/v1/status")
    assert (got, answer["error"]) == (500, "internal error")
    assert "secret" not in str(answer)
    assert "secret" in caplog.text
