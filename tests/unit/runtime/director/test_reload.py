"""Documents that are replaced while the director runs."""

import asyncio
from typing import Any

import pytest

from kernelbal.health.quarantine import Quarantined
from kernelbal.model.health import Health, ProbeState
from kernelbal.model.node import ApiSettings
from kernelbal.runtime.director import first_results, reload
from tests.support.director_harness import SITE, WEB, DirectorHarness, in_virtual_time

A, B = "10.0.0.11", "10.0.0.12"
BOTH = {A: 100, B: 100}
BROKEN = SITE.replace("scheduler: rr", "scheduler: rrr")
DSR_BEHIND_GATEWAY = SITE.replace("one_armed: true", "one_armed: false").replace("192.0.2.10", "10.0.0.80")


@in_virtual_time
async def test_a_new_document_comes_into_force_and_probes_follow(harness: DirectorHarness) -> None:
    await harness.begin()
    harness.write(SITE.replace("scheduler: rr", "scheduler: wlc"))
    answer = await harness.director.reload("root")
    assert (answer.loaded, answer.changed, answer.problems) == (True, True, [])
    assert harness.kernel.services[WEB].attributes.scheduler == "wlc"
    assert harness.checker.sets == 2
    again = await harness.director.reload("root")
    assert (again.loaded, again.changed) == (True, False)
    (event,) = harness.events("config")
    assert event.topic == "config.loaded"
    assert event.fields["by"] == "root"
    good = harness.state.load_good()
    assert good is not None
    assert good.site.decode() == SITE.replace("rr\n", "wlc\n")


@in_virtual_time
async def test_files_beside_the_documents_are_read_each_time(harness: DirectorHarness) -> None:
    await harness.begin()
    loads: list[ApiSettings] = []

    async def note(api: ApiSettings) -> None:
        loads.append(api)

    harness.director.reloads.on_load = note
    await harness.director.reload("root")
    assert len(loads) == 1
    harness.director.reloads.hang_up()
    await asyncio.sleep(5)
    harness.write("nonsense")
    await harness.director.reload("root")
    assert loads == [harness.known.force.documents.node.api] * 3


@in_virtual_time
async def test_only_a_reload_that_somebody_asks_for_ends_quarantines(harness: DirectorHarness) -> None:
    await harness.begin()
    held = [(probe, Quarantined("it hangs", 5e3)) for probe in list(harness.checker.probes.values())[:1]]
    harness.checker.quarantined = held
    harness.director.reloads.file_changed()
    await asyncio.sleep(5)
    assert harness.checker.quarantined == held
    await harness.director.reload("root")
    assert harness.checker.quarantined == []


@in_virtual_time
async def test_a_changed_check_takes_nobody_out_of_service(harness: DirectorHarness) -> None:
    await harness.begin()
    harness.write(SITE.replace("interval: 5s", "interval: 7s"))
    await harness.director.reload("root")
    assert harness.weights() == BOTH
    assert [state.health for state in harness.checker.states.values()] == [Health.UP] * 2
    await asyncio.sleep(60)
    assert harness.weights() == BOTH
    assert harness.events("real_server") == []


@in_virtual_time
async def test_report_during_reload_counts(harness: DirectorHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    def inherit_slowly(*inputs: Any) -> dict[str, ProbeState]:  # noqa: ANN401 - as `inherit`
        states = first_results.inherit(*inputs)
        harness.report({B: Health.DOWN})
        return states

    await harness.begin()
    monkeypatch.setattr(reload, "inherit", inherit_slowly)
    harness.write(SITE.replace("scheduler: rr", "scheduler: wlc"))
    await harness.director.reload("root")
    assert harness.weights() == {A: 100, B: 0}


@in_virtual_time
async def test_a_broken_document_is_refused_and_the_old_one_stays(harness: DirectorHarness) -> None:
    await harness.begin()
    harness.write(BROKEN)
    harness.director.reloads.file_changed()
    await asyncio.sleep(1)
    status = harness.director.status().summary().config
    assert "problem" in status.refused
    assert "site.yaml:8:" in status.problems[0]
    assert harness.kernel.services[WEB].attributes.scheduler == "rr"
    answer = await harness.director.reload("root")
    assert not answer.loaded
    harness.director.reloads.file_changed()
    await asyncio.sleep(1)
    harness.write(SITE)
    harness.director.reloads.file_changed()
    await asyncio.sleep(1)
    assert harness.director.status().summary().config.refused == ""
    assert [e.topic for e in harness.events("config")] == ["config.refused", "config.loaded"]


@in_virtual_time
async def test_a_document_that_would_not_work_is_refused(harness: DirectorHarness) -> None:
    await harness.begin()
    harness.write(DSR_BEHIND_GATEWAY.replace("check:", "network: inside\n    check:"))
    answer = await harness.director.reload("root")
    assert not answer.loaded
    assert "replies go straight to the clients" in answer.problems[0]
    assert harness.weights() == BOTH


@in_virtual_time
async def test_a_document_that_is_gone_is_refused(harness: DirectorHarness) -> None:
    await harness.begin()
    (harness.folder / "site.yaml").unlink()
    answer = await harness.director.reload("root")
    assert "No such file" in answer.problems[0]
    assert harness.weights() == BOTH
