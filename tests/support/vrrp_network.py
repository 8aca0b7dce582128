"""Directors on simulated networks, in virtual time: loss, delay, partitions, faults, death, and sleep.

After each step of a node it is demanded that its virtual routers have one role, and that it has the addresses
where it is active and nowhere else.
"""

import heapq
import itertools
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

from kernelbal.model.address import Address
from kernelbal.vrrp.events import RouterEffect, RouterEvent, Trigger, VrrpRole
from kernelbal.vrrp.group import Done, Group, Member, follow, step_group
from kernelbal.vrrp.machine import NEVER, Router
from kernelbal.vrrp.packet import OWNER_PRIORITY
from kernelbal.vrrp.timers import down_ns
from kernelbal.vrrp.tracking import Standing

MS = 1_000_000


@dataclass
class Node:
    """One director.

    Attributes:
        started: whether it was started, and neither stopped nor died since.
        late_ns: by how much its timers are late at most.
        down: networks on which it has no link, and so neither sends nor hears.
        holds: networks on which it has the addresses; those of a node that died are gone with it.
        asleep_until_ns: it neither hears, sends nor counts; what comes meanwhile waits.
    """

    number: int
    group: Group
    late_ns: int
    alive: bool = True
    started: bool = False
    asleep_until_ns: int = 0
    down: set[str] = field(default_factory=set)
    holds: set[str] = field(default_factory=set)
    waiting: list[tuple[str, RouterEvent]] = field(default_factory=list)

    @property
    def active(self) -> bool:
        return any(member.state.role is VrrpRole.ACTIVE for member in self.group.values())

    @property
    def priority(self) -> int:
        return max(member.router.priority for member in self.group.values())


class Take(NamedTuple):
    """A node took the addresses of one network."""

    at_ns: int
    number: int
    name: str


@dataclass
class Networks:
    """All nodes on all networks.

    Attributes:
        routers: of the nodes; on networks after the first one each has another address.
        loss: part of the advertisements that do not arrive; `disturb` changes it.
        cut: pairs of nodes and a network on which they do not hear each other.
        conflicts_ns: how long two nodes had the addresses of a network on which they heard each other,
            nothing was lost, and both were awake.
        changes: of the role of a node.
    """

    seed: int
    routers: list[Router]
    names: tuple[str, ...] = ("inside", "outside")
    loss: float = 0.0
    duplicates: float = 0.0
    most_delay_ns: int = MS
    most_late_ns: int = MS // 2
    now_ns: int = 0
    nodes: list[Node] = field(init=False)
    cut: set[tuple[int, int, str]] = field(default_factory=set)
    conflicts_ns: list[int] = field(default_factory=list)
    takes: list[Take] = field(default_factory=list)
    changes: int = 0
    _conflicts: dict[tuple[int, int, str], int] = field(default_factory=dict)
    _queue: list[tuple[int, int, Callable[[], None]]] = field(default_factory=list)
    _number: "itertools.count[int]" = field(default_factory=itertools.count)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self.nodes = [
            Node(
                number,
                {name: Member(router) for name in self.names},
                self.random.randrange(1, max(2, self.most_late_ns)),
            )
            for number, router in enumerate(self.routers)
        ]

    def at(self, when_ns: int, do: Callable[[], None]) -> None:
        heapq.heappush(self._queue, (when_ns, next(self._number), do))

    def run(self, until_ns: int) -> None:
        """Let time pass."""
        while self._queue and self._queue[0][0] <= until_ns:
            self.now_ns, _, do = heapq.heappop(self._queue)
            do()
        self.now_ns = until_ns

    def run_for(self, for_ns: int) -> None:
        self.run(self.now_ns + for_ns)

    # What happens to a node.

    def start(self, node: Node) -> None:
        node.alive = True
        self._step(node, self.names[0], RouterEvent(Trigger.START, self.now_ns))
        if node.down:
            self._follow(node)

    def stop(self, node: Node) -> None:
        self._step(node, self.names[0], RouterEvent(Trigger.STOP, self.now_ns))

    def hand_over(self, node: Node, hold_ns: int) -> None:
        self._step(node, self.names[0], RouterEvent(Trigger.HAND_OVER, self.now_ns, hold_ns=hold_ns))

    def lose_link(self, node: Node, name: str) -> None:
        """It can neither send nor hear there, and knows it."""
        node.down.add(name)
        self._follow(node)
        self._look_for_conflicts()

    def restore_links(self, node: Node) -> None:
        node.down.clear()
        self._follow(node)
        self._look_for_conflicts()

    def weigh(self, node: Node, priority: int) -> None:
        """Give it another priority."""
        self._follow(node, priority)

    def die(self, node: Node) -> None:
        node.alive = node.started = False
        node.holds.clear()
        node.waiting.clear()
        node.asleep_until_ns = 0
        node.group = {name: Member(member.router) for name, member in node.group.items()}
        self._look_for_conflicts()

    def sleep(self, node: Node, for_ns: int) -> None:
        """Stop it without its knowledge; the kernel takes its addresses after the shortest down interval."""
        until_ns = node.asleep_until_ns = max(node.asleep_until_ns, self.now_ns + for_ns)
        router = node.group[self.names[0]].router
        expiry_ns = self.now_ns + down_ns(router.version, OWNER_PRIORITY, router.interval_cs)
        self.at(expiry_ns, lambda: node.holds.clear() if self._sleeps_until(node, until_ns) else None)
        self.at(until_ns, lambda: self._wake(node))
        self._look_for_conflicts()

    # What happens to the networks.

    def disturb(self, loss: float, cut: set[tuple[int, int, str]]) -> None:
        """Lose packets, and separate pairs of nodes on networks; nothing and none: heal."""
        self.loss, self.cut = loss, cut
        self._look_for_conflicts()

    def hear(self, one: Node, other: Node, name: str) -> bool:
        """Whether two nodes are on one segment."""
        numbers = (min(one.number, other.number), max(one.number, other.number))
        return (*numbers, name) not in self.cut and name not in one.down and name not in other.down

    @property
    def holders(self) -> dict[str, list[int]]:
        """Numbers of the nodes that hold the addresses, by network."""
        return {name: [node.number for node in self.nodes if name in node.holds] for name in self.names}

    def local(self, node: Node, name: str) -> Address:
        """Its address on a network: the order of nodes by address is another one on each."""
        router = node.group[name].router
        if name == self.names[0]:
            return router.local
        return Address(router.local[:-1] + bytes((255 - router.local[-1],)))

    # Steps.

    def _follow(self, node: Node, priority: int | None = None) -> None:
        if not node.alive or self._sleeps(node):
            return
        faults = ("link",) if node.down else ()
        standings = {
            name: Standing(member.router.priority if priority is None else priority, faults)
            for name, member in node.group.items()
        }
        self._perform(node, lambda group: follow(group, standings, self.now_ns))

    def _step(self, node: Node, name: str, event: RouterEvent) -> None:
        if not node.alive:
            return
        if self._sleeps(node):
            if event.trigger is Trigger.ADVERT:
                node.waiting.append((name, event))
            return
        if event.trigger in (Trigger.START, Trigger.STOP):
            node.started = event.trigger is Trigger.START
        self._perform(node, lambda group: step_group(group, name, event))

    def _perform(self, node: Node, move: Callable[[Group], tuple[Group, tuple[Done, ...]]]) -> None:
        before, was_active = node.group, node.active
        node.group, done = move(node.group)
        for where, effects in done:
            for effect in effects:
                self._do(node, where, effect)
        demand_one_role(node)
        if node.active is not was_active:
            self.changes += 1
            self._look_for_conflicts()
        self._schedule(node, before)

    def _schedule(self, node: Node, before: Mapping[str, Member]) -> None:
        for name, member in node.group.items():
            due_at_ns = member.state.due_at_ns
            if due_at_ns not in (before[name].state.due_at_ns, NEVER):
                late_ns = self.random.randrange(node.late_ns)
                self.at(due_at_ns + late_ns, partial(self._fire, node, name))

    def _fire(self, node: Node, name: str) -> None:
        if node.group[name].state.due_at_ns <= self.now_ns:
            self._step(node, name, RouterEvent(Trigger.TIMER, self.now_ns))

    def _wake(self, node: Node) -> None:
        """What waited in the socket is read before any timer is looked at, and links are looked at last."""
        if self._sleeps(node):
            return
        waiting, node.waiting = node.waiting, []
        for name, event in waiting:
            self._step(node, name, event._replace(now_ns=self.now_ns))
        for name in self.names:
            self._fire(node, name)
        self._follow(node)
        self._look_for_conflicts()

    def _sleeps(self, node: Node) -> bool:
        return self.now_ns < node.asleep_until_ns

    def _sleeps_until(self, node: Node, until_ns: int) -> bool:
        return self._sleeps(node) and node.asleep_until_ns == until_ns

    # Effects.

    def _do(self, node: Node, name: str, effect: RouterEffect) -> None:
        router = node.group[name].router
        match effect:
            case RouterEffect.SEND:
                self._send(node, name, router, router.priority)
            case RouterEffect.SEND_LEAVING:
                self._send(node, name, router, 0)
            case RouterEffect.TAKE:
                node.holds.add(name)
                self.takes.append(Take(self.now_ns, node.number, name))
            case RouterEffect.RELEASE:
                node.holds.discard(name)
            case RouterEffect.ANNOUNCE | RouterEffect.REPORT_STRANGER:
                pass

    def _send(self, node: Node, name: str, router: Router, priority: int) -> None:
        source = self.local(node, name)
        for other in self.nodes:
            if other is node or not self.hear(node, other, name):
                continue
            copies = (self.random.random() >= self.loss) + (self.random.random() < self.duplicates)
            for _ in range(copies):
                arrival = self.now_ns + self.random.randrange(1, self.most_delay_ns)
                self.at(arrival, partial(self._arrive, other, name, source, priority, router.interval_cs))

    def _arrive(self, node: Node, name: str, source: Address, priority: int, interval_cs: int) -> None:
        if name not in node.down:
            self._step(node, name, RouterEvent(Trigger.ADVERT, self.now_ns, source, priority, interval_cs))

    def _look_for_conflicts(self) -> None:
        found = self._pairs_in_conflict() if not self.loss else set()
        for pair in set(self._conflicts) - found:
            self.conflicts_ns.append(self.now_ns - self._conflicts.pop(pair))
        for pair in found:
            self._conflicts.setdefault(pair, self.now_ns)

    def _pairs_in_conflict(self) -> set[tuple[int, int, str]]:
        awake = [node for node in self.nodes if node.active and not self._sleeps(node)]
        return {
            (one.number, other.number, name)
            for one, other in itertools.combinations(awake, 2)
            for name in self.names
            if self.hear(one, other, name)
        }


def demand_one_role(node: Node) -> None:
    """Demand that all virtual routers of a node have one role, and addresses where it is active."""
    roles = {member.state.role for member in node.group.values()}
    assert len(roles) == 1, f"node {node.number} is split: {roles}"
    held = set(node.group) if VrrpRole.ACTIVE in roles else set()
    assert node.holds == held, f"node {node.number} is {roles}, and has {node.holds}"
