"""What is said of one real server before its pool is looked at."""

import pytest

from kernelbal.health.decision import Memory, ServerMemory
from kernelbal.health.evaluation import NEWCOMER, ServerEvaluation, ServerEvaluator
from kernelbal.health.orders import OrderIndex
from kernelbal.health.probes import plan_probes
from kernelbal.model.health import AgentReading, AgentRequest, Health, ProbePlan, ProbeState
from kernelbal.model.overlay import ServerState
from kernelbal.model.site import Site
from tests.unit.health.scene import A, inputs_of, key, site_of

ONE = f"{{address: {A}}}"


def evaluation(
    site: Site, states: dict[str, ProbeState] | None = None, before: ServerMemory | None = None
) -> ServerEvaluation:
    """What is said of the first real server."""
    memory = Memory({} if before is None else {key(A): before})
    evaluator = ServerEvaluator(inputs_of(site, states=states or {}, memory=memory), OrderIndex({}))
    service = site.virtual_services[0]
    return evaluator.evaluate(service, service.real_servers[0], key(A))


def probes(site: Site) -> tuple[str, ...]:
    return plan_probes(site).checks[key(A)]


@pytest.mark.parametrize(
    ("found", "word"),
    [
        ((Health.UP, Health.UP), ServerState.SERVING),
        ((Health.UP, Health.UNKNOWN), ServerState.UNKNOWN),
        ((Health.UNKNOWN, Health.DOWN), ServerState.DOWN),
        ((Health.DOWN, Health.UP), ServerState.DOWN),
    ],
)
def test_all_its_checks_must_be_up(found: tuple[Health, Health], word: str) -> None:
    site = site_of(servers=ONE)
    service = site.virtual_services[0]
    plan = ProbePlan(checks={key(A): ("one", "two")})
    states = {name: ProbeState(health, 1.0) for name, health in zip(("one", "two"), found, strict=True)}
    evaluator = ServerEvaluator(inputs_of(site, probes=plan, states=states), OrderIndex({}))
    assert evaluator.evaluate(service, service.real_servers[0], key(A)).state == word


def test_nothing_known_and_nothing_remembered() -> None:
    said = evaluation(site_of(servers=ONE))
    assert (said.state, said.health, said.before) == (ServerState.UNKNOWN, Health.UNKNOWN, NEWCOMER)
    assert not said.usable


def test_weight_0_in_the_site_file_is_quiesced() -> None:
    site = site_of(servers=f"{{address: {A}, weight: 0}}")
    said = evaluation(site, {probe: ProbeState(Health.UP) for probe in probes(site)})
    assert (said.state, said.reason) == (ServerState.QUIESCED, "its weight is 0 in the site file")
    assert not said.candidate


GONE = "script gone"
SAID = f"cannot be checked: {GONE}"


@pytest.mark.parametrize(
    ("policy", "last", "before", "state", "reason"),
    [
        ("keep", Health.UNKNOWN, ServerState.UNKNOWN, ServerState.UNKNOWN, SAID),
        ("keep", Health.UP, ServerState.SERVING, ServerState.SERVING, f"{SAID}; it was up before"),
        ("keep", Health.DOWN, ServerState.DOWN, ServerState.DOWN, f"{SAID}; it was down before"),
        ("keep", Health.UNKNOWN, ServerState.SERVING, ServerState.SERVING, f"{SAID}; it was up before"),
        ("keep", Health.UNKNOWN, ServerState.DOWN, ServerState.DOWN, f"{SAID}; it was down before"),
        ("down", Health.UNKNOWN, ServerState.UNKNOWN, ServerState.DOWN, SAID),
        ("down", Health.UP, ServerState.SERVING, ServerState.DOWN, SAID),
        ("down", Health.DOWN, ServerState.DOWN, ServerState.DOWN, SAID),
    ],
)
def test_a_check_that_cannot_be_run(
    policy: str, last: Health, before: ServerState, state: ServerState, reason: str
) -> None:
    site = site_of(servers=ONE, check=f"tcp: {{}}, unable: {policy}")
    states = {probe: ProbeState(last, reason="timeout", unable=GONE) for probe in probes(site)}
    said = evaluation(site, states, ServerMemory(before))
    assert (said.state, said.reason) == (state, reason)
    assert (said.health, said.warning) == (Health.UNKNOWN, SAID)


def test_a_check_that_fails_counts_more_than_one_that_cannot_be_run() -> None:
    site = site_of(servers=ONE)
    plan = ProbePlan(probes=plan_probes(site).probes, checks={key(A): ("one", "two")})
    states = {"one": ProbeState(Health.UP, unable=GONE), "two": ProbeState(Health.DOWN, reason="refused")}
    evaluator = ServerEvaluator(inputs_of(site, probes=plan, states=states), OrderIndex({}))
    said = evaluator.evaluate(site.virtual_services[0], site.virtual_services[0].real_servers[0], key(A))
    assert (said.state, said.health, said.reason) == (ServerState.DOWN, Health.DOWN, "refused")
    assert said.warning == SAID


def test_an_agent_that_cannot_be_asked_is_a_warning() -> None:
    site = site_of("adaptive: {text_agent: {port: 3333}}", ONE)
    states = {probe: ProbeState(Health.UP) for probe in probes(site)}
    states[plan_probes(site).agents[key(A)]] = ProbeState(unable="no such source")
    said = evaluation(site, states)
    assert (said.state, said.warning) == (ServerState.SERVING, "its agent cannot be asked: no such source")


def test_a_warning_is_passed_on() -> None:
    site = site_of(servers=ONE)
    states = {probe: ProbeState(Health.UP, warning="certificate expires soon") for probe in probes(site)}
    assert evaluation(site, states).warning == "certificate expires soon"


def test_a_path_that_fails_is_explained() -> None:
    site = site_of(servers=ONE, forwarding="dsr")
    plan = plan_probes(site)
    (through,) = plan.checks[key(A)]
    states = {
        through: ProbeState(Health.DOWN, reason="connection refused"),
        plan.causes[through]: ProbeState(Health.UP),
    }
    said = evaluation(site, states)
    assert said.state == ServerState.DOWN
    assert said.reason.startswith("connection refused")
    assert "virtual address" in said.reason


def test_maintenance_is_no_candidate_for_being_kept() -> None:
    site = site_of("adaptive: {text_agent: {port: 3333}}", ONE)
    agent = plan_probes(site).agents[key(A)]
    reading = AgentReading(request=AgentRequest.MAINT, text="maint")
    states = {probe: ProbeState(Health.UP) for probe in probes(site)}
    states[agent] = ProbeState(Health.UP, last_at=10.0, reading=reading)
    said = evaluation(site, states)
    assert (said.state, said.candidate) == (ServerState.DOWN, False)
    states[agent] = states[agent]._replace(reading=reading._replace(request=AgentRequest.DOWN))
    assert evaluation(site, states).candidate
