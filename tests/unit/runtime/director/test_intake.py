"""What comes in: the checker, the kernel, files."""

import asyncio
import os
from contextlib import closing
from pathlib import Path

import pytest

from kernelbal.kernel.watch import KernelChange
from kernelbal.model.address import format_address
from kernelbal.model.health import Health, ProbeState
from kernelbal.runtime.director.pacer import Cause
from tests.support.director_harness import WEB, DirectorHarness, VirtualLoop, in_virtual_time, new_kernel

A, B = "10.0.0.11", "10.0.0.12"
BOTH = {A: 100, B: 100}


@in_virtual_time
async def test_a_lost_checker_changes_nothing(harness: DirectorHarness) -> None:
    await harness.begin()
    harness.director.intake.lose_checker("it ended")
    await asyncio.sleep(60)
    assert harness.weights() == BOTH
    harness.all_up()
    assert [e.topic for e in harness.events("checker")] == [
        "checker.started",
        "checker.lost",
        "checker.started",
    ]


@in_virtual_time
async def test_a_reason_is_that_of_the_last_probe(harness: DirectorHarness) -> None:
    await harness.begin()
    for reason in ("connection refused", "timeout after 2 s: no answer"):
        harness.report({A: ProbeState(Health.DOWN, harness.loop.now, reason)})
        await asyncio.sleep(0.5)
        assert harness.known.decision is not None
        found = {format_address(key.address): view for key, view in harness.known.decision.servers.items()}
        assert found[A].reason == reason
    assert len(harness.events("real_server.down")) == 1, "that it is down is no news"


@in_virtual_time
async def test_an_address_that_is_gone_is_back_once_the_kernel_tells(harness: DirectorHarness) -> None:
    await harness.begin()
    await harness.until(1010.0)
    gone = next(key for key in harness.kernel.addresses if key.address == WEB.address)
    del harness.kernel.addresses[gone]
    harness.director.loop.note(Cause.NOTIFIED)
    await harness.until(1010.2)
    assert gone in harness.kernel.addresses
    (event,) = harness.events("drift")
    assert "address 192.0.2.10/32" in event.message


@in_virtual_time
async def test_lost_notifications_make_it_read_everything(harness: DirectorHarness) -> None:
    await harness.begin()
    await harness.until(1010.0)
    harness.kernel.tables.clear()
    harness.director.loop.note(Cause.OVERFLOW)
    await harness.until(1010.2)
    assert harness.kernel.nft is not None
    (event,) = harness.events("drift")
    assert "nftables table" in event.message


@pytest.mark.parametrize(
    ("notice", "causes"),
    [
        (KernelChange.NOTHING, set()),
        (KernelChange.CHANGED, {Cause.NOTIFIED}),
        (KernelChange.LOST, {Cause.OVERFLOW}),
        (KernelChange.LOST | KernelChange.CHANGED, {Cause.OVERFLOW}),
    ],
)
@in_virtual_time
async def test_what_the_kernel_announces_is_a_cause(
    harness: DirectorHarness, notice: KernelChange, causes: set[Cause]
) -> None:
    noted: set[Cause] = set()
    harness.director.loop.note = noted.add  # type: ignore[method-assign] # listens instead
    harness.director.intake.take_notice(notice)
    assert noted == causes
    del harness.director.loop.note


def test_replaced_files_are_noticed(folder: Path) -> None:
    async def scene() -> int:
        loop, noticed = VirtualLoop(), list[int]()
        loop.close()
        harness = DirectorHarness(folder, new_kernel(), loop)
        harness.director.reloads.file_changed = lambda: noticed.append(1)  # type: ignore[method-assign] # listens instead
        with closing(harness.notifier), harness.director.intake.listening():
            (folder / "site.new").write_text("x")
            os.replace(folder / "site.new", folder / "site.yaml")
            for _ in range(100):
                if noticed:
                    break
                await asyncio.sleep(0.01)
        return len(noticed)

    assert asyncio.run(scene()) > 0


@in_virtual_time
async def test_a_directory_that_cannot_be_watched_is_reported(harness: DirectorHarness) -> None:
    with harness.director.intake._watched({harness.folder / "none"}) as watch:
        assert watch is None
    assert "kernelbal reload" in harness.events("director")[-1].message
