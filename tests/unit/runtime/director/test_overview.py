"""The whole status."""

import asyncio
from pathlib import Path

from msgspec import to_builtins

from kernelbal.health.quarantine import Quarantined
from kernelbal.model.health import Health
from kernelbal.model.overlay import Admin, ServerState
from kernelbal.model.status import QuarantineStatus
from kernelbal.runtime.director import overview
from tests.support.director_harness import SITE, DirectorHarness, in_virtual_time, play


@in_virtual_time
async def test_before_the_first_round_it_says_what_it_waits_for(harness: DirectorHarness) -> None:
    status = harness.director.status().summary()
    assert not status.reconcile.converged
    assert status.reconcile.last_s is None
    assert status.counters_s is None
    assert "waiting for first results" in overview.summary_of(harness.known)


@in_virtual_time
async def test_every_part_has_its_age(harness: DirectorHarness) -> None:
    await harness.begin()
    harness.checker.last_report_at = harness.loop.now
    await asyncio.sleep(3)
    status = harness.director.status().summary()
    assert status.node == "lb1"
    assert status.checker.last_s == 3.0
    assert 2.9 < (status.reconcile.last_s or 0) <= 3.1
    assert status.table.buckets == 4096
    assert status.started.endswith("Z")
    document = to_builtins(status)
    assert document["schema"] == 1
    assert overview.summary_of(harness.known).endswith("usable real servers 2")


@in_virtual_time
async def test_probes_that_are_not_run_are_named(harness: DirectorHarness) -> None:
    await harness.begin()
    probe = next(iter(harness.checker.probes.values()))
    harness.checker.quarantined = [(probe, Quarantined("it hangs", harness.loop.now + 42.0))]
    assert harness.director.status().summary().checker.quarantined == [
        QuarantineStatus(check="check tcp of 10.0.0.11 port 80", reason="it hangs", next_s=42.0)
    ]


def test_an_order_is_answered_with_the_real_servers_it_is_about(folder: Path) -> None:
    two = SITE + SITE.partition("virtual_services:\n")[2].replace("web", "app").replace("2.10", "2.11")
    (folder / "site.yaml").write_text(two)

    async def scene(harness: DirectorHarness) -> None:
        await harness.begin()
        harness.report({"10.0.0.12": Health.DOWN})
        answer = await harness.director.order(Admin.DISABLE, harness.request("10.0.0.11"), "root")
        assert answer.services == ["web", "app"]
        assert {server.state for server in answer.servers} == {ServerState.DISABLED}

    play(scene, folder)
