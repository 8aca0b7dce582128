"""The director as the control API sees it: status, orders, restarts."""

import asyncio
from pathlib import Path

import pytest

from kernelbal.errors import OrderRefused, StateError
from kernelbal.model.health import Health
from kernelbal.model.ipvs import DestinationCounters
from kernelbal.model.standing import Admin, ServerState
from kernelbal.store.daemon import DaemonState
from tests.unit.runtime.director.bench import SITE, WEB, Bench, destination, new_kernel, play

A, B = "10.0.0.11", "10.0.0.12"
BOTH = {A: 100, B: 100}
BROKEN = SITE.replace("scheduler: rr", "scheduler: rrr")


class TestOrders:
    def test_a_drain_ends_at_its_deadline_and_survives_a_restart(self, folder: Path) -> None:
        kernel = new_kernel()

        async def scene(bench: Bench) -> None:
            await bench.begin()
            answer = await bench.director.order(Admin.DRAIN, bench.request(A, reason="update"), "root")
            assert answer.services == ["web"]
            server = answer.servers[0]
            assert server.admin is not None
            assert (server.admin.order, server.admin.by, server.admin.reason) == (
                Admin.DRAIN,
                "root",
                "update",
            )
            assert bench.weights().get(A, 0) == 0
            await asyncio.sleep(30)
            assert bench.weights() == {B: 100}

        play(scene, folder, kernel)

        async def later(bench: Bench) -> None:
            await bench.begin()
            assert bench.weights() == {B: 100}
            await bench.director.order(None, bench.request(A), "root")
            assert bench.weights() == BOTH

        play(later, folder, kernel, start_at=2000.0)

    def test_disable_cuts_at_once_and_a_stranger_is_refused(self, folder: Path) -> None:
        async def scene(bench: Bench) -> None:
            await bench.begin()
            await bench.director.order(Admin.DISABLE, bench.request(A), "root")
            assert bench.weights() == {B: 100}
            with pytest.raises(OrderRefused, match="no real server"):
                await bench.director.order(Admin.DISABLE, bench.request("10.9.9.9"), "root")

        bench = play(scene, folder)
        assert "real_server.disabled" in [e.topic for e in bench.events()]


class TestRestart:
    def test_nothing_flaps_and_the_first_round_waits_for_nobody(self, folder: Path) -> None:
        kernel = new_kernel()

        async def scene(bench: Bench) -> None:
            await bench.begin()
            bench.report({A: Health.DOWN})
            await asyncio.sleep(5)

        play(scene, folder, kernel)
        done = len(kernel.performed)

        async def again(bench: Bench) -> None:
            await bench.director.loop.ready.wait()
            assert bench.loop.now < 2000.2
            await asyncio.sleep(100)

        bench = play(again, folder, kernel, start_at=2000.0)
        assert len(kernel.performed) == done
        assert bench.events("real_server") == []

    def test_with_a_broken_file_it_starts_with_the_last_good_copy(self, folder: Path) -> None:
        async def scene(bench: Bench) -> None:
            await bench.begin()
            bench.write(SITE + "\n")
            await bench.director.reload("root")

        kernel = new_kernel()
        play(scene, folder, kernel)
        (folder / "site.yaml").write_text(BROKEN)

        async def again(bench: Bench) -> None:
            await bench.director.loop.ready.wait()
            assert "last good copy" in bench.director.status().summary().config.refused
            assert bench.weights() == BOTH
            bench.write(SITE)
            assert (await bench.director.reload("root")).loaded
            assert bench.director.status().summary().config.refused == ""

        play(again, folder, kernel, start_at=2000.0)


def test_a_full_disk_keeps_no_dead_real_server_in_service_and_calls_nobody_drained(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise StateError("cannot write: No space left on device", "check the disk")

    async def scene(bench: Bench) -> None:
        await bench.begin()
        bench.kernel.counters = {WEB: {destination(B): DestinationCounters(1, 0, 0)}}
        await bench.director.order(Admin.DRAIN, bench.request(B, timeout_s=30), "root")
        monkeypatch.setattr(DaemonState, "_write", fail)
        await bench.director.order(Admin.DRAIN, bench.request(B, timeout_s=20), "root")
        await asyncio.sleep(5)
        assert bench.weights() == {A: 100, B: 0}
        assert bench.events("real_server.drained") == []
        bench.report({A: Health.DOWN})
        await asyncio.sleep(1)
        assert bench.weights() == {A: 0, B: 0}
        await asyncio.sleep(20)
        assert bench.weights() == {A: 0}, "what is left is cut at the deadline"

    play(scene, folder)


def test_status_carries_ages_and_rates(folder: Path) -> None:
    async def scene(bench: Bench) -> None:
        await bench.begin()
        await asyncio.sleep(10)
        snapshot = bench.director.status()
        status = snapshot.summary()
        assert status.counters_s is not None
        assert status.counters_s <= 2.1
        assert status.reconcile.converged
        server = snapshot.service("web").real_servers[0]
        assert (server.state, server.weight, server.connections_per_s) == (ServerState.SERVING, 100, 0.0)
        assert server.checks[0].check == "tcp 10.0.0.11:80"
        assert status.uptime_s == pytest.approx(bench.loop.now - 1000)

    play(scene, folder)
