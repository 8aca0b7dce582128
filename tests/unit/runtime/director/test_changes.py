"""Plans and applies that the director is asked for, and the confirmation of an apply."""

import asyncio
from pathlib import Path

import pytest
from msgspec import convert

from kernelbal.errors import ConfigError, InvalidRequest, PlanRefused, StateError
from kernelbal.model.answers import ApplyAnswer, ApplyRequest, ExplainRequest, PlanRequest
from kernelbal.model.health import Health, ProbeState
from kernelbal.model.overlay import Admin
from kernelbal.runtime.director.changes import RECENT_S
from kernelbal.store.daemon import DaemonState
from tests.support.director_harness import NODE, SITE, WEB, DirectorHarness, in_virtual_time, new_kernel, play

A, B = "10.0.0.11", "10.0.0.12"
BOTH = {A: 100, B: 100}
WLC = SITE.replace("scheduler: rr", "scheduler: wlc")
WITHOUT_B = SITE.replace(", {address: 10.0.0.12}", "")


async def apply(harness: DirectorHarness, confirm_s: float | None = None, **more: object) -> ApplyAnswer:
    own = {name: str(harness.folder / f"{name}.yaml") for name in ("site", "node")}
    asked = convert({**own, "confirm_s": confirm_s, **more}, ApplyRequest)
    return await harness.director.apply(asked, "root")


def scheduler(harness: DirectorHarness) -> str:
    return harness.kernel.services[WEB].attributes.scheduler


# --- plan ---


@in_virtual_time
async def test_what_is_in_force_needs_no_change(harness: DirectorHarness) -> None:
    await harness.begin()
    harness.report({A: Health.DOWN})
    await asyncio.sleep(1)
    for request in (PlanRequest(), PlanRequest(site=SITE, node=NODE)):
        assert (await harness.director.plan(request)).plan.changes == 0


@in_virtual_time
async def test_changed_documents_are_planned_as_the_next_round_would(harness: DirectorHarness) -> None:
    await harness.begin()
    harness.report({A: Health.DOWN})
    await asyncio.sleep(1)
    done = len(harness.kernel.performed)
    answer = await harness.director.plan(PlanRequest(site=WLC))
    assert [each.text for each in answer.plan.actions] == [
        "service `web` 192.0.2.10:80/tcp scheduler rr -> wlc"
    ]
    assert (len(harness.kernel.performed), scheduler(harness)) == (done, "rr")
    assert harness.director.status().summary().config.refused == ""


@in_virtual_time
async def test_documents_that_are_not_valid_are_refused_with_their_places(harness: DirectorHarness) -> None:
    await harness.begin()
    broken = SITE.replace("scheduler: rr", "scheduler: rrr")
    with pytest.raises(ConfigError) as refusal:
        await harness.director.plan(PlanRequest(site=broken, site_name="new.yaml"))
    assert str(refusal.value.problems[0].span).startswith("new.yaml:8:")


# --- apply ---


@in_virtual_time
async def test_the_files_come_into_force_and_the_round_is_reported(harness: DirectorHarness) -> None:
    await harness.begin()
    harness.write(WLC)
    answer = await apply(harness)
    assert answer.report.converged
    assert [each.result for each in answer.report.outcomes] == ["done"]
    assert (answer.plan.changes, answer.confirm_left_s, scheduler(harness)) == (1, None, "wlc")
    again = await apply(harness)
    assert (again.report.converged, again.report.changes) == (True, 0)


@in_virtual_time
async def test_connections_of_what_leaves_are_cut_when_that_is_asked_for(harness: DirectorHarness) -> None:
    await harness.begin()
    harness.kernel.load(WEB, active=1)
    harness.write(WITHOUT_B)
    await apply(harness, cut=True)
    assert harness.weights() == {A: 100}


@in_virtual_time
async def test_files_that_the_daemon_does_not_read_are_refused(harness: DirectorHarness) -> None:
    await harness.begin()
    folder = harness.folder
    with pytest.raises(PlanRefused, match="is another file") as refusal:
        await apply(harness, site=str(folder / "other.yaml"))
    assert f"cp {folder}/other.yaml {folder}/site.yaml" in (refusal.value.hint or "")


async def try_out(harness: DirectorHarness, site: str = WLC, confirm_s: float = 60.0) -> None:
    await harness.begin()
    harness.write(site)
    answer = await apply(harness, confirm_s)
    assert answer.confirm_left_s == pytest.approx(confirm_s, abs=1)


# --- confirm ---


@in_virtual_time
async def test_what_is_confirmed_in_time_stays(harness: DirectorHarness) -> None:
    await try_out(harness)
    assert harness.director.status().summary().config.confirm_left_s == pytest.approx(60, abs=1)
    await asyncio.sleep(30)
    epoch = harness.director.status_epoch()
    await harness.director.confirm("root")
    assert harness.director.status_epoch() != epoch, "a status that is handed out again is older"
    await asyncio.sleep(60)
    assert scheduler(harness) == "wlc"
    assert harness.state.load_unconfirmed() is None
    with pytest.raises(PlanRefused, match="nothing awaits"):
        await harness.director.confirm("root")
    assert [e.topic for e in harness.events("config")] == ["config.loaded", "config.confirmed"]


@in_virtual_time
async def test_unconfirmed_documents_and_orders_are_rolled_back(harness: DirectorHarness) -> None:
    await harness.begin()
    await harness.director.order(Admin.DISABLE, harness.request(A), "root")
    await try_out(harness)
    await harness.director.order(None, harness.request(A), "root")
    await harness.director.order(Admin.DISABLE, harness.request(B), "root")
    assert harness.weights() == {A: 100}
    await asyncio.sleep(62)
    assert (scheduler(harness), harness.weights()) == ("rr", {B: 100})
    status = harness.director.status().summary().config
    assert "not confirmed in time" in status.refused
    assert "kernelbal apply" in status.problems[0]
    assert status.confirm_left_s is None
    assert [e.topic for e in harness.events("config")][-2:] == ["config.rolled_back", "config.loaded"]


@in_virtual_time
async def test_what_was_rolled_back_comes_back_only_when_it_is_asked_for(harness: DirectorHarness) -> None:
    await try_out(harness)
    await harness.director.rollback("root")
    harness.director.reloads.file_changed()
    await asyncio.sleep(5)
    assert scheduler(harness) == "rr"
    assert (await harness.director.reload("root")).loaded
    assert scheduler(harness) == "wlc"
    assert harness.state.load_unconfirmed() is None


@in_virtual_time
async def test_it_can_be_tried_again(harness: DirectorHarness) -> None:
    await try_out(harness)
    await harness.director.rollback("root")
    answer = await apply(harness, 60.0)
    assert answer.confirm_left_s is not None
    assert scheduler(harness) == "wlc"
    await asyncio.sleep(62)
    assert scheduler(harness) == "rr"


@in_virtual_time
async def test_nothing_else_changes_meanwhile_and_is_taken_up_afterwards(harness: DirectorHarness) -> None:
    await try_out(harness)
    harness.write(SITE.replace("scheduler: rr", "scheduler: wrr"))
    harness.director.reloads.file_changed()
    await asyncio.sleep(1)
    assert "awaits confirmation" in harness.director.status().summary().config.refused
    assert not (await harness.director.reload("root")).loaded
    with pytest.raises(PlanRefused, match="awaits confirmation"):
        await apply(harness)
    await harness.director.confirm("root")
    await asyncio.sleep(1)
    assert scheduler(harness) == "wrr"


@in_virtual_time
async def test_a_file_that_was_just_taken_by_itself_can_still_be_tried_out(harness: DirectorHarness) -> None:
    await harness.begin()
    harness.write(WLC)
    harness.director.reloads.file_changed()
    await asyncio.sleep(RECENT_S / 2)
    assert scheduler(harness) == "wlc"
    answer = await apply(harness, 10.0)
    assert answer.confirm_left_s is not None
    await asyncio.sleep(12)
    assert scheduler(harness) == "rr"


@in_virtual_time
async def test_there_is_nothing_to_confirm_of_what_is_long_in_force(harness: DirectorHarness) -> None:
    await harness.begin()
    harness.write(WLC)
    await harness.director.reload("root")
    await asyncio.sleep(RECENT_S + 1)
    assert (await apply(harness, 10.0)).confirm_left_s is None
    await asyncio.sleep(20)
    assert scheduler(harness) == "wlc"


@in_virtual_time
async def test_without_a_record_on_disk_nothing_is_tried_out(
    harness: DirectorHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise StateError("cannot write: No space left on device")

    await harness.begin()
    monkeypatch.setattr(DaemonState, "save_unconfirmed", fail)
    harness.write(WLC)
    with pytest.raises(StateError):
        await apply(harness, 60.0)
    assert scheduler(harness) == "rr"


# --- crash ---


def test_the_time_goes_on_over_a_restart(folder: Path) -> None:
    kernel = new_kernel()
    play(try_out, folder, kernel)

    async def again(harness: DirectorHarness) -> None:
        await harness.director.loop.ready.wait()
        assert scheduler(harness) == "wlc"
        assert harness.director.status().summary().config.confirm_left_s == pytest.approx(50, abs=2)
        await asyncio.sleep(52)
        assert scheduler(harness) == "rr"

    play(again, folder, kernel, start_at=1010.0)


def test_a_daemon_that_was_away_too_long_starts_with_what_was_before(folder: Path) -> None:
    kernel = new_kernel()
    play(try_out, folder, kernel)

    async def later(harness: DirectorHarness) -> None:
        await harness.director.loop.ready.wait()
        assert scheduler(harness) == "rr"
        assert "not confirmed in time" in harness.director.status().summary().config.refused
        await harness.director.order(Admin.DISABLE, harness.request(A), "root")

    play(later, folder, kernel, start_at=2000.0)

    async def once_more(harness: DirectorHarness) -> None:
        await harness.director.loop.ready.wait()
        assert (scheduler(harness), harness.weights()) == ("rr", {B: 100})

    play(once_more, folder, kernel, start_at=3000.0)


def test_files_that_were_replaced_meanwhile_count(folder: Path) -> None:
    kernel = new_kernel()
    play(try_out, folder, kernel)
    (folder / "site.yaml").write_text(SITE.replace("scheduler: rr", "scheduler: wrr"))

    async def later(harness: DirectorHarness) -> None:
        await harness.director.loop.ready.wait()
        assert scheduler(harness) == "wrr"
        assert harness.state.load_unconfirmed() is None

    play(later, folder, kernel, start_at=2000.0)


# --- explain ---


@in_virtual_time
async def test_the_kernel_is_explained_with_the_names_of_the_documents(harness: DirectorHarness) -> None:
    await harness.begin()
    harness.context.rounds.connections = lambda _: ()
    asked = ExplainRequest(client="198.51.100.7", virtual_address="192.0.2.10")
    found = await harness.director.explain(asked)
    assert (found.service_name, found.port, found.source) == ("web", 80, "kernel")


@in_virtual_time
async def test_the_explanation_has_the_reason_of_each_real_server(harness: DirectorHarness) -> None:
    await harness.begin()
    harness.context.rounds.connections = lambda _: ()
    harness.report({"10.0.0.12": ProbeState(Health.UP, unable="no such CA file")})
    await asyncio.sleep(1)
    found = await harness.director.explain(
        ExplainRequest(client="198.51.100.7", virtual_address="192.0.2.10")
    )
    assert {each.real_server: each.reason for each in found.candidates} == {
        "10.0.0.11:80": "",
        "10.0.0.12:80": "cannot be checked: no such CA file; it was up before",
    }


@pytest.mark.parametrize(("client", "virtual"), [("nonsense", "192.0.2.10"), ("fd00::1", "192.0.2.10")])
@in_virtual_time
async def test_what_is_no_address_is_refused(harness: DirectorHarness, client: str, virtual: str) -> None:
    await harness.begin()
    with pytest.raises(InvalidRequest):
        await harness.director.explain(ExplainRequest(client=client, virtual_address=virtual))
