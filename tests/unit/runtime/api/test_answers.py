"""Errors, in their one form."""

from pathlib import Path

import aiohttp
import pytest

from tests.support.fake_control import FakeControl
from tests.unit.runtime.api.asking import ask, run


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
def test_wrong_request_is_told_what_is_wrong(
    tmp_path: Path, method: str, path: str, status: int, words: str
) -> None:
    async def play(session: aiohttp.ClientSession, _: FakeControl, __: Path) -> None:
        got, answer = await ask(session, method, path)
        assert (got, list(answer)) == (status, ["error", "hint"])
        assert words in answer["error"]

    run(tmp_path, play)


def test_internal_error_shows_no_inside_and_is_logged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(_: FakeControl) -> None:
        raise RuntimeError("secret")

    monkeypatch.setattr(FakeControl, "status", broken)

    async def play(session: aiohttp.ClientSession, _: FakeControl, __: Path) -> None:
        got, answer = await ask(session, "GET", "/v1/status")
        assert (got, answer["error"]) == (500, "internal error of kernelbal")
        assert "secret" not in str(answer)

    run(tmp_path, play)
    assert "secret" in caplog.text
