"""A run from plan to proof, and the way back when a step fails."""

import errno
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from kernelbal.errors import KernelError, NotConverged
from kernelbal.model.address import Address
from kernelbal.plan.actions import AddAddress, WriteSysctl
from kernelbal.realserver.persist.manager import FORGET_UNIT, UNIT_FILE
from kernelbal.realserver.preparation import Method
from kernelbal.realserver.resolve import resolve
from kernelbal.realserver.run import Prepared, RealServer
from kernelbal.realserver.setup import Record, Setup
from kernelbal.realserver.steps import WriteFile
from kernelbal.realserver.store import RecordStore
from tests.support.fake_host import FakeHost
from tests.unit.realserver.desk import fake_host
from tests.unit.realserver.samples import GUE, OTHER, VIP, VIP6, asked

PLACE = "/etc/kernelbal/at-boot"


def at_boot(setup: Setup, manager: str, sysctls: Mapping[str, str | None]) -> Mapping[str, str]:
    return {PLACE: f"{manager}: {sorted(map(str, setup.addresses))}\n"} if setup.addresses else {}


@pytest.fixture
def server(tmp_path: Path) -> RealServer:
    return RealServer(fake_host(), RecordStore(tmp_path), at_boot)


def fake(server: RealServer) -> FakeHost:
    assert isinstance(server.host, FakeHost)
    return server.host


def prepare(server: RealServer, *virtual: Address, persist: str = "unit", **settings: Any) -> Prepared:  # noqa: ANN401 (as a request takes it)
    record, host = server.store.load_record(), server.host.observe()
    requests = [asked(each, **settings) for each in virtual]
    preparations = resolve(requests, record.preparations, host, record.addresses)
    return server.prepare(preparations, persist, host, record)


def state(host: FakeHost) -> tuple[object, ...]:
    kernel = host.kernel
    return (
        dict(kernel.sysctls),
        set(kernel.addresses),
        set(kernel.links),
        dict(host.tables),
        set(host.listeners),
        dict(host.files),
    )


def test_apply_twice_and_undo(server: RealServer) -> None:
    before = state(fake(server))
    assert server.perform(prepare(server, VIP, VIP6)).done
    assert fake(server).files[PLACE].startswith("unit: ")
    assert prepare(server, VIP, VIP6).steps == ()
    server.perform(server.prepare((), "unit", server.host.observe(), server.store.load_record()))
    assert state(fake(server)) == before
    assert server.store.load_record() == Record()


def test_runs_compose_and_each_can_be_undone(server: RealServer) -> None:
    server.perform(prepare(server, VIP))
    alone = state(fake(server))
    server.perform(prepare(server, OTHER, tunnel=GUE))
    record = server.store.load_record()
    assert [each.virtual for each in record.preparations] == [VIP, OTHER]
    staying = tuple(each for each in record.preparations if each.virtual == VIP)
    server.perform(server.prepare(staying, "unit", server.host.observe(), record))
    assert state(fake(server)) == alone


def test_a_method_can_be_replaced_by_another(server: RealServer) -> None:
    before = dict(fake(server).kernel.sysctls)
    server.perform(prepare(server, VIP))
    server.perform(prepare(server, VIP, method=Method.REDIRECT))
    assert fake(server).kernel.sysctls == before
    assert list(fake(server).tables) == ["inet kernelbal_realserver"]


@pytest.mark.parametrize("kind", [AddAddress, WriteSysctl, WriteFile])
def test_a_step_that_fails_takes_back_those_before_it(server: RealServer, kind: type) -> None:
    server.perform(prepare(server, VIP))
    before, record = state(fake(server)), server.store.load_record()
    fake(server).refuse = lambda step: errno.EPERM if isinstance(step, kind) else 0
    report = server.perform(prepare(server, OTHER, tunnel=GUE))
    assert (report.done, report.taken_back) == (False, True)
    assert report.outcomes[-1].message
    fake(server).refuse = lambda step: 0
    assert state(fake(server)) == before
    assert server.store.load_record() == record


def test_what_cannot_be_taken_back_either_stays_in_the_record(server: RealServer) -> None:
    prepared = prepare(server, VIP)
    fake(server).refuse = lambda step: errno.EPERM if getattr(step, "value", "") != "1" else 0
    assert not server.perform(prepared).taken_back
    assert server.store.load_record().sysctls
    fake(server).refuse = lambda step: 0
    server.perform(server.prepare((), "", server.host.observe(), server.store.load_record()))
    assert server.store.load_record() == Record()
    assert fake(server).kernel.sysctls["net/ipv4/conf/all/arp_ignore"] == "0"


def test_failure_is_told_although_the_host_can_no_longer_be_read(
    server: RealServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared = prepare(server, VIP)
    fake(server).refuse = lambda step: errno.EPERM if isinstance(step, AddAddress) else 0

    def unreadable(self: FakeHost) -> None:
        raise KernelError("read addresses", "", errno.EPERM, "it cannot be read")

    monkeypatch.setattr(FakeHost, "observe", unreadable)
    report = server.perform(prepared)
    assert (report.done, report.taken_back) == (False, False)
    assert isinstance(report.outcomes[-1].step, AddAddress)
    assert server.store.load_record().sysctls


def test_what_is_found_out_before_changes_nothing(server: RealServer) -> None:
    fake(server).forbid = lambda step: errno.EROFS if isinstance(step, WriteSysctl) else 0
    before = state(fake(server))
    with pytest.raises(KernelError):
        server.perform(prepare(server, VIP))
    assert state(fake(server)) == before
    assert server.store.load_record() == Record()


def test_crash_in_the_middle_is_finished_or_undone_by_the_next_run(server: RealServer) -> None:
    before = state(fake(server))

    def crash(step: object) -> int:
        if isinstance(step, AddAddress):
            raise Killed
        return 0

    fake(server).refuse = crash
    with pytest.raises(Killed):
        server.perform(prepare(server, VIP))
    fake(server).refuse = lambda step: 0
    server.perform(server.prepare((), "", server.host.observe(), server.store.load_record()))
    assert state(fake(server)) == before


class Killed(BaseException):
    pass


@pytest.mark.parametrize(
    "settings", [{"method": Method.ARP}, {"method": Method.REDIRECT}, {"tunnel": GUE}], ids=str
)
def test_undo_that_is_killed_anywhere_is_finished_by_the_next(
    server: RealServer, settings: dict[str, Any]
) -> None:
    """The record no longer has preparations then, only what they left."""
    before = state(fake(server))

    def undo() -> Prepared:
        return server.prepare((), "unit", server.host.observe(), server.store.load_record())

    server.perform(prepare(server, VIP, **settings))
    steps = undo().steps
    assert steps
    for last in steps:

        def crash(step: object, last: object = last) -> int:
            if step == last:
                raise Killed
            return 0

        fake(server).refuse = crash
        with pytest.raises(Killed):
            server.perform(undo())
        fake(server).refuse = lambda step: 0
        server.perform(undo())
        assert (state(fake(server)), server.store.load_record()) == (before, Record())
        server.perform(prepare(server, VIP, **settings))


def test_a_run_that_is_killed_before_all_were_told_tells_them_again(tmp_path: Path) -> None:
    """systemd would keep a unit whose stop takes addresses away, although its file is gone."""

    def unit(setup: Setup, manager: str, sysctls: Mapping[str, str | None]) -> Mapping[str, str]:
        return {UNIT_FILE: "[Service]\n"} if manager == "unit" else {}

    def kill(command: Sequence[str]) -> str:
        raise Killed

    server = RealServer(fake_host(), RecordStore(tmp_path), unit)
    server.perform(prepare(server, VIP))
    fake(server).fault = kill
    with pytest.raises(Killed):
        server.perform(prepare(server, VIP, persist="networkd"))
    fake(server).fault, fake(server).told = lambda command: "", []
    server.perform(prepare(server, VIP, persist="networkd"))
    assert tuple(fake(server).told) == FORGET_UNIT.commands
    assert not server.store.load_record().files


def test_a_host_that_somebody_else_changes_meanwhile_is_not_proved(
    server: RealServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = fake(server)
    real_perform = FakeHost.perform

    def meddle(self: FakeHost, steps: Any) -> Any:  # noqa: ANN401 (as the method it stands for)
        outcomes = real_perform(self, steps)
        host.kernel.sysctls["net/ipv4/conf/all/arp_ignore"] = "0"
        return outcomes

    monkeypatch.setattr(FakeHost, "perform", meddle)
    with pytest.raises(NotConverged, match="arp_ignore"):
        server.perform(prepare(server, VIP))
