"""Whatever has become of the state directory, the daemon starts, programs the site, and says what it lost."""

import asyncio
import errno
import json
import os
from pathlib import Path

import pytest

from kernelbal.errors import StateError
from kernelbal.model.address import parse_address
from kernelbal.model.health import Health
from kernelbal.model.ipvs import DestinationAttributes, ServiceAttributes, VirtualServer
from kernelbal.model.overlay import Admin
from kernelbal.plan.kind import DesiredState
from kernelbal.plan.kinds.services import SERVICES
from kernelbal.store.daemon import DaemonState, Unconfirmed
from tests.support.builders import service
from tests.support.damage import DAMAGES, fill_disk
from tests.support.director_harness import (
    WEB,
    DirectorHarness,
    Kernel,
    destination,
    in_virtual_time,
    new_kernel,
    play,
)

A, B = "10.0.0.11", "10.0.0.12"
DRAINED = {A: 100, B: 0}
FOREIGN = service("192.0.2.200", 80)
FOREIGN_SERVER = VirtualServer(
    ServiceAttributes("rr", 0, 0, 32, ""), {destination("10.0.0.77"): DestinationAttributes(0, 7)}
)
RECORDS = ("orders.json", "snapshot.json", "owned.json", "standings.json", "unconfirmed.json")


async def lead_a_life(harness: DirectorHarness) -> None:
    """Drain a real server and crash."""
    await harness.begin()
    await harness.director.order(Admin.DRAIN, harness.request(B, hold=True), "root")
    assert harness.weights() == DRAINED


@pytest.fixture
def kernel(folder: Path) -> Kernel:
    """A kernel with what a daemon that crashed left in it, and a service of somebody else."""
    kernel = new_kernel()
    kernel.services[FOREIGN] = FOREIGN_SERVER
    play(lead_a_life, folder, kernel)
    directory = DaemonState(folder / "state", lambda: "another boot")
    directory.save_snapshot(DesiredState(), 5.0)
    directory.save_unconfirmed(Unconfirmed("", 5.0, "other documents", "", ""))
    return kernel


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", RECORDS)
def test_a_damaged_record_is_kept_and_reported_and_the_site_served(
    folder: Path, kernel: Kernel, name: str, damage: str
) -> None:
    DAMAGES[damage](folder / "state" / name)

    async def scene(harness: DirectorHarness) -> None:
        await harness.begin()
        status = harness.director.status().summary()
        assert status.reconcile.converged
        assert harness.weights() == DRAINED, "what was drained stays out"
        assert kernel.services[FOREIGN] == FOREIGN_SERVER
        assert status.state is not None
        (record,) = status.state.damaged
        (event,) = harness.events("state.damaged")
        for text in (event.message, harness.log.getvalue()):
            assert record.file in text
            assert record.kept in text
            assert record.consequence in text
        assert record.kept == str(folder / "state" / f"{name}.bad")

    play(scene, folder, kernel, start_at=2000.0)
    assert os.path.lexists(folder / "state" / f"{name}.bad")

    async def again(harness: DirectorHarness) -> None:
        await harness.begin()
        assert harness.weights() == DRAINED
        assert harness.events("state.damaged") == [], "what is set aside is reported once"

    play(again, folder, kernel, start_at=3000.0)


@pytest.mark.parametrize("name", RECORDS)
def test_a_full_disk_without_a_record_is_reported_and_the_site_served(
    folder: Path, kernel: Kernel, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "state" / name).unlink()
    fill_disk(monkeypatch)

    async def scene(harness: DirectorHarness) -> None:
        await harness.begin()
        assert harness.director.status().summary().reconcile.converged
        assert harness.weights() == DRAINED
        assert kernel.services[FOREIGN] == FOREIGN_SERVER
        unsaved = harness.director.status().summary().state
        assert unsaved is not None
        assert all("No space left on device" in each for each in unsaved.unsaved)
        assert harness.events("state.unsaved")

    play(scene, folder, kernel, start_at=2000.0)


def test_a_machine_that_boots_with_a_full_disk_serves(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "state").mkdir()
    fill_disk(monkeypatch)
    kernel = new_kernel()

    async def scene(harness: DirectorHarness) -> None:
        await harness.begin()
        assert harness.weights() == {A: 100, B: 100}
        assert any("owned.json" in event.message for event in harness.events("state.unsaved"))

    play(scene, folder, kernel)
    monkeypatch.undo()

    async def again(harness: DirectorHarness) -> None:
        await harness.begin()
        assert harness.state.load().of(SERVICES).keys == {WEB}, "adopted: it equals the desired state"

    play(again, folder, kernel, start_at=2000.0)


def test_a_record_that_cannot_be_renamed_is_left_alone(
    folder: Path, kernel: Kernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_only(*_: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    (folder / "state/orders.json").write_bytes(b"")
    monkeypatch.setattr(Path, "rename", read_only)

    async def scene(harness: DirectorHarness) -> None:
        await harness.begin()
        assert harness.weights() == DRAINED
        assert "it cannot be renamed" in harness.events("state.damaged")[0].message

    play(scene, folder, kernel, start_at=2000.0)


@pytest.mark.parametrize("name", RECORDS)
def test_a_record_of_a_newer_version_is_refused_and_stays(folder: Path, kernel: Kernel, name: str) -> None:
    path = folder / "state" / name
    path.write_text(json.dumps({"schema": 99, "record": {}}))
    with pytest.raises(StateError, match="its layout has number 99") as refusal:
        play(DirectorHarness.begin, folder, kernel)
    assert "install the version of kernelbal that has written it" in str(refusal.value.hint)
    assert json.loads(path.read_text())["schema"] == 99


def test_real_servers_that_a_lost_record_does_not_prove_are_quiesced_and_stay(
    folder: Path, kernel: Kernel
) -> None:
    """Others may have added them; as long as the damaged file is there, the next start knows no better."""
    theirs = destination("10.0.0.77")
    kernel.services[WEB].destinations[theirs] = DestinationAttributes(0, 50)
    (folder / "state/owned.json").write_bytes(b"")
    for start_at in (2000.0, 3000.0):

        async def scene(harness: DirectorHarness) -> None:
            await harness.begin()
            assert harness.weights() == {**DRAINED, "10.0.0.77": 0}
            assert harness.director.status().summary().reconcile.converged
            harness.report({A: Health.DOWN})
            await harness.until(harness.loop.now + 100)
            assert harness.weights() == {A: 0, B: 0, "10.0.0.77": 0}, "the site is served by what it names"
            harness.all_up()
            await harness.until(harness.loop.now + 1)

        play(scene, folder, kernel, start_at=start_at)


def test_a_service_that_a_lost_record_does_not_prove_is_not_removed(folder: Path, kernel: Kernel) -> None:
    (folder / "state/owned.json").write_bytes(b"")
    text = (folder / "site.yaml").read_text()
    (folder / "site.yaml").write_text(text.replace("192.0.2.10", "192.0.2.11"))
    before = kernel.services[WEB]

    async def scene(harness: DirectorHarness) -> None:
        await harness.begin()
        assert service("192.0.2.11", 80) in kernel.services
        assert kernel.services[WEB] == before

    play(scene, folder, kernel, start_at=2000.0)


@in_virtual_time
async def test_an_order_that_is_not_on_disk_is_refused_and_not_in_force(
    harness: DirectorHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    await harness.begin()
    fill_disk(monkeypatch)
    for admin in (Admin.DRAIN, Admin.DISABLE):
        with pytest.raises(StateError, match="No space left on device") as refusal:
            await harness.director.order(admin, harness.request(B), "root")
        assert refusal.value.hint
    await harness.until(harness.loop.now + 5)
    assert harness.weights() == {A: 100, B: 100}
    assert harness.known.orders == {}
    monkeypatch.undo()
    await harness.director.order(Admin.DISABLE, harness.request(B), "root")
    assert harness.weights() == {A: 100}
    assert [key.address for key in harness.state.load_orders()] == [parse_address(B)]


@in_virtual_time
async def test_orders_at_the_same_time_lose_none(harness: DirectorHarness) -> None:
    await harness.begin()
    orders = (harness.director.order(Admin.DISABLE, harness.request(each), "root") for each in (A, B))
    await asyncio.gather(*orders)
    assert {key.address for key in harness.state.load_orders()} == {parse_address(A), parse_address(B)}
