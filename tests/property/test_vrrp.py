"""Elections of two to five directors: one holds all addresses, soon, and without a need nothing moves.

`KERNELBAL_VRRP_SEEDS` says how many networks are simulated: 200 by default; 10,000 take minutes.
"""

import os
import random
from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernelbal.model.address import Address
from kernelbal.vrrp.events import RouterEffect, RouterEvent, Trigger, VrrpRole
from kernelbal.vrrp.machine import NEVER, Router, State, step
from kernelbal.vrrp.timers import NS_PER_S, down_ns, skew_ns
from tests.support.vrrp_network import MS, Networks, Node

SEEDS = int(os.environ.get("KERNELBAL_VRRP_SEEDS", "200"))
PARTS = 10
"""Of the sweep, for several processors."""
ONE, TWO = ("inside",), ("inside", "outside")
DISTURBANCES = (
    *("die", "start", "stop", "sleep", "lose", "cut", "heal"),
    *("hand over", "lose link", "restore links", "weigh"),
)


def seeds(part: int, share: int = 1) -> range:
    """Seeds of one part of the sweep, or of one in `share` of it."""
    return range(part, max(SEEDS // share, PARTS), PARTS)


def router(number: int, priority: int, interval_cs: int, preempt: bool = False) -> Router:
    return Router(Address(bytes((192, 0, 2, 10 + number))), 3, priority, interval_cs, preempt)


def routers(dice: random.Random) -> list[Router]:
    """Two to five, of different priorities, one of them an owner now and then.

    Version 2 demands one interval; version 3 learns that of the active router.
    """
    version = dice.choice((2, 3))
    interval_cs = dice.choice((100, 300)) if version == 2 else dice.choice((1, 10, 100, 300))
    preempt = dice.random() < 0.5
    priorities = dice.sample(range(1, 255), dice.randint(2, 5))
    if dice.random() < 0.1:
        priorities[0] = 255
    factors = dice.choice(((1,), (1,), (1, 2, 4)))
    return [
        replace(
            router(number, priority, interval_cs * (dice.choice(factors) if version == 3 else 1), preempt),
            version=version,
            preempt_delay_ns=dice.choice((0, 2 * interval_cs * 10 * MS)),
            initial_wait_ns=dice.choice((0, 0, 5 * interval_cs * 10 * MS)),
        )
        for number, priority in enumerate(priorities)
    ]


def disturbances(networks: Networks, dice: random.Random, unit_ns: int) -> Iterator[tuple[str, Node]]:
    """What happens to whom, one after the other; time passes in between."""
    for _ in range(dice.randint(0, 8)):
        node = dice.choice(networks.nodes)
        networks.run_for(dice.randrange(unit_ns * 4))
        yield dice.choice(DISTURBANCES), node


def disturb(networks: Networks, what: str, node: Node, dice: random.Random, unit_ns: int) -> None:
    name = dice.choice(networks.names)
    match what:
        case "die":
            networks.die(node)
        case "start" if not node.started:
            networks.start(node)
        case "stop":
            networks.stop(node)
        case "sleep":
            networks.sleep(node, dice.randrange(1, 3 * unit_ns))
        case "lose":
            networks.disturb(dice.choice((0.1, 0.5)), networks.cut)
        case "cut":
            numbers = sorted((node.number, dice.choice(networks.nodes).number))
            networks.disturb(networks.loss, networks.cut | {(numbers[0], numbers[1], name)})
        case "heal":
            networks.disturb(0.0, set())
        case "lose link":
            networks.lose_link(node, name)
        case "restore links":
            networks.restore_links(node)
        case _:
            disturb_role(networks, what, node, dice, unit_ns)


def disturb_role(networks: Networks, what: str, node: Node, dice: random.Random, unit_ns: int) -> None:
    match what:
        case "hand over" if node.active:
            networks.hand_over(node, dice.randrange(unit_ns))
        case "weigh":
            taken = {each.priority for each in networks.nodes}
            networks.weigh(node, dice.choice([each for each in range(1, 255) if each not in taken]))


@pytest.mark.parametrize("part", range(PARTS))
def test_one_holder_after_all_disturbances(part: int) -> None:
    for seed in seeds(part):
        dice = random.Random(seed)
        networks = Networks(seed, routers(dice), dice.choice((ONE, TWO)), duplicates=0.1)
        interval_cs = max(each.interval_cs for each in networks.routers)
        unit_ns = down_ns(networks.routers[0].version, 1, interval_cs)
        networks.most_delay_ns = max(2, unit_ns // 20)
        for node in networks.nodes:
            node.late_ns = dice.randrange(1, max(2, unit_ns // 40))
            networks.at(dice.randrange(unit_ns), partial(networks.start, node))
        story = [f"seed {seed}: {networks.routers}"]
        for what, node in disturbances(networks, dice, unit_ns):
            story.append(f"{networks.now_ns / 1e9:.3f} s {what} {node.number}")
            disturb(networks, what, node, dice, unit_ns)
        networks.disturb(0.0, set())
        for node in networks.nodes:
            networks.restore_links(node)
        networks.run_for(12 * unit_ns)
        demand_one(networks, story)
        changes = networks.changes
        networks.run_for(20 * unit_ns)
        demand_one(networks, [*story, "later"])
        assert networks.changes == changes, f"changes without cause: {story}"
        bound_ns = interval_cs * 10 * MS + networks.most_delay_ns + unit_ns // 40
        assert max(networks.conflicts_ns, default=0) <= bound_ns, f"two holders for long: {story}"


def demand_one(networks: Networks, story: list[str]) -> None:
    """Demand one holder of all addresses, and that it is the one of the highest priority if that preempts."""
    started = [node for node in networks.nodes if node.started]
    for name, holders in networks.holders.items():
        assert len(holders) == (1 if started else 0), f"{name} held by {holders}: {story}"
    assert len({tuple(holders) for holders in networks.holders.values()}) == 1, story
    best = max(started, key=lambda node: node.priority, default=None)
    if best is not None and (best.priority == 255 or networks.routers[0].preempt):
        assert best.active, f"{best.number} is preferred, and {networks.holders} hold: {story}"


def election(seed: int, dice: random.Random, preempt: bool) -> Networks:
    """Three or four nodes with priorities so far apart that the skew decides, of which one is active."""
    priorities = dice.sample(range(10, 255, 30), dice.choice((3, 4)))
    interval_cs = dice.choice((10, 100))
    each = [router(number, priority, interval_cs, preempt) for number, priority in enumerate(priorities)]
    names = dice.choice((ONE, TWO))
    networks = Networks(seed, each, names, 0.0, 0.1, most_delay_ns=MS // 2, most_late_ns=MS // 2)
    for node in networks.nodes:
        networks.start(node)
    networks.run_for(2 * down_ns(3, 1, interval_cs) + dice.randrange(NS_PER_S))
    demand_one(networks, [f"seed {seed}"])
    networks.takes.clear()
    assert networks.conflicts_ns == [], f"seed {seed}: {priorities}"
    return networks


def holder(networks: Networks) -> Node:
    return next(node for node in networks.nodes if node.active)


@pytest.mark.parametrize("preempt", [False, True])
@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("end", ["die", "stop", "hand over", "lose link"])
def test_takeover_in_time_by_the_best_and_by_nobody_else(end: str, part: int, preempt: bool) -> None:
    """After the down interval; after the skew alone if the active node can still say that it leaves.

    One of two networks may have failed before: nodes that hear each other on the other one do not notice.
    """
    for seed in seeds(part, share=10):
        dice = random.Random(seed)
        networks = election(seed, dice, preempt)
        first = holder(networks)
        best = max((node for node in networks.nodes if node is not first), key=lambda node: node.priority)
        interval_cs = networks.routers[0].interval_cs
        slack_ns = networks.most_delay_ns + networks.most_late_ns
        if end == "lose link" and networks.names == ONE:
            end = "die"
        wait_ns = (down_ns if end == "die" else skew_ns)(3, best.priority, interval_cs)
        if networks.names == TWO and dice.random() < 0.5:
            networks.disturb(0.0, {(one, two, "inside") for one in range(4) for two in range(one + 1, 4)})
            networks.run_for(dice.randrange(5 * NS_PER_S))
        begun_ns = networks.now_ns
        disturb_active(networks, end, first)
        networks.run_for(wait_ns + slack_ns)
        story = [f"seed {seed}, {end} {first.number}: {networks.routers}"]
        assert {take.number for take in networks.takes} == {best.number}, story
        assert networks.holders == {name: [best.number] for name in networks.names}, story
        last_ns = 0 if end != "die" else networks.routers[0].interval_ns
        assert min(take.at_ns for take in networks.takes) >= begun_ns + wait_ns - last_ns - slack_ns, story
        networks.run_for(3 * down_ns(3, 1, interval_cs))
        assert networks.conflicts_ns == [], story


def disturb_active(networks: Networks, end: str, node: Node) -> None:
    match end:
        case "die":
            networks.die(node)
        case "stop":
            networks.stop(node)
        case "hand over":
            networks.hand_over(node, 60 * NS_PER_S)
        case "lose link":
            networks.lose_link(node, "inside")


@pytest.mark.parametrize("part", range(PARTS))
def test_nothing_moves_the_role_from_a_node_that_is_well(part: int) -> None:
    """Without preemption: whatever happens to all the others, and to one of two networks."""
    for seed in seeds(part, share=5):
        dice = random.Random(seed)
        networks = election(seed, dice, preempt=False)
        first = holder(networks)
        unit_ns = down_ns(3, 1, networks.routers[0].interval_cs)
        story = [f"seed {seed}: {networks.routers}"]
        others = [node for node in networks.nodes if node is not first]
        for _ in range(10):
            networks.run_for(dice.randrange(2 * unit_ns))
            what, node = dice.choice(DISTURBANCES), dice.choice(others)
            story.append(f"{networks.now_ns / 1e9:.3f} s {what} {node.number}")
            if what == "cut" and networks.names == TWO:
                pairs = (sorted((first.number, each.number)) for each in others)
                networks.disturb(0.0, {(one, two, "inside") for one, two in pairs})
            elif what not in ("lose", "cut"):
                disturb(networks, what, node, dice, unit_ns)
        networks.run_for(10 * unit_ns)
        assert holder(networks) is first, story
        assert networks.takes == [], story
        assert networks.conflicts_ns == [], story


@pytest.mark.parametrize("part", range(PARTS))
def test_one_holder_of_equal_priorities(part: int) -> None:
    """The highest address decides."""
    for seed in seeds(part, share=10):
        dice = random.Random(seed)
        each = [router(number, 100, 10, dice.random() < 0.5) for number in range(dice.randint(2, 4))]
        networks = Networks(seed, each, ONE, most_delay_ns=MS)
        pairs = {(one, two, "inside") for one in range(4) for two in range(one + 1, 4)}
        networks.disturb(0.0, pairs)
        for node in networks.nodes:
            networks.start(node)
        networks.run_for(NS_PER_S)
        assert all(node.active for node in networks.nodes)
        networks.disturb(0.0, set())
        networks.run_for(each[0].interval_ns + 2 * MS)
        assert networks.holders == {"inside": [len(each) - 1]}, f"seed {seed}"
        changes = networks.changes
        networks.run_for(10 * NS_PER_S)
        assert networks.changes == changes, f"seed {seed}"


@pytest.mark.parametrize("preempt_delay_s", [0, 100])
def test_both_boot_at_once(preempt_delay_s: int) -> None:
    """A delay before preemption is no outage."""
    pair = [
        replace(router(number, 100 + number, 100, True), preempt_delay_ns=preempt_delay_s * NS_PER_S)
        for number in range(2)
    ]
    networks = Networks(1, pair)
    for node in networks.nodes:
        networks.start(node)
    networks.run_for(down_ns(3, 101, 100) + MS)
    assert networks.holders == {"inside": [1], "outside": [1]}


def test_wait_after_the_start_is_for_nodes_that_are_alone() -> None:
    pair = [
        replace(router(number, 100 + number, 100, True), initial_wait_ns=180 * NS_PER_S) for number in (0, 1)
    ]
    networks = Networks(1, pair)
    networks.start(networks.nodes[0])
    networks.run(180 * NS_PER_S - 1)
    assert networks.takes == []
    networks.run_for(MS)
    assert networks.holders == {"inside": [0], "outside": [0]}
    networks.start(networks.nodes[1])
    networks.run_for(2 * NS_PER_S)
    networks.die(networks.nodes[0])
    networks.run_for(down_ns(3, 101, 100) + MS)
    assert networks.holders == {"inside": [1], "outside": [1]}


def test_hour_with_loss_without_a_change() -> None:
    """One packet in a hundred is lost, and timers are late by up to a fifth of an interval."""
    interval_cs = 50
    pair = [router(number, 100 + number, interval_cs, True) for number in range(2)]
    networks = Networks(2, pair, TWO, 0.01, most_late_ns=pair[0].interval_ns // 5)
    for node in networks.nodes:
        networks.start(node)
    networks.run_for(10 * NS_PER_S)
    changes = networks.changes
    networks.run_for(3600 * NS_PER_S)
    assert networks.changes == changes
    assert networks.holders == {"inside": [1], "outside": [1]}


TIMES = st.integers(0, 20 * NS_PER_S)
ADDRESSES = st.integers(9, 11).map(lambda last: Address(bytes((192, 0, 2, last))))
PRIORITIES = st.integers(0, 255)
STATES = st.builds(
    State,
    st.sampled_from(VrrpRole),
    TIMES,
    TIMES,
    st.integers(1, 4095),
    ADDRESSES,
    TIMES | st.just(NEVER),
    *(TIMES, TIMES, TIMES),
    faulty=st.booleans(),
)
EVENTS = st.builds(
    RouterEvent,
    st.sampled_from((*Trigger, *[Trigger.TIMER, Trigger.ADVERT] * 5)),
    TIMES,
    ADDRESSES,
    PRIORITIES,
    st.integers(1, 4095),
    st.booleans(),
    TIMES,
)
ROUTERS = st.builds(
    Router,
    st.just(Address(bytes((192, 0, 2, 10)))),
    st.sampled_from((2, 3)),
    st.integers(1, 255),
    st.integers(1, 4095),
    *(st.booleans(), TIMES, TIMES, st.booleans()),
)


@settings(max_examples=300)
@given(ROUTERS, STATES, EVENTS)
def test_each_step(own: Router, before: State, event: RouterEvent) -> None:
    """Addresses come and go with the role, an advertisement is sent first, and no timer stays in the past."""
    after, effects = step(own, before, event)
    became = after.role is VrrpRole.ACTIVE and before.role is not VrrpRole.ACTIVE
    ceased = before.role is VrrpRole.ACTIVE and after.role is not VrrpRole.ACTIVE
    assert (RouterEffect.TAKE in effects) is became
    assert (RouterEffect.RELEASE in effects) is ceased
    assert not became or effects[0] is RouterEffect.SEND
    sends = effects.count(RouterEffect.SEND) + effects.count(RouterEffect.SEND_LEAVING)
    assert sends <= 1
    assert (after.due_at_ns == NEVER) or after.role is not VrrpRole.INITIALIZE or after == before
    if event.trigger is Trigger.TIMER and before.due_at_ns <= event.now_ns and after != before:
        assert after.due_at_ns > event.now_ns
    assert all(type(value) is int for value in after if not isinstance(value, str | bytes | bool))
    assert step(own, before, event) == (after, effects)
