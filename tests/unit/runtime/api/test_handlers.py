"""What is answered to each request."""

import asyncio
from pathlib import Path

import aiohttp
import pytest
from msgspec import to_builtins

from kernelbal.model.standing import Admin
from tests.support.fake_control import FakeControl, director_status, recorded, service_status
from tests.unit.runtime.api.asking import ask, run


def test_status_and_one_service_and_life(tmp_path: Path) -> None:
    async def play(session: aiohttp.ClientSession, control: FakeControl, _: Path) -> None:
        status, document = await ask(session, "GET", "/v1/status")
        assert (status, document["schema"], document["node"]) == (200, 1, "lb1")
        assert document == to_builtins(control.now)
        assert (await ask(session, "GET", "/v1/virtual-services/web"))[1]["name"] == "web"
        for segment, name in (("mail", "mail"), ("a%2Fb", "a/b")):
            assert await ask(session, "GET", f"/v1/virtual-services/{segment}") == (
                404,
                {"error": f"there is no virtual service `{name}`", "hint": "there are: web"},
            )
        assert await ask(session, "GET", "/v1/live") == (200, {"alive": True})

    run(tmp_path, play)


def test_orders_carry_their_words_and_who_gave_them(tmp_path: Path) -> None:
    async def play(session: aiohttp.ClientSession, control: FakeControl, _: Path) -> None:
        body = {"server": "rs1", "service": "web", "timeout_s": 60, "hold": True, "reason": "kernel"}
        status, answer = await ask(session, "POST", "/v1/real-servers/drain", json=body)
        assert (status, answer["services"], answer["servers"][0]["state"]) == (200, ["web"], "draining")
        await ask(session, "POST", "/v1/real-servers/disable", json={"server": "rs2"})
        await ask(session, "POST", "/v1/real-servers/enable", json={"server": "rs2"})
        assert [each[0] for each in control.orders] == [Admin.DRAIN, Admin.DISABLE, None]
        assert to_builtins(control.orders[0][1]) == body
        assert {each[2] for each in control.orders} == {"root"}
        status, answer = await ask(session, "POST", "/v1/real-servers/drain", json={"server": "rs9"})
        assert (status, answer["hint"]) == (409, "there are: rs1, rs2")

    run(tmp_path, play)


def test_status_of_one_service_makes_no_other(tmp_path: Path) -> None:
    async def play(session: aiohttp.ClientSession, control: FakeControl, _: Path) -> None:
        control.now = director_status([service_status(name) for name in ("a", "web", "z")])
        _, document = await ask(session, "GET", "/v1/status?service=web")
        assert [each["name"] for each in document["virtual_services"]] == ["web"]
        assert (document["node"], control.looked_at) == ("lb1", ["web"])
        await ask(session, "GET", "/v1/virtual-services/z")
        assert control.looked_at == ["web", "z"]
        status, answer = await ask(session, "GET", "/v1/status?service=mail")
        assert (status, answer["hint"]) == (404, "there are: a, web, z")

    run(tmp_path, play)


@pytest.mark.parametrize("path", ["/metrics", "/v1/status"])
def test_parallel_readers_cost_one_computation(tmp_path: Path, path: str) -> None:
    async def play(session: aiohttp.ClientSession, control: FakeControl, _: Path) -> None:
        control.epoch = 1

        async def read() -> bytes:
            async with session.get(path) as answer:
                return await answer.read()

        answers = await asyncio.gather(*(read() for _ in range(100)))
        assert len(set(answers)) == 1
        assert (control.snapshots, control.looked_at) == (1, ["web"])
        control.epoch = 2
        await read()
        assert control.snapshots == 2, "what happened meanwhile is seen at once"

    run(tmp_path, play)


def test_events_in_a_window(tmp_path: Path) -> None:
    async def play(session: aiohttp.ClientSession, control: FakeControl, _: Path) -> None:
        control.events = [recorded(each) for each in range(1, 6)]
        _, document = await ask(session, "GET", "/v1/events?after=2&limit=2")
        assert [each["seq"] for each in document["events"]] == [3, 4]

    run(tmp_path, play)


def test_order_is_carried_out_even_when_the_client_hangs_up(tmp_path: Path) -> None:
    async def play(session: aiohttp.ClientSession, control: FakeControl, path: Path) -> None:
        control.gate.clear()
        _, writer = await asyncio.open_unix_connection(str(path))
        body = b'{"server": "rs1"}'
        writer.write(
            b"POST /v1/real-servers/drain HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            b"Content-Length: %d\r\n\r\n" % len(body) + body
        )
        await ask(session, "GET", "/v1/live")
        await asyncio.sleep(0.05)
        writer.close()
        await ask(session, "GET", "/v1/live")
        control.gate.set()
        while not control.orders:  # noqa: ASYNC110 - the stand-in has no event for it
            await asyncio.sleep(0)

    run(tmp_path, play)
