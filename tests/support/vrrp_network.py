"""Directors on simulated networks, in virtual time: loss, delay, duplicates, partitions, death, and sleep."""

import heapq
import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from kernelbal.model.address import Address
from kernelbal.vrrp.events import RouterEffect, RouterEvent, Trigger, VrrpRole
from kernelbal.vrrp.group import Group, Member, step_group
from kernelbal.vrrp.machine import NEVER, Router, State
from kernelbal.vrrp.packet import OWNER_PRIORITY
from kernelbal.vrrp.timers import down_ns

MS = 1_000_000


@dataclass
class Node:
    """One director.

    Attributes:
        holds: networks on which it has the addresses; those of a node that died are gone with it.
        asleep_until_ns: it neither hears, sends nor counts; what comes meanwhile waits.
    """

    number: int
    group: Group
    alive: bool = True
    asleep_until_ns: int = 0
    holds: set[str] = field(default_factory=set)
    waiting: list[tuple[str, RouterEvent]] = field(default_factory=list)

    @property
    def active(self) -> bool:
        return any(member.state.role is VrrpRole.ACTIVE for member in self.group.values())


@dataclass
class Networks:
    """All nodes on all networks.

    Attributes:
        loss: part of the advertisements that do not arrive.
        cut: pairs of nodes and a network on which they do not hear each other.
        conflicts_ns: when two nodes held the addresses of one network, and heard each other there.
    """

    seed: int
    routers: list[Router]
    names: tuple[str, ...] = ("inside", "outside")
    loss: float = 0.0
    duplicates: float = 0.0
    most_delay_ns: int = MS
    now_ns: int = 0
    nodes: list[Node] = field(init=False)
    cut: set[tuple[int, int, str]] = field(default_factory=set)
    conflicts_ns: list[int] = field(default_factory=list)
    changes: int = 0
    _queue: list[tuple[int, int, Callable[[], None]]] = field(default_factory=list)
    _number: "itertools.count[int]" = field(default_factory=itertools.count)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self.nodes = [
            Node(number, {name: Member(router) for name in self.names})
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

    def start(self, node: Node) -> None:
        node.alive = True
        self._step(node, self.names[0], RouterEvent(Trigger.START, self.now_ns))

    def stop(self, node: Node) -> None:
        self._step(node, self.names[0], RouterEvent(Trigger.STOP, self.now_ns))

    def hand_over(self, node: Node, hold_ns: int) -> None:
        self._step(node, self.names[0], RouterEvent(Trigger.HAND_OVER, self.now_ns, hold_ns=hold_ns))

    def die(self, node: Node) -> None:
        node.alive = False
        node.holds.clear()
        node.waiting.clear()
        node.group = {name: Member(member.router) for name, member in node.group.items()}

    def sleep(self, node: Node, for_ns: int) -> None:
        """Stop it without its knowledge; the kernel takes its addresses after the shortest down interval."""
        until_ns = node.asleep_until_ns = self.now_ns + for_ns
        router = node.group[self.names[0]].router
        expiry_ns = self.now_ns + down_ns(router.version, OWNER_PRIORITY, router.interval_cs)
        self.at(expiry_ns, lambda: node.holds.clear() if self._sleeps_until(node, until_ns) else None)
        self.at(until_ns, lambda: self._wake(node))

    def _sleeps_until(self, node: Node, until_ns: int) -> bool:
        return self._sleeps(node) and node.asleep_until_ns == until_ns

    def _sleeps(self, node: Node) -> bool:
        return self.now_ns < node.asleep_until_ns

    def _wake(self, node: Node) -> None:
        """What waited in the socket is read before any timer is looked at."""
        waiting, node.waiting = node.waiting, []
        for name, event in waiting:
            self._step(node, name, event._replace(now_ns=self.now_ns))
        for name in self.names:
            self._fire(node, name)

    def _step(self, node: Node, name: str, event: RouterEvent) -> None:
        if not node.alive:
            return
        if self._sleeps(node):
            if event.trigger is Trigger.ADVERT:
                node.waiting.append((name, event))
            return
        before = node.active
        due = {each: member.state.due_at_ns for each, member in node.group.items()}
        node.group, done = step_group(node.group, name, event)
        self.changes += node.active is not before
        for where, effects in done:
            for effect in effects:
                self._do(node, where, effect)
        for each, member in node.group.items():
            if member.state.due_at_ns not in (due[each], NEVER):
                self._schedule(node, each, member.state)

    def _schedule(self, node: Node, name: str, state: State) -> None:
        late_ns = self.random.randrange(MS // 2)
        self.at(state.due_at_ns + late_ns, lambda: self._fire(node, name))

    def _fire(self, node: Node, name: str) -> None:
        if node.group[name].state.due_at_ns <= self.now_ns:
            self._step(node, name, RouterEvent(Trigger.TIMER, self.now_ns))

    def _do(self, node: Node, name: str, effect: RouterEffect) -> None:
        router = node.group[name].router
        match effect:
            case RouterEffect.SEND:
                self._send(node, name, router, router.priority)
            case RouterEffect.SEND_LEAVING:
                self._send(node, name, router, 0)
            case RouterEffect.TAKE:
                node.holds.add(name)
                self._note_conflict(node, name)
            case RouterEffect.RELEASE:
                node.holds.discard(name)
            case RouterEffect.ANNOUNCE | RouterEffect.REPORT_STRANGER:
                pass

    def _note_conflict(self, node: Node, name: str) -> None:
        others = (each for each in self.nodes if each is not node and name in each.holds)
        if any(self.hear(node, other, name) for other in others):
            self.conflicts_ns.append(self.now_ns)

    def hear(self, one: Node, other: Node, name: str) -> bool:
        """Whether two nodes are on one segment."""
        return (min(one.number, other.number), max(one.number, other.number), name) not in self.cut

    def _send(self, node: Node, name: str, router: Router, priority: int) -> None:
        for other in self.nodes:
            if other is node or not self.hear(node, other, name):
                continue
            copies = (self.random.random() >= self.loss) + (self.random.random() < self.duplicates)
            for _ in range(copies):
                arrival = self.now_ns + self.random.randrange(1, self.most_delay_ns)
                self.at(arrival, partial(self._arrive, other, name, router, priority))

    def _arrive(self, node: Node, name: str, router: Router, priority: int) -> None:
        event = RouterEvent(Trigger.ADVERT, self.now_ns, _address(router), priority, router.interval_cs)
        self._step(node, name, event)

    @property
    def holders(self) -> dict[str, list[int]]:
        """Numbers of the nodes that hold the addresses, by network."""
        return {name: [node.number for node in self.nodes if name in node.holds] for name in self.names}


def _address(router: Router) -> Address:
    return router.local
