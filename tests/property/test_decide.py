"""What every decision keeps to, whatever happens."""

from dataclasses import dataclass, field, replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from kernelbal.health.decide import decide
from kernelbal.health.decision import Decision, Inputs, Memory
from kernelbal.health.orders import concerns
from kernelbal.health.probes import plan_probes
from kernelbal.model.address import parse_address
from kernelbal.model.health import AgentReading, AgentRequest, Health, ProbeState
from kernelbal.model.node import Node
from kernelbal.model.overlay import Admin, Mode, OperatorKey, Order, ServerState
from kernelbal.model.site import Site
from kernelbal.plan.desire import desired_state
from kernelbal.plan.kinds.services import SERVICES as IPVS_SERVICES

OFTEN = settings(max_examples=150, deadline=None)
ADDRESSES = ("10.0.0.11", "10.0.0.12", "10.0.0.13", "10.0.0.14")
NODE = Node(name="lb1", interfaces={"outside": "eth0"})

ADAPTIVE: tuple[dict[str, Any] | None, ...] = (
    None,
    {"text_agent": {"port": 3333}, "smoothing": 5.0},
    {"response_time": {}, "smoothing": 0.0},
)


def _service(name: str, **more: object) -> dict[str, Any]:
    own = {key: value for key, value in more.items() if value is not None}
    fixed = {"name": name, "address": f"192.0.2.{10 + len(name)}", "ports": 80, "forwarding": "nat"}
    return {**fixed, "check": {"tcp": {}, "interval": 5.0, "timeout": 1.0}, **own}


SERVICES = st.builds(
    _service,
    st.sampled_from(["web", "mail"]),
    real_servers=st.lists(st.sampled_from(ADDRESSES), min_size=1, unique=True).flatmap(
        lambda found: st.tuples(
            *(
                st.fixed_dictionaries({"address": st.just(each), "weight": st.sampled_from([0, 1, 2, 100])})
                for each in found
            )
        )
    ),
    quorum=st.integers(1, 3),
    hysteresis=st.integers(0, 2),
    all_down=st.sampled_from([None, "refuse", "keep", "withdraw"]),
    on_down=st.sampled_from([None, "quiesce", "remove"]),
    slow_start=st.sampled_from([0.0, 1.0, 7.0, 60.0]),
    adaptive=st.sampled_from(ADAPTIVE),
    sorry_server=st.sampled_from([None, {"address": "10.0.0.99"}]),
    scheduler=st.sampled_from(["wlc", "sh", "dh"]),
)
SITES = st.lists(SERVICES, min_size=1, max_size=2, unique_by=lambda each: each["name"]).map(
    lambda found: Site.model_validate({"virtual_services": found})
)

READINGS = st.one_of(
    st.none(),
    st.builds(
        AgentReading,
        st.one_of(st.none(), st.floats(0.0, 2.56)),
        st.one_of(st.none(), st.sampled_from(AgentRequest)),
        st.one_of(st.none(), st.integers(0, 1000)),
        st.just("words"),
    ),
)


@dataclass(frozen=True)
class Happening:
    """One moment: how much later it is, and what is known then."""

    after_s: float
    health: tuple[Health, ...]
    took_s: tuple[float, ...]
    readings: tuple[AgentReading | None, ...]
    ordered: tuple[str, ...]
    admin: Admin
    hold: bool
    timeout_s: float


HAPPENINGS = st.lists(
    st.builds(
        Happening,
        st.sampled_from([0.0, 0.5, 1.0, 3.0, 20.0, 100.0]),
        st.tuples(*[st.sampled_from(Health)] * 4),
        st.tuples(*[st.floats(0.0, 2.0)] * 4),
        st.tuples(*[READINGS] * 4),
        st.lists(st.sampled_from(ADDRESSES), max_size=2, unique=True).map(tuple),
        st.sampled_from(Admin),
        st.booleans(),
        st.sampled_from([0.0, 10.0, 600.0]),
    ),
    min_size=1,
    max_size=6,
)


@dataclass
class World:
    """Lives through what happens."""

    site: Site
    now: float = 5000.0
    memory: Memory = field(default_factory=Memory)

    def __post_init__(self) -> None:
        self.plan = plan_probes(self.site)
        self.inputs = self.inputs_now(1e9)

    def inputs_now(self, wall: float, **more: Any) -> Inputs:  # noqa: ANN401 - fields of Inputs
        return Inputs(self.site, NODE, self.plan, self.now, wall, **more)

    def meet(self, happening: Happening, starting: bool = False) -> Decision:
        self.now += happening.after_s
        states: dict[str, ProbeState] = {}
        for position, address in enumerate(ADDRESSES):
            state = ProbeState(
                happening.health[position], self.now, "so", self.now, happening.took_s[position]
            )
            packed = parse_address(address)
            for server, checks in self.plan.checks.items():
                if server.address == packed:
                    states.update(dict.fromkeys(checks, state))
                    if server in self.plan.agents:
                        told = state._replace(health=Health.UP, reading=happening.readings[position])
                        states[self.plan.agents[server]] = told
        wall = 1e9 + self.now
        order = Order(happening.admin, wall, wall + happening.timeout_s, happening.hold, "root", "")
        orders = {OperatorKey(parse_address(address)): order for address in happening.ordered}
        self.inputs = self.inputs_now(wall, states=states, orders=orders, starting=starting)
        return self.again()

    def again(self) -> Decision:
        decision = decide(replace(self.inputs, memory=self.memory))
        self.memory = decision.memory
        return decision


@OFTEN
@given(SITES, HAPPENINGS)
def test_no_order_is_ever_ignored(site: Site, happenings: list[Happening]) -> None:
    world = World(site)
    for happening in happenings:
        decision = world.meet(happening)
        for server, standing in decision.overlay.servers.items():
            if any(concerns(ordered, server) for ordered in world.inputs.orders):
                assert standing.weight == 0
                assert happening.admin is Admin.DRAIN or not standing.present


@OFTEN
@given(SITES, HAPPENINGS)
def test_weights_stay_within_bounds(site: Site, happenings: list[Happening]) -> None:
    world = World(site)
    adaptive = {service.name: service.adaptive is not None for service in site.virtual_services}
    configured = {
        (service.name, server.address): server.weight
        for service in site.virtual_services
        for server in service.real_servers
    }
    for happening in happenings:
        for key, standing in world.meet(happening).overlay.servers.items():
            weight = configured[key.service, key.address]
            most = min(65535, round(weight * 2.56)) if adaptive[key.service] else weight
            assert 0 <= standing.weight <= max(most, min(weight, 1))


@OFTEN
@given(SITES, HAPPENINGS)
def test_deciding_again_changes_nothing_and_says_nothing(site: Site, happenings: list[Happening]) -> None:
    world = World(site)
    for happening in happenings:
        first = world.meet(happening)
        again = world.again()
        assert again.overlay == first.overlay
        assert again.servers == first.servers
        assert again.events == ()
        assert again.next_at == first.next_at


@OFTEN
@given(SITES, HAPPENINGS)
def test_a_restart_changes_nothing(site: Site, happenings: list[Happening]) -> None:
    """What is remembered is all that is needed: a start over the same inputs holds the same."""
    world = World(site)
    for happening in happenings:
        before = world.meet(happening)
    restarted = World(site, world.now, world.memory)
    restarted.inputs = replace(world.inputs, starting=True)
    after = restarted.again()
    assert after.overlay == before.overlay


@OFTEN
@given(SITES, HAPPENINGS)
def test_a_pool_with_anybody_usable_is_never_empty(site: Site, happenings: list[Happening]) -> None:
    world = World(site)
    for happening in happenings:
        decision = world.meet(happening)
        for name, view in decision.services.items():
            mine = [s for key, s in decision.overlay.servers.items() if key.service == name]
            if view.mode is Mode.SERVING:
                assert view.usable > 0
                assert any(standing.weight > 0 for standing in mine)
            if view.usable == 0:
                assert view.mode is not Mode.SERVING


@OFTEN
@given(SITES, HAPPENINGS)
def test_a_pool_is_never_only_starting_slowly(site: Site, happenings: list[Happening]) -> None:
    world = World(site)
    for happening in happenings:
        decision = world.meet(happening)
        for name in decision.services:
            words = {view.state for key, view in decision.servers.items() if key.service == name}
            assert ServerState.RAMPING not in words or ServerState.SERVING in words


def without_load(site: Site) -> Site:
    """The same site, whose weights do not follow load."""
    services = [service.model_copy(update={"adaptive": None}) for service in site.virtual_services]
    return site.model_copy(update={"virtual_services": tuple(services)})


@OFTEN
@given(SITES.map(without_load), HAPPENINGS)
def test_slow_start_only_climbs_and_ends_in_time(site: Site, happenings: list[Happening]) -> None:
    world = World(site)
    for happening in happenings:
        decision = world.meet(happening)
    began_at, orders = world.now, world.inputs.orders
    while decision.next_at is not None and any(
        v.state == ServerState.RAMPING for v in decision.servers.values()
    ):
        before = decision.overlay.servers
        assert decision.next_at > world.now
        world.now = decision.next_at
        world.inputs = world.inputs_now(1e9 + world.now, states=world.inputs.states, orders=orders)
        decision = world.again()
        for key, standing in decision.overlay.servers.items():
            assert standing.weight >= before[key].weight
    longest_s = max(service.slow_start for service in site.virtual_services)
    assert all(view.state != ServerState.RAMPING for view in decision.servers.values())
    assert world.now - began_at <= longest_s + 2.0


@OFTEN
@given(SITES, HAPPENINGS)
def test_every_decision_can_be_desired(site: Site, happenings: list[Happening]) -> None:
    world = World(site)
    for happening in happenings:
        decision = world.meet(happening)
        desired = desired_state(site, NODE, decision.overlay).of(IPVS_SERVICES)
        for service in site.virtual_services:
            (server,) = (desired.table[k] for k, p in desired.policies.items() if p.name == service.name)
            weights = [each.weight for each in server.destinations.values()]
            closed = decision.services[service.name].mode in (Mode.REFUSING, Mode.WITHDRAWN)
            assert any(weights) is not closed
