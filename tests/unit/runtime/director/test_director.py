"""The director as the control API sees it: status, orders, restarts."""

import asyncio
from pathlib import Path

import pytest

from kernelbal.errors import OrderRefused, StateError
from kernelbal.model.health import Health
from kernelbal.model.ipvs import DestinationCounters
from kernelbal.model.overlay import Admin, ServerState
from kernelbal.store.daemon import DaemonState
from tests.support.director_harness import (
    SITE,
    WEB,
    DirectorHarness,
    destination,
    in_virtual_time,
    new_kernel,
    play,
)

A, B = "10.0.0.11", "10.0.0.12"
BOTH = {A: 100, B: 100}
BROKEN = SITE.replace("scheduler: rr", "scheduler: rrr")


# --- orders ---


def test_a_drain_ends_at_its_deadline_and_survives_a_restart(folder: Path) -> None:
    kernel = new_kernel()

    async def scene(harness: DirectorHarness) -> None:
        await harness.begin()
        answer = await harness.director.order(Admin.DRAIN, harness.request(A, reason="update"), "root")
        assert answer.services == ["web"]
        server = answer.servers[0]
        assert server.admin is not None
        assert (server.admin.order, server.admin.by, server.admin.reason) == (Admin.DRAIN, "root", "update")
        assert harness.weights().get(A, 0) == 0
        await asyncio.sleep(30)
        assert harness.weights() == {B: 100}

    play(scene, folder, kernel)

    async def later(harness: DirectorHarness) -> None:
        await harness.begin()
        assert harness.weights() == {B: 100}
        await harness.director.order(None, harness.request(A), "root")
        assert harness.weights() == BOTH

    play(later, folder, kernel, start_at=2000.0)


@in_virtual_time
async def test_disable_cuts_at_once_and_a_stranger_is_refused(harness: DirectorHarness) -> None:
    await harness.begin()
    await harness.director.order(Admin.DISABLE, harness.request(A), "root")
    assert harness.weights() == {B: 100}
    with pytest.raises(OrderRefused, match="no real server"):
        await harness.director.order(Admin.DISABLE, harness.request("10.9.9.9"), "root")
    assert "real_server.disabled" in [e.topic for e in harness.events()]


# --- restart ---


def test_nothing_flaps_and_the_first_round_waits_for_nobody(folder: Path) -> None:
    kernel = new_kernel()

    async def scene(harness: DirectorHarness) -> None:
        await harness.begin()
        harness.report({A: Health.DOWN})
        await asyncio.sleep(5)

    play(scene, folder, kernel)
    done = len(kernel.performed)

    async def again(harness: DirectorHarness) -> None:
        await harness.director.loop.ready.wait()
        assert harness.loop.now < 2000.2
        await asyncio.sleep(100)

    harness = play(again, folder, kernel, start_at=2000.0)
    assert len(kernel.performed) == done
    assert harness.events("real_server") == []


def test_with_a_broken_file_it_starts_with_the_last_good_copy(folder: Path) -> None:
    async def scene(harness: DirectorHarness) -> None:
        await harness.begin()
        harness.write(SITE + "\n")
        await harness.director.reload("root")

    kernel = new_kernel()
    play(scene, folder, kernel)
    (folder / "site.yaml").write_text(BROKEN)

    async def again(harness: DirectorHarness) -> None:
        await harness.director.loop.ready.wait()
        assert "last good copy" in harness.director.status().summary().config.refused
        assert harness.weights() == BOTH
        harness.write(SITE)
        assert (await harness.director.reload("root")).loaded
        assert harness.director.status().summary().config.refused == ""

    play(again, folder, kernel, start_at=2000.0)


@in_virtual_time
async def test_full_disk_keeps_no_dead_real_server_in_service(
    harness: DirectorHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise StateError("cannot write: No space left on device", "check the disk")

    await harness.begin()
    harness.kernel.counters = {WEB: {destination(B): DestinationCounters(1, 0, 0)}}
    await harness.director.order(Admin.DRAIN, harness.request(B, timeout_s=20), "root")
    monkeypatch.setattr(DaemonState, "_write", fail)
    await asyncio.sleep(5)
    assert harness.weights() == {A: 100, B: 0}
    assert harness.events("real_server.drained") == []
    harness.report({A: Health.DOWN})
    await asyncio.sleep(1)
    assert harness.weights() == {A: 0, B: 0}
    await asyncio.sleep(20)
    assert harness.weights() == {A: 0}, "what is left is cut at the deadline"


@in_virtual_time
async def test_status_carries_ages_and_rates(harness: DirectorHarness) -> None:
    await harness.begin()
    await asyncio.sleep(10)
    snapshot = harness.director.status()
    status = snapshot.summary()
    assert status.counters_s is not None
    assert status.counters_s <= 2.1
    assert status.reconcile.converged
    server = snapshot.service("web").real_servers[0]
    assert (server.state, server.weight, server.connections_per_s) == (ServerState.SERVING, 100, 0.0)
    assert server.checks[0].check == "tcp 10.0.0.11:80"
    assert status.uptime_s == pytest.approx(harness.loop.now - 1000)
