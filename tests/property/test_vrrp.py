"""Elections of two to five directors: after all disturbances one of them holds all addresses.

`KERNELBAL_VRRP_SEEDS` says how many networks are simulated: 200 by default; 10,000 take minutes.
"""

import os
import random
from collections.abc import Iterator
from functools import partial

import pytest

from kernelbal.model.address import Address
from kernelbal.vrrp.events import VrrpRole
from kernelbal.vrrp.machine import Router
from kernelbal.vrrp.timers import down_ns
from tests.support.vrrp_network import MS, Networks, Node

SEEDS = int(os.environ.get("KERNELBAL_VRRP_SEEDS", "200"))
DISTURBED_DOWN_INTERVALS = 30
QUIET_DOWN_INTERVALS = 4


def routers(dice: random.Random) -> list[Router]:
    """Two to five, of different priorities, with the same interval."""
    count = dice.randint(2, 5)
    version = dice.choice((2, 3))
    interval_cs = dice.choice((100, 300)) if version == 2 else dice.choice((1, 10, 100, 300))
    preempt = dice.random() < 0.5
    return [
        Router(
            local=Address(bytes((192, 0, 2, 10 + number))),
            version=version,
            priority=priority,
            interval_cs=interval_cs,
            preempt=preempt,
            preempt_delay_ns=dice.choice((0, 2 * interval_cs * 10 * MS)),
        )
        for number, priority in enumerate(dice.sample(range(1, 255), count))
    ]


def disturbances(networks: Networks, dice: random.Random, unit_ns: int) -> Iterator[tuple[str, Node]]:
    """What happens to whom, one after the other; time passes in between."""
    for _ in range(dice.randint(0, 6)):
        node = dice.choice(networks.nodes)
        networks.run(networks.now_ns + dice.randrange(unit_ns * 4))
        yield dice.choice(("die", "start", "stop", "sleep", "cut", "heal", "hand over")), node


def disturb(networks: Networks, what: str, node: Node, dice: random.Random, unit_ns: int) -> None:
    idle = all(member.state.role is VrrpRole.INITIALIZE for member in node.group.values())
    match what:
        case "die":
            networks.die(node)
        case "start" if not node.alive or idle:
            networks.start(node)
        case "stop":
            networks.stop(node)
        case "sleep":
            networks.sleep(node, dice.randrange(1, 3 * unit_ns))
        case "cut":
            other = dice.choice(networks.nodes)
            name = dice.choice(networks.names)
            networks.cut.add((min(node.number, other.number), max(node.number, other.number), name))
        case "heal":
            networks.cut.clear()
        case "hand over" if node.active:
            networks.hand_over(node, dice.randrange(unit_ns))


@pytest.mark.parametrize("part", range(10))
def test_one_holder_after_all_disturbances(part: int) -> None:
    for seed in range(part, SEEDS, 10):
        dice = random.Random(seed)
        networks = Networks(seed, routers(dice), loss=dice.choice((0.0, 0.1)), duplicates=0.1)
        first = networks.routers[0]
        unit_ns = down_ns(first.version, 1, first.interval_cs)
        networks.most_delay_ns = max(2, unit_ns // 20)
        for node in networks.nodes:
            networks.at(dice.randrange(unit_ns), partial(networks.start, node))
        story = []
        for what, node in disturbances(networks, dice, unit_ns):
            story.append(f"{networks.now_ns / 1e9:.3f} s {what} {node.number}")
            disturb(networks, what, node, dice, unit_ns)
        networks.loss = 0.0
        networks.cut.clear()
        networks.run(networks.now_ns + 12 * unit_ns)
        demand_one(networks, f"seed {seed}: {networks.routers} {story}")
        changes = networks.changes
        networks.run(networks.now_ns + 20 * unit_ns)
        demand_one(networks, f"seed {seed}, later: {story}")
        assert networks.changes == changes, f"seed {seed}: changes without cause: {story}"


def demand_one(networks: Networks, story: str) -> None:
    started = [node for node in networks.nodes if node.alive and has_started(node)]
    expected = 1 if started else 0
    for name, holders in networks.holders.items():
        assert len(holders) == expected, f"{name} held by {holders}: {story}"
        roles = [node.number for node in networks.nodes if node.group[name].state.role is VrrpRole.ACTIVE]
        assert roles == holders, f"{name}: active {roles}, held by {holders}: {story}"
    assert len({tuple(holders) for holders in networks.holders.values()}) == 1, story


def has_started(node: Node) -> bool:
    return any(member.state.role is not VrrpRole.INITIALIZE for member in node.group.values())


@pytest.mark.parametrize("interval_cs", [1, 10, 100])
@pytest.mark.parametrize("preempt", [False, True])
def test_takeover_and_return(interval_cs: int, preempt: bool) -> None:
    """Who dies is followed within a down interval; who comes back takes the role only if preferred."""
    pair = [
        Router(Address(bytes((192, 0, 2, 10 + number))), 3, 100 - number, interval_cs, preempt)
        for number in range(2)
    ]
    networks = Networks(1, pair, most_delay_ns=MS // 10)
    first = networks.nodes[0]
    for node in networks.nodes:
        networks.start(node)
    bound_ns = down_ns(3, 99, interval_cs) + MS
    networks.run(2 * bound_ns)
    assert networks.holders == {"inside": [0], "outside": [0]}
    networks.die(first)
    networks.run(networks.now_ns + bound_ns)
    assert networks.holders == {"inside": [1], "outside": [1]}
    networks.start(first)
    networks.run(networks.now_ns + 4 * bound_ns)
    back = 0 if preempt else 1
    assert networks.holders == {"inside": [back], "outside": [back]}
    networks.stop(networks.nodes[back])
    networks.run(networks.now_ns + bound_ns - 2 * pair[0].interval_ns)
    assert networks.holders == {"inside": [1 - back], "outside": [1 - back]}
    assert networks.conflicts_ns == [] or preempt
