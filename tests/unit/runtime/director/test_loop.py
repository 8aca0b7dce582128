"""When rounds run, what the kernel then is, and what is reported."""

import asyncio
import errno
from pathlib import Path

import pytest

from kernelbal.errors import KernelError, NotPermitted
from kernelbal.model.health import Health, ProbeState
from kernelbal.model.standing import ServerState
from kernelbal.runtime.checker.wire import CheckerReport
from kernelbal.runtime.director.loop import CHECKER_WITHIN_S
from kernelbal.runtime.director.pacer import RESYNC_S
from tests.unit.runtime.director.bench import SITE, WEB, Bench, destination, new_kernel, play

A, B = "10.0.0.11", "10.0.0.12"
BOTH = {A: 100, B: 100}


def test_first_round_waits_for_every_first_result(folder: Path) -> None:
    async def scene(bench: Bench) -> None:
        await bench.until(1001.0)
        bench.report({A: Health.UP})
        await bench.until(1002.0)
        assert bench.kernel.services == {}
        bench.report({B: Health.DOWN})
        await bench.director.loop.ready.wait()
        assert bench.loop.now < 1002.2
        assert bench.weights()[A] == 100
        assert bench.weights().get(B, 0) == 0

    play(scene, folder)


def test_a_probe_that_never_answers_holds_the_first_round_up_for_its_timeout_only(folder: Path) -> None:
    async def scene(bench: Bench) -> None:
        bench.report({})
        await asyncio.sleep(0)
        bench.report({A: Health.UP})
        await bench.director.loop.ready.wait()
        assert bench.loop.now == pytest.approx(1003.05, abs=0.01)
        assert bench.weights() == {A: 100}

    play(scene, folder)


def test_a_checker_that_starts_late_has_its_time_before_anybody_is_taken_out_of_service(folder: Path) -> None:
    async def scene(bench: Bench) -> None:
        await bench.until(1010.0)
        bench.report({})
        await bench.until(1011.5)
        assert not bench.director.loop.ready.is_set()
        bench.all_up()
        await bench.director.loop.ready.wait()
        assert bench.weights() == BOTH

    play(scene, folder)


def test_documents_that_are_replaced_before_the_first_round_are_probed_before_it_too(folder: Path) -> None:
    async def scene(bench: Bench) -> None:
        await bench.until(1000.5)
        before = bench.checker.probes
        bench.write(SITE.replace("interval: 5s", "interval: 7s"))
        reload = asyncio.ensure_future(bench.director.reload("root"))
        await bench.until(1001.5)
        assert not bench.director.loop.ready.is_set()
        assert not before.keys() & bench.checker.probes.keys()
        bench.all_up()
        assert (await reload).loaded
        assert bench.weights() == BOTH

    play(scene, folder)


def test_without_a_checker_the_first_round_is_put_off_no_longer_than_that_is_of_use(folder: Path) -> None:
    async def scene(bench: Bench) -> None:
        await bench.director.loop.ready.wait()
        assert bench.loop.now == pytest.approx(1000.05 + CHECKER_WITHIN_S)

    play(scene, folder)


def test_a_round_without_changes_says_nothing(folder: Path) -> None:
    async def scene(bench: Bench) -> None:
        await bench.begin()
        await bench.until(1002.0)
        said, rounds = bench.log.getvalue(), bench.known.tally.rounds
        await bench.until(1002.0 + 5 * RESYNC_S)
        assert bench.log.getvalue() == said
        assert bench.known.tally.rounds >= rounds + 4

    play(scene, folder)


def test_a_real_server_goes_down_and_comes_back(folder: Path) -> None:
    async def scene(bench: Bench) -> None:
        await bench.begin()
        assert bench.weights() == BOTH
        bench.report({A: Health.DOWN})
        await asyncio.sleep(0.2)
        assert bench.weights() == {A: 0, B: 100}
        assert bench.director.status().service("web").real_servers[0].state == ServerState.DOWN
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
        rounds = bench.known.tally.rounds
        states = {
            key: ProbeState(Health.DOWN, bench.loop.now, "refused", bench.loop.now)
            for key in bench.checker.probes
        }
        for key, state in states.items():
            bench.director.intake.take_report(CheckerReport(bench.loop.now, {key: state}, probes=5000))
        await asyncio.sleep(1)
        assert bench.known.tally.rounds == rounds + 1
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
    assert "external change reverted" in event.message
    assert event.service == "web"
    assert bench.known.tally.repairs > 0


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
        await bench.director.loop.ready.wait()

    assert play(scene, folder, kernel).director.loop.fatal is kernel.fault
