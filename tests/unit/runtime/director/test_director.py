"""The director: what happens, what the kernel then is, and what is told."""

import asyncio
import errno
from pathlib import Path

import pytest

from kernelbal.errors import KernelError, NotPermitted, OrderRefused, StateError
from kernelbal.model.health import Health, ProbeState
from kernelbal.model.ipvs import DestinationCounters
from kernelbal.model.standing import Admin
from kernelbal.runtime.checker.wire import CheckerReport
from kernelbal.runtime.director.director import CHECKER_WITHIN_S
from kernelbal.runtime.director.pacer import RESYNC_S, Cause
from kernelbal.store.daemon import GOOD_SITE_FILE, DaemonState
from tests.unit.runtime.director.bench import SITE, WEB, Bench, destination, new_kernel, play

A, B = "10.0.0.11", "10.0.0.12"
BOTH = {A: 100, B: 100}
BROKEN = SITE.replace("scheduler: rr", "scheduler: rrr")
DSR_BEHIND_GATEWAY = SITE.replace("one_armed: true", "one_armed: false").replace("192.0.2.10", "10.0.0.80")


def test_first_round_waits_for_every_first_result(folder: Path) -> None:
    async def scene(bench: Bench) -> None:
        await bench.until(1001.0)
        bench.report({A: Health.UP})
        await bench.until(1002.0)
        assert bench.kernel.services == {}
        bench.report({B: Health.DOWN})
        await bench.director.ready.wait()
        assert bench.loop.now < 1002.2
        assert bench.weights()[A] == 100
        assert bench.weights().get(B, 0) == 0

    play(scene, folder)


def test_a_probe_that_never_answers_holds_the_first_round_up_for_its_timeout_only(folder: Path) -> None:
    async def scene(bench: Bench) -> None:
        bench.report({})
        await asyncio.sleep(0)
        bench.report({A: Health.UP})
        await bench.director.ready.wait()
        assert bench.loop.now == pytest.approx(1003.05, abs=0.01)
        assert bench.weights() == {A: 100}

    play(scene, folder)


def test_a_checker_that_starts_late_has_its_time_before_anybody_is_taken_out_of_service(folder: Path) -> None:
    async def scene(bench: Bench) -> None:
        await bench.until(1010.0)
        bench.report({})
        await bench.until(1011.5)
        assert not bench.director.ready.is_set()
        bench.all_up()
        await bench.director.ready.wait()
        assert bench.weights() == BOTH

    play(scene, folder)


def test_documents_that_are_replaced_before_the_first_round_are_probed_before_it_too(folder: Path) -> None:
    async def scene(bench: Bench) -> None:
        await bench.until(1000.5)
        before = bench.checker.probes
        bench.write(SITE.replace("interval: 5s", "interval: 7s"))
        reload = asyncio.ensure_future(bench.director.reload("root"))
        await bench.until(1001.5)
        assert not bench.director.ready.is_set()
        assert not before.keys() & bench.checker.probes.keys()
        bench.all_up()
        assert (await reload).loaded
        assert bench.weights() == BOTH

    play(scene, folder)


def test_without_a_checker_the_first_round_is_put_off_no_longer_than_that_is_of_use(folder: Path) -> None:
    async def scene(bench: Bench) -> None:
        await bench.director.ready.wait()
        assert bench.loop.now == pytest.approx(1000.05 + CHECKER_WITHIN_S)

    play(scene, folder)


def test_a_round_without_changes_says_nothing(folder: Path) -> None:
    async def scene(bench: Bench) -> None:
        await bench.begin()
        await bench.until(1002.0)
        said, rounds = bench.log.getvalue(), bench.book.tally.rounds
        await bench.until(1002.0 + 5 * RESYNC_S)
        assert bench.log.getvalue() == said
        assert bench.book.tally.rounds >= rounds + 4

    play(scene, folder)


def test_a_real_server_goes_down_and_comes_back(folder: Path) -> None:
    async def scene(bench: Bench) -> None:
        await bench.begin()
        assert bench.weights() == BOTH
        bench.report({A: Health.DOWN})
        await asyncio.sleep(0.2)
        assert bench.weights() == {A: 0, B: 100}
        assert bench.director.status().service("web").real_servers[0].state == "down"
        bench.report({A: Health.UP})
        await asyncio.sleep(0.2)
        assert bench.weights() == BOTH

    bench = play(scene, folder)
    assert [e.topic for e in bench.events("real_server")] == ["real_server.down", "real_server.up"]
    assert bench.events("drift") == [], "a decision is no drift"


def test_five_thousand_real_servers_that_fail_at_once_make_one_round(folder: Path) -> None:
    servers = ", ".join(f"{{address: 10.0.{n // 250}.{n % 250 + 1}}}" for n in range(5000))
    (folder / "site.yaml").write_text(SITE.replace("{address: 10.0.0.11}, {address: 10.0.0.12}", servers))

    async def scene(bench: Bench) -> None:
        await bench.begin()
        rounds = bench.book.tally.rounds
        states = {
            key: ProbeState(Health.DOWN, bench.loop.now, "refused", bench.loop.now)
            for key in bench.checker.probes
        }
        for key, state in states.items():
            bench.director.take_report(CheckerReport(bench.loop.now, {key: state}, probes=5000))
        await asyncio.sleep(1)
        assert bench.book.tally.rounds == rounds + 1
        assert set(bench.weights().values()) <= {0}

    bench = play(scene, folder)
    assert len(bench.events("real_server.down")) >= 4000, "the journal keeps the last of them"


def remove_service(bench: Bench) -> None:
    del bench.kernel.services[WEB]


def remove_server(bench: Bench) -> None:
    del bench.kernel.services[WEB].destinations[destination(A)]


def change_weight(bench: Bench) -> None:
    found = bench.kernel.services[WEB].destinations
    found[destination(A)] = found[destination(A)]._replace(weight=7)


@pytest.mark.parametrize("by_hand", [remove_service, remove_server, change_weight])
def test_what_is_changed_in_the_ipvs_table_by_hand_is_back_within_a_second(
    folder: Path, by_hand: object
) -> None:
    async def scene(bench: Bench) -> None:
        await bench.begin()
        await bench.until(1010.0)
        by_hand(bench)  # type: ignore[operator] # a function of this module
        assert bench.weights() != BOTH
        await bench.until(1011.0)
        assert bench.weights() == BOTH

    bench = play(scene, folder)
    (event,) = bench.events("drift")
    assert "repaired" in event.message
    assert event.service == "web"
    assert bench.book.tally.repairs > 0


def test_an_address_that_is_gone_is_back_once_the_kernel_tells(folder: Path) -> None:
    async def scene(bench: Bench) -> None:
        await bench.begin()
        await bench.until(1010.0)
        gone = next(key for key in bench.kernel.addresses if key.address == WEB.address)
        del bench.kernel.addresses[gone]
        bench.director.note(Cause.NOTIFIED)
        await bench.until(1010.2)
        assert gone in bench.kernel.addresses

    bench = play(scene, folder)
    (event,) = bench.events("drift")
    assert "address 192.0.2.10/32" in event.message


def test_lost_notifications_make_it_read_everything(folder: Path) -> None:
    async def scene(bench: Bench) -> None:
        await bench.begin()
        await bench.until(1010.0)
        bench.kernel.nft = None
        bench.director.note(Cause.OVERFLOW)
        await bench.until(1010.2)
        assert bench.kernel.nft is not None

    (event,) = play(scene, folder).events("drift")
    assert "nftables table" in event.message


def test_a_kernel_that_fails_is_asked_again_and_both_are_told_once(folder: Path) -> None:
    async def scene(bench: Bench) -> None:
        await bench.begin()
        bench.kernel.fault = KernelError("read", "", errno.EIO, "the kernel is tired", "wait")
        bench.report({A: Health.DOWN})
        await bench.until(1010.0)
        assert bench.director.status().summary().reconcile.error == "the kernel is tired"
        bench.kernel.fault = None
        await bench.until(1060.0)
        assert bench.weights() == {A: 0, B: 100}

    bench = play(scene, folder)
    assert [e.topic for e in bench.events("round")] == ["round.failed", "round.recovered"]
    assert "hint: wait" in bench.events("round")[0].message


def test_without_the_capability_it_ends_at_once(folder: Path) -> None:
    kernel = new_kernel()
    kernel.fault = NotPermitted("read", "", errno.EPERM, "not permitted", "run it as root")

    async def scene(bench: Bench) -> None:
        await asyncio.sleep(0)
        bench.all_up()
        await bench.director.ready.wait()

    assert play(scene, folder, kernel).director.fatal is kernel.fault


class TestDocuments:
    def test_a_new_document_comes_into_force_and_probes_follow(self, folder: Path) -> None:
        async def scene(bench: Bench) -> None:
            await bench.begin()
            bench.write(SITE.replace("scheduler: rr", "scheduler: wlc"))
            answer = await bench.director.reload("root")
            assert (answer.loaded, answer.changed, answer.problems) == (True, True, [])
            assert bench.kernel.services[WEB].attributes.scheduler == "wlc"
            assert bench.checker.sets == 2
            again = await bench.director.reload("root")
            assert (again.loaded, again.changed) == (True, False)

        bench = play(scene, folder)
        (event,) = bench.events("config")
        assert event.topic == "config.loaded"
        assert event.fields["by"] == "root"
        assert (bench.state.path / GOOD_SITE_FILE).read_text() == SITE.replace("rr\n", "wlc\n")

    def test_whatever_is_read_beside_the_documents_is_read_again_each_time(self, folder: Path) -> None:
        async def scene(bench: Bench) -> None:
            await bench.begin()
            bench.director.on_load = lambda: told.append(len(told))
            await bench.director.reload("root")
            assert len(told) == 1
            bench.director.hang_up()
            await asyncio.sleep(5)
            bench.write("nonsense")
            await bench.director.reload("root")

        told: list[int] = []
        play(scene, folder)
        assert told == [0, 1, 2]

    def test_a_changed_check_takes_nobody_out_of_service(self, folder: Path) -> None:
        async def scene(bench: Bench) -> None:
            await bench.begin()
            bench.write(SITE.replace("interval: 5s", "interval: 7s"))
            await bench.director.reload("root")
            assert bench.weights() == BOTH
            assert [state.health for state in bench.checker.states.values()] == [Health.UP] * 2
            await asyncio.sleep(60)
            assert bench.weights() == BOTH

        assert play(scene, folder).events("real_server") == []

    def test_a_broken_document_is_refused_and_the_old_one_stays(self, folder: Path) -> None:
        async def scene(bench: Bench) -> None:
            await bench.begin()
            bench.write(BROKEN)
            bench.director.file_changed()
            await asyncio.sleep(1)
            status = bench.director.status().summary().config
            assert "problem" in status.refused
            assert "site.yaml:8:" in status.problems[0]
            assert bench.kernel.services[WEB].attributes.scheduler == "rr"
            answer = await bench.director.reload("root")
            assert not answer.loaded
            bench.director.file_changed()
            await asyncio.sleep(1)
            bench.write(SITE)
            bench.director.file_changed()
            await asyncio.sleep(1)
            assert bench.director.status().summary().config.refused == ""

        bench = play(scene, folder)
        assert [e.topic for e in bench.events("config")] == ["config.refused", "config.loaded"]

    def test_a_document_that_would_not_work_is_refused(self, folder: Path) -> None:
        async def scene(bench: Bench) -> None:
            await bench.begin()
            bench.write(DSR_BEHIND_GATEWAY.replace("check:", "network: inside\n    check:"))
            answer = await bench.director.reload("root")
            assert not answer.loaded
            assert "replies go straight to the clients" in answer.problems[0]
            assert bench.weights() == BOTH

        play(scene, folder)

    def test_a_document_that_is_gone_is_refused(self, folder: Path) -> None:
        async def scene(bench: Bench) -> None:
            await bench.begin()
            (folder / "site.yaml").unlink()
            answer = await bench.director.reload("root")
            assert "No such file" in answer.problems[0]
            assert bench.weights() == BOTH

        play(scene, folder)


class TestOrders:
    def test_a_drain_ends_at_its_deadline_and_survives_a_restart(self, folder: Path) -> None:
        kernel = new_kernel()

        async def scene(bench: Bench) -> None:
            await bench.begin()
            answer = await bench.director.order(Admin.DRAIN, bench.request(A, reason="update"), "root")
            assert answer.services == ["web"]
            server = answer.servers[0]
            assert server.admin is not None
            assert (server.admin.order, server.admin.by, server.admin.reason) == ("drain", "root", "update")
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
            await bench.director.ready.wait()
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
            await bench.director.ready.wait()
            assert "last good copy" in bench.director.status().summary().config.refused
            assert bench.weights() == BOTH
            bench.write(SITE)
            assert (await bench.director.reload("root")).loaded
            assert bench.director.status().summary().config.refused == ""

        play(again, folder, kernel, start_at=2000.0)


def test_a_lost_checker_changes_nothing(folder: Path) -> None:
    async def scene(bench: Bench) -> None:
        await bench.begin()
        bench.director.lose_checker("it ended")
        await asyncio.sleep(60)
        assert bench.weights() == BOTH
        bench.all_up()

    bench = play(scene, folder)
    assert [e.topic for e in bench.events("checker")] == [
        "checker.started",
        "checker.lost",
        "checker.started",
    ]


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
        assert (server.state, server.weight, server.connections_per_s) == ("serving", 100, 0.0)
        assert server.checks[0].check == "tcp 10.0.0.11:80"
        assert status.uptime_s == pytest.approx(bench.loop.now - 1000)

    play(scene, folder)
