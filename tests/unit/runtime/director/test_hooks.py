"""Scripts and webhooks that are told what happens."""

import asyncio
import json
import os
import select
import stat
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

import aiohttp
import pytest

from kernelbal.model.event import Event, Severity
from kernelbal.model.node import Hook
from kernelbal.model.status import Recorded
from kernelbal.runtime.confined import Accounts
from kernelbal.runtime.director.hooks import MINUTE_S, QUEUED, Allowance, Hooks, deliver_to, name_of, wants
from tests.support.director_harness import VirtualLoop

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
USER = "root" if os.geteuid() == 0 else "nobody"


def hook(**settings: object) -> Hook:
    return Hook.model_validate({"script": ["/bin/true"], "user": USER, "allow_root": True, **settings})


def recorded(seq: int = 1, topic: str = "real_server.down", server: str = "") -> Recorded:
    return Recorded(
        seq=seq, at="", topic=topic, severity=Severity.INFO, message="m", service="", server=server, fields={}
    )


@pytest.mark.parametrize(
    ("topics", "topic", "wanted"),
    [
        ((), "real_server.down", True),
        (("real_server.down",), "real_server.down", True),
        (("real_server",), "real_server.up", True),
        (("real_server.up",), "real_server.down", False),
        (("real",), "real_server.down", False),
        ((), "hook.failed", False),
    ],
)
def test_a_hook_gets_the_topics_it_names(topics: tuple[str, ...], topic: str, wanted: bool) -> None:
    assert wants(hook(topics=list(topics)), topic) is wanted


def test_more_than_the_allowance_is_counted_until_the_minute_is_over() -> None:
    allowance = Allowance(2)
    assert [allowance.take("", now) for now in (0.0, 1.0, 2.0, 3.0)] == [True, True, False, False]
    assert allowance.summary_at() == MINUTE_S
    assert allowance.take("", MINUTE_S)
    assert allowance.take_summary() == 2
    assert allowance.summary_at() is None


def test_one_real_server_takes_a_quarter_of_the_allowance() -> None:
    """One that flaps, or has its agent complain, does not hide that another one is down."""
    allowance = Allowance(8)
    assert [allowance.take("10.0.0.11", 0.0) for _ in range(9)] == [True] * 2 + [False] * 7
    assert allowance.take("10.0.0.12", 1.0)
    assert allowance.take("10.0.0.11", MINUTE_S)
    assert allowance.take_summary() == 7
    assert Allowance(1).take("10.0.0.11", 0.0)


def test_a_real_server_that_flaps_does_not_keep_a_hook_from_the_death_of_another() -> None:
    got: list[str] = []

    async def deliver(_: Hook, document: bytes) -> str:
        got.append(json.loads(document)["server"])
        return ""

    async def scene(hooks: Hooks) -> None:
        for number in range(100):
            hooks.offer(recorded(number, server="10.0.0.11"))
        hooks.offer(recorded(100, server="10.0.0.12"))

    play(scene, deliver, hook())
    assert "10.0.0.12" in got


def play(
    scene: Callable[[Hooks], Awaitable[None]], deliver: Callable[[Hook, bytes], Awaitable[str]], *hooks: Hook
) -> list[Event]:
    """Run hooks in virtual time; return what was told of them."""
    loop, told = VirtualLoop(), []

    async def run() -> None:
        served = Hooks(told.append, loop.time, deliver)
        served.replace(hooks)
        async with asyncio.TaskGroup() as group:
            task = group.create_task(served.run())
            await scene(served)
            await asyncio.sleep(2 * MINUTE_S)
            task.cancel()

    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.run(run())
    return told


def test_a_storm_is_told_up_to_the_limit_and_then_in_one_summary() -> None:
    got: list[int] = []

    async def deliver(_: Hook, document: bytes) -> str:
        got.append(json.loads(document)["seq"])
        return ""

    async def scene(hooks: Hooks) -> None:
        for number in range(5000):
            hooks.offer(recorded(number))

    (event,) = play(scene, deliver, hook(per_minute=10))
    assert got == list(range(10))
    assert event.topic.value == "hook.suppressed"
    assert dict(event.fields)["suppressed"] == "4990"


def test_a_hook_that_fails_is_told_once_and_others_are_not_disturbed() -> None:
    got: list[str] = []

    async def deliver(which: Hook, _: bytes) -> str:
        got.append(name_of(which))
        return "it exited with 3" if which.script == ("/bin/false",) else ""

    async def scene(hooks: Hooks) -> None:
        for number in range(3):
            hooks.offer(recorded(number))

    (event,) = play(scene, deliver, hook(script=["/bin/false"]), hook())
    assert event.topic.value == "hook.failed"
    assert "script /bin/false" in event.message
    assert sorted(got) == ["script /bin/false"] * 3 + ["script /bin/true"] * 3


def test_a_slow_hook_holds_a_bounded_queue() -> None:
    async def deliver(_: Hook, __: bytes) -> str:
        await asyncio.sleep(1e6)
        return ""

    async def scene(hooks: Hooks) -> None:
        for number in range(3 * QUEUED):
            hooks.offer(recorded(number))
        assert len(hooks._lines[0].queue) == QUEUED

    play(scene, deliver, hook(per_minute=6000))


def test_a_webhook_is_named_without_what_may_be_secret() -> None:
    for secret in ("https://chat/x?token=1", "https://chat/services/T1/B2/secret", "https://me:pw@chat/"):
        assert name_of(hook(script=[], webhook=secret)) == "webhook chat"


def script(folder: Path, text: str) -> list[str]:
    file = folder / "hook"
    file.write_text(f"#!/bin/sh\n{text}\n")
    file.chmod(file.stat().st_mode | stat.S_IXUSR)
    return [str(file)]


def deliver(which: Hook) -> str:
    return asyncio.run(deliver_to(which, b'{"seq": 1}\n', Accounts()))


def test_a_script_gets_the_event_on_its_standard_input(tmp_path: Path) -> None:
    argv = script(tmp_path, f"cat > {tmp_path}/got")
    assert deliver(hook(script=argv)) == ""
    assert (tmp_path / "got").read_text() == '{"seq": 1}\n'


@pytest.mark.parametrize(
    ("text", "says"),
    [("echo no disk >&2; exit 3", "it exited with 3: no disk"), ("kill -9 $$", "it exited with -9")],
)
def test_what_a_script_complains_about_is_told(tmp_path: Path, text: str, says: str) -> None:
    assert says in deliver(hook(script=script(tmp_path, text)))


def test_a_script_that_hangs_is_ended_with_its_children(tmp_path: Path) -> None:
    text = f"sleep 1000 & echo $! > {tmp_path}/child; wait"
    found = deliver(hook(script=script(tmp_path, text), timeout="300ms"))
    assert found == "it took longer than 0.3 s"
    child = int((tmp_path / "child").read_text())
    with suppress(ProcessLookupError):  # nobody is left to wait for
        assert select.select([os.pidfd_open(child)], [], [], 20)[0]


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"script": ["/nowhere/hook"]}, "it cannot be run: No such file"),
        ({"user": "no-such-user"}, "there is no user `no-such-user`"),
        pytest.param({"allow_root": False}, "refused: /bin/true would run as root", marks=needs_root),
    ],
)
def test_a_script_that_cannot_be_started_is_told(settings: dict[str, object], says: str) -> None:
    assert says in deliver(hook(**settings))


def posted(*replies: bytes, address: str = "http://127.0.0.1:{port}/in") -> tuple[list[str], list[bytes]]:
    """Why each of some posts failed, with these replies to them, and what the webhook got."""
    got: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            head = await reader.readuntil(b"\r\n\r\n")
            got.append(head.splitlines()[0] + b" " + await reader.readexactly(11))
            writer.write(replies[len(got) - 1])
        writer.close()

    async def scene() -> list[str]:
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        async with server:
            which = hook(script=[], webhook=address.format(port=server.sockets[0].getsockname()[1]))
            return [await deliver_to(which, b'{"seq": 1}\n', Accounts()) for _ in replies]

    return asyncio.run(scene()), got


def test_a_webhook_gets_a_post_and_a_bad_answer_is_told() -> None:
    end = b"Content-Length: 0\r\n\r\n"
    told, got = posted(b"HTTP/1.1 200 X\r\n" + end, b"HTTP/1.1 503 X\r\n" + end, b"HTTP/1.1 799 X\r\n" + end)
    assert told == ["", "it answered 503 Service Unavailable", "it answered 799"]
    assert got[0] == b'POST /in HTTP/1.1 {"seq": 1}\n'


def test_a_webhook_that_nobody_serves_is_told() -> None:
    found = deliver(hook(script=[], webhook="http://127.0.0.1:1/"))
    assert found == "it cannot be reached: Connection refused"


def test_the_address_of_a_webhook_is_not_told_whatever_it_answers() -> None:
    echo = b"/hunter2 hunter2"
    told, _ = posted(
        b"HTTP/1.1 404 " + echo + b"\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: http://x/hunter2\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + echo + b"\r\n\r\n",
        echo + b"\r\n\r\n",
        b"",
        address="http://me:hunter2@127.0.0.1:{port}/hunter2?hunter2",
    )
    assert told == [
        "it answered 404 Not Found",
        "it answered 302 Found",
        "what it answered is no HTTP",
        "what it answered is no HTTP",
        "it cannot be reached: ServerDisconnectedError",
    ]


def test_an_internal_error_does_not_tell_the_address_of_a_webhook(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_: aiohttp.ClientSession, url: str, **__: object) -> None:
        raise AssertionError(url) from LookupError(url)

    monkeypatch.setattr(aiohttp.ClientSession, "post", fail)

    async def scene(hooks: Hooks) -> None:
        hooks.offer(recorded())

    which = hook(script=[], webhook="https://me:hunter2@hooks.example.net/hunter2")
    (event,) = play(scene, partial(deliver_to, accounts=Accounts()), which)
    assert event.message == (
        "webhook hooks.example.net failed for real_server.down: internal error: RuntimeError: AssertionError"
    )
    assert "in fail" in caplog.text
    assert "hunter2" not in caplog.text
