"""What comes in: the checker, the kernel, files."""

import asyncio
import os
from contextlib import closing
from pathlib import Path

import pytest

from kernelbal.kernel.watch import KernelChange
from kernelbal.runtime.director.pacer import Cause
from tests.unit.runtime.director.bench import WEB, Bench, VirtualLoop, new_kernel, play

A, B = "10.0.0.11", "10.0.0.12"
BOTH = {A: 100, B: 100}


def test_a_lost_checker_changes_nothing(folder: Path) -> None:
    async def scene(bench: Bench) -> None:
        await bench.begin()
        bench.director.intake.lose_checker("it ended")
        await asyncio.sleep(60)
        assert bench.weights() == BOTH
        bench.all_up()

    bench = play(scene, folder)
    assert [e.topic for e in bench.events("checker")] == [
        "checker.started",
        "checker.lost",
        "checker.started",
    ]


def test_an_address_that_is_gone_is_back_once_the_kernel_tells(folder: Path) -> None:
    async def scene(bench: Bench) -> None:
        await bench.begin()
        await bench.until(1010.0)
        gone = next(key for key in bench.kernel.addresses if key.address == WEB.address)
        del bench.kernel.addresses[gone]
        bench.director.loop.note(Cause.NOTIFIED)
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
        bench.director.loop.note(Cause.OVERFLOW)
        await bench.until(1010.2)
        assert bench.kernel.nft is not None

    (event,) = play(scene, folder).events("drift")
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
def test_what_the_kernel_announces_is_a_cause(folder: Path, notice: KernelChange, causes: set[Cause]) -> None:
    async def scene(bench: Bench) -> None:
        noted: set[Cause] = set()
        bench.director.loop.note = noted.add  # type: ignore[method-assign] # listens instead
        bench.director.intake.take_notice(notice)
        assert noted == causes
        del bench.director.loop.note

    play(scene, folder)


def test_replaced_files_are_noticed(folder: Path) -> None:
    async def scene() -> int:
        loop, noticed = VirtualLoop(), list[int]()
        loop.close()
        bench = Bench(folder, new_kernel(), loop)
        bench.director.reloads.file_changed = lambda: noticed.append(1)  # type: ignore[method-assign] # listens instead
        with closing(bench.notifier), bench.director.intake.listening():
            (folder / "site.new").write_text("x")
            os.replace(folder / "site.new", folder / "site.yaml")
            for _ in range(100):
                if noticed:
                    break
                await asyncio.sleep(0.01)
        return len(noticed)

    assert asyncio.run(scene()) > 0


def test_a_directory_that_cannot_be_watched_is_reported(folder: Path) -> None:
    async def scene(bench: Bench) -> None:
        with bench.director.intake._watched({folder / "none"}) as watch:
            assert watch is None
        assert "kernelbal reload" in bench.events("director")[0].message

    play(scene, folder)
