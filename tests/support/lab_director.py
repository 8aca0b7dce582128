"""A director without its daemon: decisions and rounds as a test calls for them, on a real kernel."""

import time
from dataclasses import dataclass, field

import yaml

from kernelbal.health.decide import decide
from kernelbal.health.decision import Decision, Inputs, Memory
from kernelbal.health.probes import plan_probes
from kernelbal.kernel.linux import LinuxKernel
from kernelbal.lab.namespaces import NamespaceLab
from kernelbal.model.address import format_address, parse_address
from kernelbal.model.health import Health, ProbeState
from kernelbal.model.node import Node
from kernelbal.model.overlay import Admin, OperatorKey, Order
from kernelbal.model.site import Site
from kernelbal.plan.desire import desired_state
from kernelbal.plan.kind import DesiredState
from kernelbal.reconcile.round import Reconciler
from tests.support.fake_store import MemoryStore
from tests.support.lab_commands import NODE


def boot_clock() -> float:
    """Seconds on the boot clock."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


@dataclass
class Director:
    """Decides and reconciles whenever it is told to."""

    lab: NamespaceLab
    text: str
    states: dict[str, ProbeState] = field(default_factory=dict)
    orders: dict[OperatorKey, Order] = field(default_factory=dict)
    memory: Memory = field(default_factory=Memory)
    store: MemoryStore = field(default_factory=MemoryStore)

    def __post_init__(self) -> None:
        self.site = Site.model_validate(yaml.safe_load(self.text))
        self.node = Node.model_validate(yaml.safe_load(NODE[self.lab.topology.name]))
        self.plan = plan_probes(self.site)
        self.see(Health.UP, *{format_address(key.address) for key in self.plan.checks})
        self.decision = self.round(starting=True)

    def see(self, health: Health, *servers: str) -> None:
        """Let the checks of real servers end in one way."""
        addresses = {parse_address(server) for server in servers}
        for key, checks in self.plan.checks.items():
            if key.address in addresses:
                self.states.update(dict.fromkeys(checks, ProbeState(health, boot_clock(), "")))

    def order(self, server: str, admin: Admin, timeout_s: float = 0.0) -> None:
        """Order something everywhere, and see to it."""
        now = boot_clock()
        order = Order(admin, now, now + timeout_s, hold=False, by="root", reason="")
        self.orders[OperatorKey(parse_address(server))] = order
        self.round()

    def round(self, starting: bool = False) -> Decision:
        """Decide, and make the kernel so."""
        now = boot_clock()
        inputs = Inputs(
            self.site, self.node, self.plan, now, now, self.states, self.orders, self.memory, starting
        )
        self.decision = decide(inputs)
        self.memory = self.decision.memory
        self._reconcile(desired_state(self.site, self.node, self.decision.overlay))
        return self.decision

    def _reconcile(self, wanted: DesiredState) -> None:
        with self.lab.director.inside(), LinuxKernel() as kernel:
            reconciler = Reconciler(kernel, self.store, boot_clock)
            report = reconciler.perform(reconciler.prepare(wanted))
            assert report.converged, (report.failed, report.remaining)

    # --- the kernel's own figures ---

    def weights(self) -> dict[str, int]:
        """Weight by real server, as the kernel has them."""
        with self.lab.director.inside(), LinuxKernel() as kernel:
            tables = kernel.read_services().values()
        return {
            format_address(name.address): attributes.weight
            for table in tables
            for name, attributes in table.destinations.items()
        }
