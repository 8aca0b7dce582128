"""The whole status."""

import asyncio
from pathlib import Path

from msgspec import to_builtins

from kernelbal.model.health import Health
from kernelbal.model.standing import Admin, ServerState
from kernelbal.runtime.director import overview
from tests.unit.runtime.director.bench import SITE, Bench, play


def test_before_the_first_round_it_says_what_it_waits_for(folder: Path) -> None:
    async def scene(bench: Bench) -> None:
        status = bench.director.status().summary()
        assert not status.reconcile.converged
        assert status.reconcile.last_s is None
        assert status.counters_s is None
        assert "waiting for first results" in overview.summary_of(bench.known)

    play(scene, folder)


def test_every_part_has_its_age(folder: Path) -> None:
    async def scene(bench: Bench) -> None:
        await bench.begin()
        bench.checker.last_report_at = bench.loop.now
        await asyncio.sleep(3)
        status = bench.director.status().summary()
        assert status.node == "lb1"
        assert status.checker.last_s == 3.0
        assert 2.9 < (status.reconcile.last_s or 0) <= 3.1
        assert status.table.buckets == 4096
        assert status.started.endswith("Z")
        document = to_builtins(status)
        assert document["schema"] == 1
        assert overview.summary_of(bench.known).endswith("usable real servers 2")

    play(scene, folder)


def test_an_order_is_answered_with_the_real_servers_it_is_about(folder: Path) -> None:
    two = SITE + SITE.partition("virtual_services:\n")[2].replace("web", "app").replace("2.10", "2.11")
    (folder / "site.yaml").write_text(two)

    async def scene(bench: Bench) -> None:
        await bench.begin()
        bench.report({"10.0.0.12": Health.DOWN})
        answer = await bench.director.order(Admin.DISABLE, bench.request("10.0.0.11"), "root")
        assert answer.services == ["web", "app"]
        assert {server.state for server in answer.servers} == {ServerState.DISABLED}

    play(scene, folder)
