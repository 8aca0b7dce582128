"""Documents that are replaced while the director runs."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from kernelbal.model.health import Health, ProbeState
from kernelbal.runtime.director import first_results, reload
from kernelbal.store.daemon import GOOD_SITE_FILE
from tests.unit.runtime.director.bench import SITE, WEB, Bench, play

A, B = "10.0.0.11", "10.0.0.12"
BOTH = {A: 100, B: 100}
BROKEN = SITE.replace("scheduler: rr", "scheduler: rrr")
DSR_BEHIND_GATEWAY = SITE.replace("one_armed: true", "one_armed: false").replace("192.0.2.10", "10.0.0.80")


def test_a_new_document_comes_into_force_and_probes_follow(folder: Path) -> None:
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


def test_whatever_is_read_beside_the_documents_is_read_again_each_time(folder: Path) -> None:
    async def scene(bench: Bench) -> None:
        await bench.begin()
        bench.director.reloads.on_load = lambda: told.append(len(told))
        await bench.director.reload("root")
        assert len(told) == 1
        bench.director.reloads.hang_up()
        await asyncio.sleep(5)
        bench.write("nonsense")
        await bench.director.reload("root")

    told: list[int] = []
    play(scene, folder)
    assert told == [0, 1, 2]


def test_a_changed_check_takes_nobody_out_of_service(folder: Path) -> None:
    async def scene(bench: Bench) -> None:
        await bench.begin()
        bench.write(SITE.replace("interval: 5s", "interval: 7s"))
        await bench.director.reload("root")
        assert bench.weights() == BOTH
        assert [state.health for state in bench.checker.states.values()] == [Health.UP] * 2
        await asyncio.sleep(60)
        assert bench.weights() == BOTH

    assert play(scene, folder).events("real_server") == []


def test_what_the_checker_reports_while_documents_come_into_force_counts(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene(bench: Bench) -> None:
        def inherit_slowly(*inputs: Any) -> dict[str, ProbeState]:  # noqa: ANN401 - as `inherit`
            states = first_results.inherit(*inputs)
            bench.report({B: Health.DOWN})
            return states

        await bench.begin()
        monkeypatch.setattr(reload, "inherit", inherit_slowly)
        bench.write(SITE.replace("scheduler: rr", "scheduler: wlc"))
        await bench.director.reload("root")
        assert bench.weights() == {A: 100, B: 0}

    play(scene, folder)


def test_a_broken_document_is_refused_and_the_old_one_stays(folder: Path) -> None:
    async def scene(bench: Bench) -> None:
        await bench.begin()
        bench.write(BROKEN)
        bench.director.reloads.file_changed()
        await asyncio.sleep(1)
        status = bench.director.status().summary().config
        assert "problem" in status.refused
        assert "site.yaml:8:" in status.problems[0]
        assert bench.kernel.services[WEB].attributes.scheduler == "rr"
        answer = await bench.director.reload("root")
        assert not answer.loaded
        bench.director.reloads.file_changed()
        await asyncio.sleep(1)
        bench.write(SITE)
        bench.director.reloads.file_changed()
        await asyncio.sleep(1)
        assert bench.director.status().summary().config.refused == ""

    bench = play(scene, folder)
    assert [e.topic for e in bench.events("config")] == ["config.refused", "config.loaded"]


def test_a_document_that_would_not_work_is_refused(folder: Path) -> None:
    async def scene(bench: Bench) -> None:
        await bench.begin()
        bench.write(DSR_BEHIND_GATEWAY.replace("check:", "network: inside\n    check:"))
        answer = await bench.director.reload("root")
        assert not answer.loaded
        assert "replies go straight to the clients" in answer.problems[0]
        assert bench.weights() == BOTH

    play(scene, folder)


def test_a_document_that_is_gone_is_refused(folder: Path) -> None:
    async def scene(bench: Bench) -> None:
        await bench.begin()
        (folder / "site.yaml").unlink()
        answer = await bench.director.reload("root")
        assert "No such file" in answer.problems[0]
        assert bench.weights() == BOTH

    play(scene, folder)
