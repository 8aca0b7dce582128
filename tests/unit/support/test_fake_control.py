"""The stand-in for a director behaves as `Control` says."""

import asyncio

import pytest

from kernelbal.errors import OrderRefused
from kernelbal.model.overlay import Admin, ServerState
from kernelbal.model.status import OrderRequest
from kernelbal.runtime.control import Control
from tests.support.fake_control import FakeControl, recorded


def test_order_shows_in_the_status() -> None:
    async def main() -> None:
        control = FakeControl()
        as_control: Control = control
        answer = await as_control.order(Admin.DRAIN, OrderRequest(server="rs1"), "root")
        assert answer.services == ["web"]
        assert as_control.status().service("web").real_servers[0].state == ServerState.DRAINING
        with pytest.raises(OrderRefused):
            await as_control.order(None, OrderRequest(server="rs1", service="mail"), "root")

    asyncio.run(main())


def test_followers_get_past_and_new_events_until_the_end() -> None:
    async def main() -> list[int]:
        control = FakeControl()
        control.events = [recorded(each) for each in (1, 2, 3)]
        seen = []
        async for each in control.follow(1):
            seen.append(each.seq)
            if each.seq == 3:
                control.emit(recorded(4))
                control.end()
        return seen

    assert asyncio.run(main()) == [2, 3, 4]
