"""A run from plan to proof, and the way back when a step fails."""

import errno
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from kernelbal.errors import KernelError, NotConverged
from kernelbal.model.address import Address
from kernelbal.plan.kinds.addresses import ADDRESSES, AddAddress
from kernelbal.plan.kinds.files import FILES, WriteFile
from kernelbal.plan.kinds.sysctls import SYSCTLS, WriteSysctl
from kernelbal.realserver.host import read_host
from kernelbal.realserver.persist.manager import FORGET_UNIT, UNIT_FILE
from kernelbal.realserver.preparation import Method
from kernelbal.realserver.resolve import resolve
from kernelbal.realserver.run import PreparedRun
from kernelbal.realserver.setup import Record, Setup
from tests.support.fake_kernel import FakeKernel
from tests.support.realserver_host import GUE, OTHER, VIP, VIP6, FakeRealServer, asked

PLACE = "/etc/kernelbal/at-boot"


def at_boot(setup: Setup, manager: str, sysctls: Mapping[str, str | None]) -> Mapping[str, str]:
    return {PLACE: f"{manager}: {sorted(map(str, setup.addresses))}\n"} if setup.addresses else {}


@pytest.fixture
def server(tmp_path: Path) -> FakeRealServer:
    return FakeRealServer(tmp_path, at_boot)


def prepare(server: FakeRealServer, *virtual: Address, persist: str = "unit", **settings: Any) -> PreparedRun:  # noqa: ANN401 (as a request takes it)
    record, host = server.store.load_record(), read_host(server.kernel)
    requests = [asked(each, **settings) for each in virtual]
    preparations = resolve(requests, record.preparations, host, record.owned.of(ADDRESSES))
    return server.prepare(preparations, persist, host, record)


def state(host: FakeKernel) -> tuple[object, ...]:
    return (
        dict(host.sysctls),
        set(host.addresses),
        set(host.links),
        dict(host.tables),
        set(host.objects.get("listeners", ())),
        dict(host.files),
    )


def test_apply_twice_and_undo(server: FakeRealServer) -> None:
    before = state(server.fake)
    assert server.perform(prepare(server, VIP, VIP6)).done
    assert server.fake.files[PLACE].startswith("unit: ")
    assert prepare(server, VIP, VIP6).plan.empty
    server.perform(server.back_to())
    assert state(server.fake) == before
    assert server.store.load_record() == Record()


def test_runs_compose_and_each_can_be_undone(server: FakeRealServer) -> None:
    server.perform(prepare(server, VIP))
    alone = state(server.fake)
    server.perform(prepare(server, OTHER, tunnel=GUE))
    record = server.store.load_record()
    assert [each.virtual for each in record.preparations] == [VIP, OTHER]
    staying = tuple(each for each in record.preparations if each.virtual == VIP)
    server.perform(server.back_to(*staying))
    assert state(server.fake) == alone


def test_a_method_can_be_replaced_by_another(server: FakeRealServer) -> None:
    before = dict(server.fake.sysctls)
    server.perform(prepare(server, VIP))
    server.perform(prepare(server, VIP, method=Method.REDIRECT))
    assert server.fake.sysctls == before
    assert list(server.fake.tables) == ["inet kernelbal_realserver"]


@pytest.mark.parametrize("kind", [AddAddress, WriteSysctl, WriteFile])
def test_a_step_that_fails_takes_back_those_before_it(server: FakeRealServer, kind: type) -> None:
    server.perform(prepare(server, VIP))
    before, record = state(server.fake), server.store.load_record()
    server.fake.refuse = lambda step: errno.EPERM if isinstance(step, kind) else 0
    report = server.perform(prepare(server, OTHER, tunnel=GUE))
    assert (report.done, report.taken_back) == (False, True)
    assert report.outcomes[-1].message
    server.fake.refuse = lambda step: 0
    assert state(server.fake) == before
    assert server.store.load_record() == record


def test_what_cannot_be_taken_back_either_stays_in_the_record(server: FakeRealServer) -> None:
    prepared = prepare(server, VIP)
    server.fake.refuse = lambda step: errno.EPERM if getattr(step, "value", "") != "1" else 0
    assert not server.perform(prepared).taken_back
    assert server.store.load_record().owned.of(SYSCTLS)
    server.fake.refuse = lambda step: 0
    server.perform(server.back_to())
    assert server.store.load_record() == Record()
    assert server.fake.sysctls["net/ipv4/conf/all/arp_ignore"] == "0"


def test_failure_is_told_although_the_host_can_no_longer_be_read(
    server: FakeRealServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared = prepare(server, VIP)
    server.fake.refuse = lambda step: errno.EPERM if isinstance(step, AddAddress) else 0

    def unreadable(self: FakeKernel, scopes: object) -> None:
        raise KernelError("read addresses", "", errno.EPERM, "it cannot be read")

    monkeypatch.setattr(FakeKernel, "observe", unreadable)
    report = server.perform(prepared)
    assert (report.done, report.taken_back) == (False, False)
    assert isinstance(report.outcomes[-1].action, AddAddress)
    assert server.store.load_record().owned.of(SYSCTLS)


def test_what_is_found_out_before_changes_nothing(server: FakeRealServer) -> None:
    server.fake.forbid = lambda step: errno.EROFS if isinstance(step, WriteSysctl) else 0
    before = state(server.fake)
    with pytest.raises(KernelError):
        server.perform(prepare(server, VIP))
    assert state(server.fake) == before
    assert server.store.load_record() == Record()


def test_crash_in_the_middle_is_finished_or_undone_by_the_next_run(server: FakeRealServer) -> None:
    before = state(server.fake)

    def crash(step: object) -> int:
        if isinstance(step, AddAddress):
            raise Killed
        return 0

    server.fake.refuse = crash
    with pytest.raises(Killed):
        server.perform(prepare(server, VIP))
    server.fake.refuse = lambda step: 0
    server.perform(server.back_to())
    assert state(server.fake) == before


class Killed(BaseException):
    pass


@pytest.mark.parametrize(
    "settings", [{"method": Method.ARP}, {"method": Method.REDIRECT}, {"tunnel": GUE}], ids=str
)
def test_undo_that_is_killed_anywhere_is_finished_by_the_next(
    server: FakeRealServer, settings: dict[str, Any]
) -> None:
    """The record no longer has preparations then, only what they left."""
    before = state(server.fake)

    def undo() -> PreparedRun:
        return server.back_to()

    server.perform(prepare(server, VIP, **settings))
    steps = undo().plan.actions
    assert steps
    for last in steps:

        def crash(step: object, last: object = last) -> int:
            if step == last:
                raise Killed
            return 0

        server.fake.refuse = crash
        with pytest.raises(Killed):
            server.perform(undo())
        server.fake.refuse = lambda step: 0
        server.perform(undo())
        assert (state(server.fake), server.store.load_record()) == (before, Record())
        server.perform(prepare(server, VIP, **settings))


def test_a_run_that_is_killed_before_all_were_told_tells_them_again(tmp_path: Path) -> None:
    """systemd would keep a unit whose stop takes addresses away, although its file is gone."""

    def unit(setup: Setup, manager: str, sysctls: Mapping[str, str | None]) -> Mapping[str, str]:
        return {UNIT_FILE: "[Service]\n"} if manager == "unit" else {}

    def kill(command: Sequence[str]) -> str:
        raise Killed

    server = FakeRealServer(tmp_path, unit)
    server.perform(prepare(server, VIP))
    server.programs.fault = kill
    with pytest.raises(Killed):
        server.perform(prepare(server, VIP, persist="networkd"))
    server.programs.fault, server.programs.run = lambda command: "", []
    server.perform(prepare(server, VIP, persist="networkd"))
    assert tuple(server.programs.run) == FORGET_UNIT.commands
    assert not server.store.load_record().owned.of(FILES)


def test_a_host_that_somebody_else_changes_meanwhile_is_not_proved(
    server: FakeRealServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = server.fake
    real_perform = FakeKernel.perform

    def meddle(self: FakeKernel, steps: Any) -> Any:  # noqa: ANN401 (as the method it stands for)
        outcomes = real_perform(self, steps)
        host.sysctls["net/ipv4/conf/all/arp_ignore"] = "0"
        return outcomes

    monkeypatch.setattr(FakeKernel, "perform", meddle)
    with pytest.raises(NotConverged, match="arp_ignore"):
        server.perform(prepare(server, VIP))
