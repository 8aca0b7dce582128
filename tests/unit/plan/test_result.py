"""A plan."""

from kernelbal.model.state import Drain, DrainKey
from kernelbal.plan.actions import RemoveService
from kernelbal.plan.result import Plan
from tests.unit.plan.samples import real, service

WEB = service("192.0.2.10", 80)


def test_plan_is_empty_without_actions_even_while_something_drains() -> None:
    draining = {DrainKey(WEB, real("10.0.0.11")): Drain(0.0, 60.0)}
    assert Plan(drains=draining).empty
    assert not Plan((RemoveService(WEB),)).empty
