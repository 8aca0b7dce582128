"""Virtual routers that move together."""

from dataclasses import replace

from kernelbal.model.address import parse_address
from kernelbal.vrrp.events import RouterEffect, RouterEvent, Trigger, VrrpRole
from kernelbal.vrrp.group import Done, Group, Member, follow, reprioritize, step_group
from kernelbal.vrrp.machine import Router, State
from kernelbal.vrrp.timers import NS_PER_S, down_ns, skew_ns
from kernelbal.vrrp.tracking import Standing

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


def test_repair_is_for_all_networks() -> None:
    """Whoever was active beside this node has announced the addresses of all of them."""
    after, done = step_group(group(VrrpRole.ACTIVE, NS_PER_S), "inside", advert(5, 99))
    announce = RouterEffect.ANNOUNCE
    assert done == (Done("inside", (RouterEffect.SEND, announce)), Done("outside", (announce,)))
    assert roles(after) == [VrrpRole.ACTIVE] * 2


def test_partner_that_leaves_on_one_network_leaves_on_all() -> None:
    """On the network of its fault nobody hears that it leaves."""
    after, _ = step_group(group(VrrpRole.BACKUP), "outside", advert(5, 0))
    assert {member.state.due_at_ns for member in after.values()} == {5 + skew_ns(3, 100, 100)}
    taken, done = step_group(after, "outside", RouterEvent(Trigger.TIMER, NS_PER_S))
    assert roles(taken) == [VrrpRole.ACTIVE] * 2
    assert len(done) == 2


def test_wait_ends_for_all_where_the_partner_is_heard_by_one() -> None:
    found = {
        name: Member(member.router, member.state._replace(due_at_ns=9 * DOWN, wait_until_ns=9 * DOWN))
        for name, member in group(VrrpRole.BACKUP).items()
    }
    after, _ = step_group(found, "inside", advert(5, 99))
    assert {member.state.due_at_ns for member in after.values()} == {5 + DOWN}
    assert (
        roles(step_group(after, "outside", RouterEvent(Trigger.TIMER, 5 + DOWN))[0]) == [VrrpRole.ACTIVE] * 2
    )


def test_fault_of_one_is_one_of_all() -> None:
    standings = {"inside": Standing(100), "outside": Standing(90, ("link",))}
    faulty, done = follow(group(VrrpRole.ACTIVE), standings, 7)
    assert roles(faulty) == [VrrpRole.INITIALIZE] * 2
    assert done == (Done("inside", LEAVE), Done("outside", LEAVE))
    assert follow(faulty, standings, 8) == (faulty, ())
    back, done = follow(faulty, {name: Standing(90) for name in NAMES}, 9)
    assert (roles(back), done) == ([VrrpRole.BACKUP] * 2, ())
    assert {member.state.due_at_ns for member in back.values()} == {9 + down_ns(3, 90, 100)}
    stopped = group(VrrpRole.INITIALIZE)
    assert follow(stopped, {name: Standing(100) for name in NAMES}, 9) == (stopped, ())


def test_priorities_change_but_not_that_of_an_owner() -> None:
    before = group(VrrpRole.ACTIVE)
    after, done = reprioritize(before, {"inside": 100, "outside": 80}, 7)
    assert [member.router.priority for member in after.values()] == [100, 80]
    assert done == (Done("outside", (RouterEffect.SEND,)),)
    owner = {
        name: member._replace(router=replace(member.router, priority=255)) for name, member in before.items()
    }
    assert reprioritize(owner, {"inside": 80}, 7) == (owner, ())


def test_starved_member_that_is_given_a_priority_does_not_leave_the_others() -> None:
    after, done = reprioritize(group(VrrpRole.ACTIVE, DOWN), {"inside": 80}, 3 * DOWN)
    assert roles(after) == [VrrpRole.BACKUP] * 2
    assert done == (Done("inside", (RouterEffect.RELEASE,)), Done("outside", (RouterEffect.RELEASE,)))
