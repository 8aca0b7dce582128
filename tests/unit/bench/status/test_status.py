"""The benchmark of the status: its site, its director, its readers, its meter of holds, its verdict."""

import asyncio
import json
import time
from pathlib import Path

import pytest

from bench.__main__ import app
from bench.status import measure
from bench.status.director import running
from bench.status.figures import TARGETS, Figures, missed
from bench.status.measure import Holds
from bench.status.reader import read
from bench.status.site import Size, site_text
from kernelbal.cli.app import run
from kernelbal.config.load import load_site
from kernelbal.model.overlay import ServerState

GOOD = Figures(
    hold_status_ms=20.0,
    hold_metrics_ms=20.0,
    hold_readers_ms=20.0,
    hold_reload_ms=49.0,
    one_service_ms=3.5,
    one_service_cpu_ms=3.0,
    computations_of_100=1,
    cpu_s_of_1=1.0,
    cpu_s_of_100=2.0,
)


def test_site_has_the_size_that_is_asked_for() -> None:
    site = load_site(site_text(Size(3, 300)).encode(), "site.yaml")
    servers = [server.address for service in site.virtual_services for server in service.real_servers]
    assert (len(site.virtual_services), len(servers), len(set(servers))) == (3, 900, 900)


def test_readers_get_answers_of_a_director_whose_site_is_in_force(tmp_path: Path) -> None:
    async def main() -> None:
        async with running(tmp_path, site_text(Size(2, 3)), tmp_path / "s") as director:
            status = director.status()
            assert [each.state for each in status.service("s1").real_servers] == [ServerState.SERVING] * 3
            assert status.summary().reconcile.converged
            taken = director.taken
            found = await read(tmp_path / "s", "/metrics", parallel=20)
            assert (director.taken - taken, found.answer_bytes > 10_000) == (1, True)
            assert 0 < found.median_s <= found.longest_s

    asyncio.run(main())


def test_work_in_the_loop_is_a_hold_and_sleep_is_none() -> None:
    async def main() -> dict[str, float]:
        holds, held_ms = Holds(), dict[str, float]()
        ticks = asyncio.ensure_future(holds.run())
        await asyncio.sleep(0)
        with holds.measured(held_ms, "sleep"):
            await asyncio.sleep(0.05)
        with holds.measured(held_ms, "work"):
            began_s = time.process_time()
            while time.process_time() - began_s < 0.1:
                pass
            await asyncio.sleep(0.01)
        ticks.cancel()
        return held_ms

    held_ms = asyncio.run(main())
    assert held_ms["sleep"] < 50 < held_ms["work"]


def test_each_figure_above_its_target_is_missed() -> None:
    assert missed(GOOD) == ()
    assert missed(GOOD._replace(hold_reload_ms=80.0, computations_of_100=2)) == (
        "hold_reload_ms: 80, at most 50 allowed",
        "computations_of_100: 2, at most 1 allowed",
    )
    assert TARGETS.one_service_ms == 5


@pytest.mark.parametrize(("figures", "code"), [(GOOD, 0), (GOOD._replace(one_service_ms=5.1), 1)])
def test_the_last_line_is_one_json_object_and_check_compares(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], figures: Figures, code: int
) -> None:
    async def found(size: Size, repeat: int) -> Figures:
        assert (size, repeat) == (Size(4, 100), 3)
        return figures

    monkeypatch.setattr(measure, "measure", found)
    assert run(["status", "--services", "4", "--check"], app) == code
    document = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert document == {"real_servers": 400, "repeats": 3, **figures._asdict()}
    assert run(["status", "--services", "4"], app) == 0
