"""When rounds run, what the kernel then is, and what is reported."""

import asyncio
import errno
from pathlib import Path

import pytest

from kernelbal.errors import KernelError, NotPermitted
from kernelbal.model.health import Health, ProbeState
from kernelbal.model.overlay import ServerState
from kernelbal.runtime.checker.wire import CheckerReport
from kernelbal.runtime.director.loop import CHECKER_WITHIN_S
from kernelbal.runtime.director.pacer import RESYNC_S
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


@in_virtual_time
async def test_first_round_waits_for_every_first_result(harness: DirectorHarness) -> None:
    await harness.until(1001.0)
    harness.report({A: Health.UP})
    await harness.until(1002.0)
    assert harness.kernel.services == {}
    harness.report({B: Health.DOWN})
    await harness.director.loop.ready.wait()
    assert harness.loop.now < 1002.2
    assert harness.weights()[A] == 100
    assert harness.weights().get(B, 0) == 0


@in_virtual_time
async def test_probe_without_answer_holds_first_round_for_its_timeout(harness: DirectorHarness) -> None:
    harness.report({})
    await asyncio.sleep(0)
    harness.report({A: Health.UP})
    await harness.director.loop.ready.wait()
    assert harness.loop.now == pytest.approx(1003.05, abs=0.01)
    assert harness.weights() == {A: 100}


@in_virtual_time
async def test_checker_that_starts_late_has_its_time(harness: DirectorHarness) -> None:
    await harness.until(1010.0)
    harness.report({})
    await harness.until(1011.5)
    assert not harness.director.loop.ready.is_set()
    harness.all_up()
    await harness.director.loop.ready.wait()
    assert harness.weights() == BOTH


@in_virtual_time
async def test_documents_replaced_before_the_first_round_are_probed(harness: DirectorHarness) -> None:
    await harness.until(1000.5)
    before = harness.checker.probes
    harness.write(SITE.replace("interval: 5s", "interval: 7s"))
    reload = asyncio.ensure_future(harness.director.reload("root"))
    await harness.until(1001.5)
    assert not harness.director.loop.ready.is_set()
    assert not before.keys() & harness.checker.probes.keys()
    harness.all_up()
    assert (await reload).loaded
    assert harness.weights() == BOTH


@in_virtual_time
async def test_without_a_checker_the_first_round_comes(harness: DirectorHarness) -> None:
    await harness.director.loop.ready.wait()
    assert harness.loop.now == pytest.approx(1000.05 + CHECKER_WITHIN_S)


@in_virtual_time
async def test_a_round_without_changes_says_nothing(harness: DirectorHarness) -> None:
    await harness.begin()
    await harness.until(1002.0)
    said, rounds = harness.log.getvalue(), harness.known.tally.rounds
    await harness.until(1002.0 + 5 * RESYNC_S)
    assert harness.log.getvalue() == said
    assert harness.known.tally.rounds >= rounds + 4


@in_virtual_time
async def test_a_real_server_goes_down_and_comes_back(harness: DirectorHarness) -> None:
    await harness.begin()
    assert harness.weights() == BOTH
    harness.report({A: Health.DOWN})
    await asyncio.sleep(0.2)
    assert harness.weights() == {A: 0, B: 100}
    assert harness.director.status().service("web").real_servers[0].state == ServerState.DOWN
    harness.report({A: Health.UP})
    await asyncio.sleep(0.2)
    assert harness.weights() == BOTH
    assert [e.topic for e in harness.events("real_server")] == ["real_server.down", "real_server.up"]
    assert harness.events("drift") == [], "a decision is no drift"


def test_five_thousand_real_servers_that_fail_at_once_make_one_round(folder: Path) -> None:
    servers = ", ".join(f"{{address: 10.0.{n // 250}.{n % 250 + 1}}}" for n in range(5000))
    (folder / "site.yaml").write_text(SITE.replace("{address: 10.0.0.11}, {address: 10.0.0.12}", servers))

    async def scene(harness: DirectorHarness) -> None:
        await harness.begin()
        rounds = harness.known.tally.rounds
        states = {
            key: ProbeState(Health.DOWN, harness.loop.now, "refused", harness.loop.now)
            for key in harness.checker.probes
        }
        for key, state in states.items():
            harness.director.intake.take_report(CheckerReport(harness.loop.now, {key: state}, probes=5000))
        await asyncio.sleep(1)
        assert harness.known.tally.rounds == rounds + 1
        assert set(harness.weights().values()) <= {0}

    harness = play(scene, folder)
    assert len(harness.events("real_server.down")) >= 4000, "the journal keeps the last of them"


def remove_service(harness: DirectorHarness) -> None:
    del harness.kernel.services[WEB]


def remove_server(harness: DirectorHarness) -> None:
    del harness.kernel.services[WEB].destinations[destination(A)]


def change_weight(harness: DirectorHarness) -> None:
    found = harness.kernel.services[WEB].destinations
    found[destination(A)] = found[destination(A)]._replace(weight=7)


@pytest.mark.parametrize("by_hand", [remove_service, remove_server, change_weight])
@in_virtual_time
async def test_external_change_is_reverted_within_a_second(harness: DirectorHarness, by_hand: object) -> None:
    await harness.begin()
    await harness.until(1010.0)
    by_hand(harness)  # type: ignore[operator] # a function of this module
    assert harness.weights() != BOTH
    await harness.until(1011.0)
    assert harness.weights() == BOTH
    (event,) = harness.events("drift")
    assert "external change reverted" in event.message
    assert event.service == "web"
    assert harness.known.tally.reverts > 0


@in_virtual_time
async def test_a_kernel_that_fails_is_asked_again_and_both_are_told_once(harness: DirectorHarness) -> None:
    await harness.begin()
    harness.kernel.fault = KernelError("read", "", errno.EIO, "the kernel is tired", "wait")
    harness.report({A: Health.DOWN})
    await harness.until(1010.0)
    assert harness.director.status().summary().reconcile.error == "the kernel is tired"
    harness.kernel.fault = None
    await harness.until(1060.0)
    assert harness.weights() == {A: 0, B: 100}
    assert [e.topic for e in harness.events("round")] == ["round.failed", "round.recovered"]
    assert "hint: wait" in harness.events("round")[0].message


def test_without_the_capability_it_ends_at_once(folder: Path) -> None:
    kernel = new_kernel()
    kernel.fault = NotPermitted("read", "", errno.EPERM, "not permitted", "run it as root")

    async def scene(harness: DirectorHarness) -> None:
        await asyncio.sleep(0)
        harness.all_up()
        await harness.director.loop.ready.wait()

    assert play(scene, folder, kernel).director.loop.fatal is kernel.fault
