"""What is answered to each request."""

import asyncio

import pytest
from msgspec import to_builtins

from kernelbal.model.overlay import Admin
from tests.support.api_harness import ApiHarness, with_api
from tests.support.fake_control import director_status, recorded, service_status


@with_api()
async def test_status_and_one_service_and_life(api: ApiHarness) -> None:
    status, document = await api.ask("GET", "/v1/status")
    assert (status, document["schema"], document["node"]) == (200, 1, "lb1")
    assert document == to_builtins(api.control.now)
    assert (await api.ask("GET", "/v1/virtual-services/web"))[1]["name"] == "web"
    for segment, name in (("mail", "mail"), ("a%2Fb", "a/b")):
        assert await api.ask("GET", f"/v1/virtual-services/{segment}") == (
            404,
            {"error": f"there is no virtual service `{name}`", "hint": "there are: web"},
        )
    assert await api.ask("GET", "/v1/live") == (200, {"alive": True})


@with_api()
async def test_orders_carry_their_words_and_who_gave_them(api: ApiHarness) -> None:
    body = {"server": "rs1", "service": "web", "timeout_s": 60, "hold": True, "reason": "kernel"}
    status, answer = await api.ask("POST", "/v1/real-servers/drain", json=body)
    assert (status, answer["services"], answer["servers"][0]["state"]) == (200, ["web"], "draining")
    await api.ask("POST", "/v1/real-servers/disable", json={"server": "rs2"})
    await api.ask("POST", "/v1/real-servers/enable", json={"server": "rs2"})
    assert [each[0] for each in api.control.orders] == [Admin.DRAIN, Admin.DISABLE, None]
    assert to_builtins(api.control.orders[0][1]) == body
    assert {each[2] for each in api.control.orders} == {"root"}
    status, answer = await api.ask("POST", "/v1/real-servers/drain", json={"server": "rs9"})
    assert (status, answer["hint"]) == (409, "there are: rs1, rs2")


@with_api()
async def test_status_of_one_service_makes_no_other(api: ApiHarness) -> None:
    api.control.now = director_status([service_status(name) for name in ("a", "web", "z")])
    _, document = await api.ask("GET", "/v1/status?service=web")
    assert [each["name"] for each in document["virtual_services"]] == ["web"]
    assert (document["node"], api.control.looked_at) == ("lb1", ["web"])
    await api.ask("GET", "/v1/virtual-services/z")
    assert api.control.looked_at == ["web", "z"]
    status, answer = await api.ask("GET", "/v1/status?service=mail")
    assert (status, answer["hint"]) == (404, "there are: a, web, z")


@pytest.mark.parametrize("path", ["/metrics", "/v1/status"])
@with_api()
async def test_parallel_readers_cost_one_computation(api: ApiHarness, path: str) -> None:
    api.control.epoch = 1

    async def read() -> bytes:
        async with api.session.get(path) as answer:
            return await answer.read()

    answers = await asyncio.gather(*(read() for _ in range(100)))
    assert len(set(answers)) == 1
    assert (api.control.snapshots, api.control.looked_at) == (1, ["web"])
    api.control.epoch = 2
    await read()
    assert api.control.snapshots == 2, "what happened meanwhile is seen at once"


@with_api()
async def test_events_in_a_window(api: ApiHarness) -> None:
    api.control.events = [recorded(each) for each in range(1, 6)]
    _, document = await api.ask("GET", "/v1/events?after=2&limit=2")
    assert [each["seq"] for each in document["events"]] == [3, 4]


@with_api()
async def test_order_is_carried_out_even_when_the_client_hangs_up(api: ApiHarness) -> None:
    api.control.gate.clear()
    _, writer = await asyncio.open_unix_connection(str(api.socket))
    body = b'{"server": "rs1"}'
    writer.write(
        b"POST /v1/real-servers/drain HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        b"Content-Length: %d\r\n\r\n" % len(body) + body
    )
    await api.ask("GET", "/v1/live")
    await asyncio.sleep(0.05)
    writer.close()
    await api.ask("GET", "/v1/live")
    api.control.gate.set()
    while not api.control.orders:  # noqa: ASYNC110 - the stand-in has no event for it
        await asyncio.sleep(0)
