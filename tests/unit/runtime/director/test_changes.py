"""Plans and applies that the director is asked for, and the confirmation of an apply."""

import asyncio
from pathlib import Path

import pytest
from msgspec import convert

from kernelbal.errors import ConfigError, InvalidRequest, PlanRefused, StateError
from kernelbal.model.answers import ApplyRequest, ExplainRequest, PlanRequest
from kernelbal.model.health import Health
from kernelbal.model.standing import Admin
from kernelbal.runtime.director.changes import RECENT_S
from kernelbal.store.daemon import DaemonState
from tests.unit.runtime.director.bench import NODE, SITE, WEB, Bench, new_kernel, play

A, B = "10.0.0.11", "10.0.0.12"
BOTH = {A: 100, B: 100}
WLC = SITE.replace("scheduler: rr", "scheduler: wlc")
WITHOUT_B = SITE.replace(", {address: 10.0.0.12}", "")


def asked(folder: Path, confirm_s: float | None = None, **more: object) -> ApplyRequest:
    own = {"site": str(folder / "site.yaml"), "node": str(folder / "node.yaml"), "confirm_s": confirm_s}
    return convert({**own, **more}, ApplyRequest)


def scheduler(bench: Bench) -> str:
    return bench.kernel.services[WEB].attributes.scheduler


class TestPlan:
    def test_what_is_in_force_needs_no_change_also_when_a_real_server_is_down(self, folder: Path) -> None:
        async def scene(bench: Bench) -> None:
            await bench.begin()
            bench.report({A: Health.DOWN})
            await asyncio.sleep(1)
            for request in (PlanRequest(), PlanRequest(site=SITE, node=NODE)):
                assert (await bench.director.plan(request)).plan.changes == 0

        play(scene, folder)

    def test_changed_documents_are_planned_as_the_next_round_would_and_nothing_changes(
        self, folder: Path
    ) -> None:
        async def scene(bench: Bench) -> None:
            await bench.begin()
            bench.report({A: Health.DOWN})
            await asyncio.sleep(1)
            done = len(bench.kernel.performed)
            answer = await bench.director.plan(PlanRequest(site=WLC))
            assert [each.text for each in answer.plan.actions] == [
                "service `web` 192.0.2.10:80/tcp scheduler rr -> wlc"
            ]
            assert (len(bench.kernel.performed), scheduler(bench)) == (done, "rr")
            assert bench.director.status().summary().config.refused == ""

        play(scene, folder)

    def test_documents_that_are_not_valid_are_refused_with_their_places(self, folder: Path) -> None:
        async def scene(bench: Bench) -> None:
            await bench.begin()
            broken = SITE.replace("scheduler: rr", "scheduler: rrr")
            with pytest.raises(ConfigError) as refusal:
                await bench.director.plan(PlanRequest(site=broken, site_name="new.yaml"))
            assert str(refusal.value.problems[0].span).startswith("new.yaml:8:")

        play(scene, folder)


class TestApply:
    def test_the_files_come_into_force_and_the_round_is_reported(self, folder: Path) -> None:
        async def scene(bench: Bench) -> None:
            await bench.begin()
            bench.write(WLC)
            answer = await bench.director.apply(asked(folder), "root")
            assert answer.report.converged
            assert [each.result for each in answer.report.outcomes] == ["done"]
            assert (answer.plan.changes, answer.confirm_left_s, scheduler(bench)) == (1, None, "wlc")
            again = await bench.director.apply(asked(folder), "root")
            assert (again.report.converged, again.report.changes) == (True, 0)

        play(scene, folder)

    def test_connections_of_what_leaves_are_cut_when_that_is_asked_for(self, folder: Path) -> None:
        async def scene(bench: Bench) -> None:
            await bench.begin()
            bench.kernel.load(WEB, active=1)
            bench.write(WITHOUT_B)
            await bench.director.apply(asked(folder, cut=True), "root")
            assert bench.weights() == {A: 100}

        play(scene, folder)

    def test_files_that_the_daemon_does_not_read_are_refused(self, folder: Path) -> None:
        async def scene(bench: Bench) -> None:
            await bench.begin()
            with pytest.raises(PlanRefused, match="is another file") as refusal:
                await bench.director.apply(asked(folder, site=str(folder / "other.yaml")), "root")
            assert f"cp {folder}/other.yaml {folder}/site.yaml" in (refusal.value.hint or "")

        play(scene, folder)


async def try_out(bench: Bench, site: str = WLC, confirm_s: float = 60.0) -> None:
    await bench.begin()
    bench.write(site)
    answer = await bench.director.apply(asked(bench.folder, confirm_s), "root")
    assert answer.confirm_left_s == pytest.approx(confirm_s, abs=1)


class TestConfirm:
    def test_what_is_confirmed_in_time_stays(self, folder: Path) -> None:
        async def scene(bench: Bench) -> None:
            await try_out(bench)
            assert bench.director.status().summary().config.confirm_left_s == pytest.approx(60, abs=1)
            await asyncio.sleep(30)
            epoch = bench.director.status_epoch()
            await bench.director.confirm("root")
            assert bench.director.status_epoch() != epoch, "a status that is handed out again is older"
            await asyncio.sleep(60)
            assert scheduler(bench) == "wlc"
            assert bench.state.load_unconfirmed() is None
            with pytest.raises(PlanRefused, match="nothing awaits"):
                await bench.director.confirm("root")

        bench = play(scene, folder)
        assert [e.topic for e in bench.events("config")] == ["config.loaded", "config.confirmed"]

    def test_documents_and_orders_of_before_come_back_when_nobody_confirms(self, folder: Path) -> None:
        async def scene(bench: Bench) -> None:
            await bench.begin()
            await bench.director.order(Admin.DISABLE, bench.request(A), "root")
            await try_out(bench)
            await bench.director.order(None, bench.request(A), "root")
            await bench.director.order(Admin.DISABLE, bench.request(B), "root")
            assert bench.weights() == {A: 100}
            await asyncio.sleep(62)
            assert (scheduler(bench), bench.weights()) == ("rr", {B: 100})
            status = bench.director.status().summary().config
            assert "not confirmed in time" in status.refused
            assert "kernelbal apply" in status.problems[0]
            assert status.confirm_left_s is None

        bench = play(scene, folder)
        assert [e.topic for e in bench.events("config")][-2:] == ["config.rolled_back", "config.loaded"]

    def test_what_was_rolled_back_comes_back_only_when_it_is_asked_for(self, folder: Path) -> None:
        async def scene(bench: Bench) -> None:
            await try_out(bench)
            await bench.director.rollback("root")
            bench.director.reloads.file_changed()
            await asyncio.sleep(5)
            assert scheduler(bench) == "rr"
            assert (await bench.director.reload("root")).loaded
            assert scheduler(bench) == "wlc"
            assert bench.state.load_unconfirmed() is None

        play(scene, folder)

    def test_it_can_be_tried_again(self, folder: Path) -> None:
        async def scene(bench: Bench) -> None:
            await try_out(bench)
            await bench.director.rollback("root")
            answer = await bench.director.apply(asked(folder, 60.0), "root")
            assert answer.confirm_left_s is not None
            assert scheduler(bench) == "wlc"
            await asyncio.sleep(62)
            assert scheduler(bench) == "rr"

        play(scene, folder)

    def test_nothing_else_changes_meanwhile_and_is_taken_up_afterwards(self, folder: Path) -> None:
        async def scene(bench: Bench) -> None:
            await try_out(bench)
            bench.write(SITE.replace("scheduler: rr", "scheduler: wrr"))
            bench.director.reloads.file_changed()
            await asyncio.sleep(1)
            assert "awaits confirmation" in bench.director.status().summary().config.refused
            assert not (await bench.director.reload("root")).loaded
            with pytest.raises(PlanRefused, match="awaits confirmation"):
                await bench.director.apply(asked(folder), "root")
            await bench.director.confirm("root")
            await asyncio.sleep(1)
            assert scheduler(bench) == "wrr"

        play(scene, folder)

    def test_a_file_that_was_just_taken_by_itself_can_still_be_tried_out(self, folder: Path) -> None:
        async def scene(bench: Bench) -> None:
            await bench.begin()
            bench.write(WLC)
            bench.director.reloads.file_changed()
            await asyncio.sleep(RECENT_S / 2)
            assert scheduler(bench) == "wlc"
            answer = await bench.director.apply(asked(folder, 10.0), "root")
            assert answer.confirm_left_s is not None
            await asyncio.sleep(12)
            assert scheduler(bench) == "rr"

        play(scene, folder)

    def test_there_is_nothing_to_confirm_of_what_is_long_in_force(self, folder: Path) -> None:
        async def scene(bench: Bench) -> None:
            await bench.begin()
            bench.write(WLC)
            await bench.director.reload("root")
            await asyncio.sleep(RECENT_S + 1)
            assert (await bench.director.apply(asked(folder, 10.0), "root")).confirm_left_s is None
            await asyncio.sleep(20)
            assert scheduler(bench) == "wlc"

        play(scene, folder)

    def test_without_a_record_on_disk_nothing_is_tried_out(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(*_: object) -> None:
            raise StateError("cannot write: No space left on device")

        async def scene(bench: Bench) -> None:
            await bench.begin()
            monkeypatch.setattr(DaemonState, "save_unconfirmed", fail)
            bench.write(WLC)
            with pytest.raises(StateError):
                await bench.director.apply(asked(folder, 60.0), "root")
            assert scheduler(bench) == "rr"

        play(scene, folder)


class TestCrash:
    def test_the_time_goes_on_over_a_restart(self, folder: Path) -> None:
        kernel = new_kernel()
        play(try_out, folder, kernel)

        async def again(bench: Bench) -> None:
            await bench.director.loop.ready.wait()
            assert scheduler(bench) == "wlc"
            assert bench.director.status().summary().config.confirm_left_s == pytest.approx(50, abs=2)
            await asyncio.sleep(52)
            assert scheduler(bench) == "rr"

        play(again, folder, kernel, start_at=1010.0)

    def test_a_daemon_that_was_away_too_long_starts_with_what_was_before(self, folder: Path) -> None:
        kernel = new_kernel()
        play(try_out, folder, kernel)

        async def later(bench: Bench) -> None:
            await bench.director.loop.ready.wait()
            assert scheduler(bench) == "rr"
            assert "not confirmed in time" in bench.director.status().summary().config.refused
            await bench.director.order(Admin.DISABLE, bench.request(A), "root")

        play(later, folder, kernel, start_at=2000.0)

        async def once_more(bench: Bench) -> None:
            await bench.director.loop.ready.wait()
            assert (scheduler(bench), bench.weights()) == ("rr", {B: 100})

        play(once_more, folder, kernel, start_at=3000.0)

    def test_files_that_were_replaced_meanwhile_count(self, folder: Path) -> None:
        kernel = new_kernel()
        play(try_out, folder, kernel)
        (folder / "site.yaml").write_text(SITE.replace("scheduler: rr", "scheduler: wrr"))

        async def later(bench: Bench) -> None:
            await bench.director.loop.ready.wait()
            assert scheduler(bench) == "wrr"
            assert bench.state.load_unconfirmed() is None

        play(later, folder, kernel, start_at=2000.0)


class TestExplain:
    def test_the_kernel_is_explained_with_the_names_of_the_documents(self, folder: Path) -> None:
        async def scene(bench: Bench) -> None:
            await bench.begin()
            bench.context.rounds.connections = lambda _: ()
            asked = ExplainRequest(client="198.51.100.7", virtual_address="192.0.2.10")
            found = await bench.director.explain(asked)
            assert (found.service_name, found.port, found.source) == ("web", 80, "kernel")

        play(scene, folder)

    @pytest.mark.parametrize(("client", "virtual"), [("nonsense", "192.0.2.10"), ("fd00::1", "192.0.2.10")])
    def test_what_is_no_address_is_refused(self, folder: Path, client: str, virtual: str) -> None:
        async def scene(bench: Bench) -> None:
            await bench.begin()
            with pytest.raises(InvalidRequest):
                await bench.director.explain(ExplainRequest(client=client, virtual_address=virtual))

        play(scene, folder)
