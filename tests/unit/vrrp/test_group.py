"""Virtual routers that move together."""

from dataclasses import replace

from kernelbal.model.address import parse_address
from kernelbal.vrrp.group import Done, Group, Member, step_group
from kernelbal.vrrp.machine import Router, RouterEffect, RouterEvent, State, Trigger, VrrpRole
from kernelbal.vrrp.timers import NS_PER_S, down_ns

PEER = parse_address("192.0.2.9")
DOWN = down_ns(3, 100, 100)
TAKE_OVER = (RouterEffect.SEND, RouterEffect.TAKE, RouterEffect.ANNOUNCE)
LEAVE = (RouterEffect.SEND_LEAVING, RouterEffect.RELEASE)
NAMES = ("inside", "outside")


def group(role: VrrpRole, due_at_ns: int = DOWN) -> Group:
    router = Router(parse_address("192.0.2.10"))
    return {name: Member(router, State(role, 0, due_at_ns, 100)) for name in NAMES}


def roles(found: Group) -> list[VrrpRole]:
    return [member.state.role for member in found.values()]


def advert(now_ns: int, priority: int) -> RouterEvent:
    return RouterEvent(Trigger.ADVERT, now_ns, PEER, priority, 100)


def test_start_and_stop_are_events_of_all() -> None:
    started, done = step_group(group(VrrpRole.INITIALIZE), "inside", RouterEvent(Trigger.START, 0))
    assert (roles(started), done) == ([VrrpRole.BACKUP] * 2, ())
    stopped, done = step_group(group(VrrpRole.ACTIVE), "inside", RouterEvent(Trigger.STOP, 0))
    assert (roles(stopped), done) == (
        [VrrpRole.INITIALIZE] * 2,
        (Done("inside", LEAVE), Done("outside", LEAVE)),
    )


def test_partner_that_is_heard_on_one_network_is_alive() -> None:
    now = DOWN - NS_PER_S
    heard, _ = step_group(group(VrrpRole.BACKUP), "outside", advert(now, 200))
    waits, done = step_group(heard, "inside", RouterEvent(Trigger.TIMER, DOWN))
    assert (roles(waits), done) == ([VrrpRole.BACKUP] * 2, ())
    assert waits["inside"].state.due_at_ns == waits["outside"].state.due_at_ns == now + DOWN
    taken, done = step_group(waits, "outside", RouterEvent(Trigger.TIMER, now + DOWN))
    assert roles(taken) == [VrrpRole.ACTIVE] * 2
    assert done == (Done("outside", TAKE_OVER), Done("inside", TAKE_OVER))


def test_member_that_has_to_wait_makes_the_others_wait() -> None:
    found = dict(group(VrrpRole.BACKUP))
    waiting = found["outside"].state._replace(wait_until_ns=3 * DOWN)
    found["outside"] = found["outside"]._replace(state=waiting)
    waits, done = step_group(found, "inside", RouterEvent(Trigger.TIMER, DOWN))
    assert (roles(waits), done) == ([VrrpRole.BACKUP] * 2, ())
    assert {member.state.due_at_ns for member in waits.values()} == {3 * DOWN}


def test_who_yields_on_one_network_hands_over_the_others() -> None:
    after, done = step_group(group(VrrpRole.ACTIVE), "inside", advert(5, 200))
    assert roles(after) == [VrrpRole.BACKUP] * 2
    assert done == (Done("inside", (RouterEffect.RELEASE,)), Done("outside", LEAVE))


def test_what_moves_nobody_is_about_its_member_alone() -> None:
    found = group(VrrpRole.ACTIVE, NS_PER_S)
    after, done = step_group(found, "outside", RouterEvent(Trigger.TIMER, NS_PER_S))
    assert done == (Done("outside", (RouterEffect.SEND,)),)
    assert after["inside"] == found["inside"]
    owner = {name: replace(member.router, priority=255) for name, member in found.items()}
    begun = {name: Member(router) for name, router in owner.items()}
    assert roles(step_group(begun, "inside", RouterEvent(Trigger.START, 0))[0]) == [VrrpRole.ACTIVE] * 2
