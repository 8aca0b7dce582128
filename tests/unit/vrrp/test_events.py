"""Events and effects."""

from kernelbal.vrrp.events import RouterEffect, RouterEvent, Trigger, VrrpRole
from kernelbal.vrrp.machine import TRANSITIONS


def test_each_trigger_role_and_effect_is_in_the_table() -> None:
    assert {row.trigger for row in TRANSITIONS} == set(Trigger)
    assert {row.role for row in TRANSITIONS} == {row.to for row in TRANSITIONS} == set(VrrpRole)
    assert {effect for row in TRANSITIONS for effect in row.effects} == set(RouterEffect)


def test_event_without_an_advertisement_has_no_sender() -> None:
    assert not RouterEvent(Trigger.TIMER, 1).source
