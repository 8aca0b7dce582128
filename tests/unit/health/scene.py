"""A virtual service whose checks, agents, operators and clock obey a test."""

from dataclasses import dataclass, field
from typing import Any

import yaml

from kernelbal.health.decide import decide
from kernelbal.health.decision import Decision, Inputs, Memory, ServerView
from kernelbal.health.probes import plan_probes
from kernelbal.model.address import parse_address
from kernelbal.model.event import Topic
from kernelbal.model.health import AgentReading, Health, ProbeState
from kernelbal.model.node import Node
from kernelbal.model.overlay import Admin, DesiredServer, Mode, OperatorKey, Order
from kernelbal.model.site import Site
from kernelbal.model.site.services import ServerKey

A, B, C = "10.0.0.11", "10.0.0.12", "10.0.0.13"

SERVICE = """
virtual_services:
  - name: web
    address: 192.0.2.10
    ports: 80
    forwarding: {forwarding}
    check: {{{check}, interval: 5s, timeout: 2s}}
    {more}
    real_servers: [{servers}]
"""
THREE = ", ".join(f"{{address: {address}}}" for address in (A, B, C))


def site_of(more: str = "", servers: str = THREE, forwarding: str = "nat", check: str = "tcp: {}") -> Site:
    """Return a site of one virtual service."""
    text = SERVICE.format(more=more, servers=servers, forwarding=forwarding, check=check)
    return Site.model_validate(yaml.safe_load(text))


def inputs_of(site: Site, now: float = 10.0, wall: float = 10.0, **more: Any) -> Inputs:  # noqa: ANN401 - fields of Inputs
    """Return the inputs of a decision about a site, which knows nothing but what is named."""
    node = Node(name="lb1", interfaces={"outside": "eth0", "inside": "eth1"})
    return Inputs(site, node, more.pop("probes", None) or plan_probes(site), now, wall, **more)


def key(address: str, port: int = 0, service: str = "web") -> ServerKey:
    """Return the key of a real server."""
    return ServerKey(service, parse_address(address), port)


@dataclass
class Scene:
    """What the director would know, and the last thing that was decided."""

    site: Site
    now: float = 1000.0
    wall: float = 1_700_000_000.0
    states: dict[str, ProbeState] = field(default_factory=dict)
    orders: dict[OperatorKey, Order] = field(default_factory=dict)
    drained: frozenset[ServerKey] = frozenset()
    memory: Memory = field(default_factory=Memory)

    def __post_init__(self) -> None:
        self.plan = plan_probes(self.site)

    @classmethod
    def started(cls, more: str = "", servers: str = THREE) -> "Scene":
        """Return a daemon that has just started and found every real server up."""
        scene = cls(site_of(more, servers))
        scene.see(Health.UP, *(scene.plan.checks))
        scene.decide(starting=True)
        return scene

    def see(self, health: Health, *servers: ServerKey | str, reason: str = "", took_s: float = 0.01) -> None:
        """Let the checks of real servers end in one way."""
        for server in servers:
            for check in self.plan.checks[key(server) if isinstance(server, str) else server]:
                self.states[check] = ProbeState(health, self.now, reason, self.now, took_s)

    def up(self, *servers: str) -> None:
        """Let real servers be up."""
        self.see(Health.UP, *servers)

    def down(self, *servers: str) -> None:
        """Let real servers be down."""
        self.see(Health.DOWN, *servers, reason="connection refused")

    def say(self, server: str, reading: AgentReading | None, health: Health = Health.UP) -> None:
        """Let the agent of a real server answer."""
        agent = self.plan.agents[key(server)]
        self.states[agent] = ProbeState(health, self.now, "", self.now, 0.01, reading=reading)

    def order(
        self, server: str, admin: Admin = Admin.DRAIN, timeout_s: float = 60.0, hold: bool = False
    ) -> None:
        """Let an operator order something everywhere."""
        where = OperatorKey(parse_address(server))
        deadline = self.wall + timeout_s
        self.orders[where] = Order(admin, self.wall, deadline, hold, "root", "new disk")

    def enable(self, server: str) -> None:
        """Let an operator take all orders back."""
        del self.orders[OperatorKey(parse_address(server))]

    def later(self, seconds: float) -> Decision:
        """Let time pass, and decide."""
        self.now += seconds
        self.wall += seconds
        return self.decide()

    def decide(self, starting: bool = False) -> Decision:
        """Decide, and remember."""
        self.last = decide(
            inputs_of(
                self.site,
                self.now,
                self.wall,
                probes=self.plan,
                states=self.states,
                orders=self.orders,
                memory=self.memory,
                starting=starting,
                drained=self.drained,
            )
        )
        self.memory = self.last.memory
        return self.last

    # --- what was decided ---

    def standing(self, server: str) -> DesiredServer:
        """What the kernel is to hold."""
        return self.last.overlay.servers[key(server)]

    def view(self, server: str) -> ServerView:
        """What the status shows."""
        return self.last.servers[key(server)]

    def words(self) -> list[str]:
        """The state of each real server."""
        return [view.state.value for view in self.last.servers.values()]

    def weights(self) -> list[int]:
        """The weight of each real server."""
        return [standing.weight for standing in self.last.overlay.servers.values()]

    @property
    def mode(self) -> Mode:
        """What the virtual service does."""
        return self.last.overlay.services["web"]

    def topics(self) -> list[Topic]:
        """What was said."""
        return [event.topic for event in self.last.events]
