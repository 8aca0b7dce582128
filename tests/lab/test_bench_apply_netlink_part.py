"""The driver alone, measured on a real kernel."""

import json

import pytest

from bench.apply import netlink_part
from bench.apply.workload import Workload, service_table
from bench.place import fresh_namespace, open_counter
from kernelbal.plan.kinds.service_actions import AddService

pytestmark = pytest.mark.needs_ipvs


def test_it_fills_the_table_and_reads_it_back(capsys: pytest.CaptureFixture[str]) -> None:
    with fresh_namespace(), open_counter() as counter:
        netlink_part.main(["3"])
        assert counter.fault(Workload(3)) == ""
    *seconds, as_wanted = json.loads(capsys.readouterr().out)
    assert as_wanted
    assert len(seconds) == 4


def test_a_table_that_is_not_as_wanted_is_noticed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    actions_for = netlink_part.actions_for
    monkeypatch.setattr(netlink_part, "actions_for", lambda table: actions_for(table)[:-1])
    with fresh_namespace():
        netlink_part.main(["3"])
    assert json.loads(capsys.readouterr().out)[-1] is False


def test_a_refused_action_is_noticed(capsys: pytest.CaptureFixture[str]) -> None:
    with fresh_namespace():
        netlink_part.main(["3"])
        netlink_part.main(["3"])
    first, second = map(json.loads, capsys.readouterr().out.splitlines())
    assert (first[-1], second[-1]) == (True, False)


def test_actions_are_services_first() -> None:
    table = service_table(Workload(2))
    services = [AddService(key, server.attributes) for key, server in table.items()]
    assert netlink_part.actions_for(table)[:2] == services
