"""Weights of a pool: slow start and load together."""

import pytest

from kernelbal.model.event import Topic
from kernelbal.model.health import AgentReading, AgentRequest, Health
from kernelbal.model.overlay import Admin, Mode, ServerState
from tests.unit.health.scene import A, B, C, Scene, site_of

SLOW = "slow_start: 60s"
AGENT = "adaptive: {http_agent: {port: 3333}, interval: 5s, timeout: 1s, smoothing: 10s, step: 5, minimum: 5}"
TIMES = "adaptive: {response_time: {}, smoothing: 10s, minimum: 5}"


def flapped(scene: Scene, server: str, away_s: float = 100.0) -> None:
    """Let a real server go down, and come back after a while."""
    scene.down(server)
    scene.later(away_s)
    scene.up(server)
    scene.later(away_s)


# --- slow start ---


def test_one_that_comes_back_starts_slowly() -> None:
    scene = Scene.started(SLOW)
    flapped(scene, B)
    assert scene.weights() == [100, 1, 100]
    assert scene.words() == ["serving", "ramping", "serving"]
    assert scene.view(B).weight_reason == "slow start, 0% done"
    assert scene.view(B).ramp_left_s == 60.0
    assert scene.topics() == [Topic.SERVER_UP, Topic.SERVER_RAMPING]
    assert scene.last.next_at == pytest.approx(scene.now + 1)
    assert [scene.later(15).overlay.servers[key].weight for key in [*scene.last.servers][1:2] * 4] == [
        25,
        50,
        75,
        100,
    ]
    assert scene.words() == ["serving"] * 3
    assert scene.view(B).ramp_left_s is None
    assert scene.last.next_at is None


@pytest.mark.parametrize("admin", [Admin.DRAIN, Admin.DISABLE])
def test_one_that_is_enabled_starts_slowly(admin: Admin) -> None:
    scene = Scene.started(SLOW)
    scene.later(100)
    scene.order(B, admin)
    scene.later(5)
    scene.enable(B)
    scene.later(5)
    assert scene.weights() == [100, 1, 100]
    assert scene.topics() == [Topic.SERVER_ENABLED, Topic.SERVER_RAMPING]


def test_who_serves_while_all_are_kept_goes_on_and_who_comes_back_starts_slowly() -> None:
    scene = Scene.started(SLOW + "\n    all_down: keep\n    quorum: 3")
    scene.later(100)
    scene.down(B)
    scene.later(5)
    assert scene.mode is Mode.KEPT
    assert scene.weights() == [100, 100, 100]
    assert [scene.view(each).weight_reason != "" for each in (A, B, C)] == [False, True, False]
    scene.up(B)
    scene.later(5)
    assert scene.weights() == [100, 1, 100]


def test_nobody_starts_slowly_when_the_daemon_starts() -> None:
    scene = Scene(site_of(SLOW))
    scene.up(A)
    scene.down(B)
    scene.decide(starting=True)
    assert scene.weights() == [100, 0, 0]
    scene.up(C)
    scene.later(3)
    assert scene.weights() == [100, 0, 100], "its first probe took a little longer"
    scene.up(B)
    scene.later(1)
    assert scene.weights() == [100, 1, 100], "it was found down"


def test_a_ramp_goes_on_over_a_restart_of_the_daemon() -> None:
    scene = Scene.started(SLOW)
    flapped(scene, B)
    scene.now += 30
    scene.decide(starting=True)
    assert scene.weights() == [100, 50, 100]


def test_the_first_into_an_empty_pool_has_its_full_weight_at_once() -> None:
    scene = Scene.started(SLOW)
    scene.down(A, B, C)
    scene.later(100)
    scene.up(B)
    scene.later(5)
    assert scene.weights() == [0, 100, 0]
    scene.up(A)
    scene.later(5)
    assert scene.weights() == [100, 100, 0], "it begins with the pool"
    scene.up(C)
    scene.later(30)
    assert scene.weights() == [100, 100, 1], "the others have all connections by now"


def test_one_that_is_enabled_when_a_pool_has_just_begun_starts_slowly() -> None:
    scene = Scene.started(SLOW)
    scene.order(C, Admin.DISABLE)
    scene.down(A, B)
    scene.later(100)
    scene.up(B)
    scene.later(5)
    scene.enable(C)
    scene.later(1)
    assert scene.weights() == [0, 100, 1]


def test_it_ends_early_when_the_others_are_gone() -> None:
    scene = Scene.started(SLOW)
    flapped(scene, B)
    scene.later(10)
    scene.down(A, C)
    scene.later(1)
    assert scene.weights() == [0, 100, 0]


def test_one_that_flaps_goes_on_where_it_was() -> None:
    scene = Scene.started(SLOW)
    flapped(scene, B)
    scene.later(30)
    assert scene.weights()[1] == 50
    scene.down(B)
    scene.later(1)
    scene.up(B)
    scene.later(6)
    assert scene.weights()[1] == pytest.approx(1 + 99 * 0.41, abs=1.7)


# --- load ---


def test_an_agent_sets_the_share_of_the_weight() -> None:
    scene = Scene(site_of(AGENT))
    scene.up(A, B, C)
    scene.say(A, AgentReading(0.5, text="50"))
    scene.say(B, AgentReading(1.0, text="0"))
    scene.decide(starting=True)
    assert scene.weights() == [50, 100, 100]
    assert scene.view(A).weight_reason == "50% by its agent"


def test_readings_are_smoothed_and_small_steps_are_not_written() -> None:
    scene = Scene(site_of(AGENT))
    scene.up(A, B, C)
    scene.say(A, AgentReading(1.0))
    scene.decide(starting=True)
    scene.say(A, AgentReading(0.97))
    scene.later(5)
    scene.later(5)
    assert scene.weights()[0] == 100
    scene.say(A, AgentReading(0.5))
    weights = [100]
    for _ in range(12):
        scene.say(A, AgentReading(0.5))
        scene.later(5)
        weights.append(scene.weights()[0])
    assert weights == sorted(weights, reverse=True)
    assert 60 < weights[1] < 80
    assert weights[-1] in range(50, 55)


def test_a_silent_agent_fades_to_the_configured_weight() -> None:
    scene = Scene(site_of(AGENT))
    scene.up(A, B, C)
    scene.say(A, AgentReading(0.2))
    scene.decide(starting=True)
    assert scene.weights()[0] == 20
    scene.later(14)
    assert scene.weights()[0] == 20
    scene.later(10)
    assert 20 < scene.weights()[0] < 100
    assert "its agent is silent" in scene.view(A).weight_reason
    for _ in range(10):
        scene.later(10)
    assert scene.weights()[0] == 100
    assert scene.view(A).weight_reason == ""


def test_an_agent_that_fails_says_nothing_any_more() -> None:
    scene = Scene(site_of(AGENT))
    scene.up(A, B, C)
    scene.say(A, AgentReading(request=AgentRequest.DRAIN, text="drain"))
    scene.decide(starting=True)
    assert scene.words()[0] == "quiesced"
    scene.say(A, AgentReading(request=AgentRequest.DRAIN, text="drain"), Health.DOWN)
    scene.later(1)
    assert scene.words()[0] == "serving"


@pytest.mark.parametrize(
    ("asked", "word", "topic"),
    [
        (AgentRequest.DRAIN, ServerState.QUIESCED, Topic.SERVER_DRAINING),
        (AgentRequest.MAINT, ServerState.DOWN, Topic.SERVER_DOWN),
        (AgentRequest.DOWN, ServerState.DOWN, Topic.SERVER_DOWN),
    ],
)
def test_an_agent_can_send_its_server_away(asked: AgentRequest, word: ServerState, topic: Topic) -> None:
    scene = Scene.started(AGENT)
    scene.say(B, AgentReading(request=asked, text=asked.value))
    scene.later(1)
    assert scene.words()[1] == word.value
    assert scene.weights()[1] == 0
    assert scene.view(B).reason == f"its agent says `{asked.value}`"
    assert scene.topics() == [topic]
    scene.say(B, AgentReading(request=AgentRequest.READY, text="ready"))
    scene.later(1)
    assert scene.weights() == [100] * 3


def test_an_agent_is_heard_while_its_server_is_not_checked_yet() -> None:
    scene = Scene.started(AGENT)
    scene.states.clear()
    scene.up(A, C)
    scene.say(B, AgentReading(request=AgentRequest.MAINT, text="maint"))
    first = scene.later(1)
    assert scene.view(B).reason == "its agent says `maint`"
    assert scene.decide().servers == first.servers


def test_an_agent_can_limit_connections() -> None:
    scene = Scene.started(AGENT)
    scene.say(B, AgentReading(max_connections=30, text="maxconn:30"))
    scene.later(1)
    assert scene.standing(B).upper_threshold == 30
    assert scene.standing(A).upper_threshold is None


def test_load_stays_within_bounds() -> None:
    scene = Scene(site_of(AGENT, f"{{address: {A}, weight: 60000}}, {{address: {B}, weight: 10}}"))
    scene.up(A, B)
    scene.say(A, AgentReading(2.56))
    scene.say(B, AgentReading(0.0))
    scene.decide(starting=True)
    assert scene.weights() == [65535, 1]


def test_a_slow_one_gets_less_by_its_response_time() -> None:
    scene = Scene(site_of(TIMES))
    for server, took_s in ((A, 0.010), (B, 0.020), (C, 0.005)):
        scene.see(Health.UP, server, took_s=took_s)
    scene.decide(starting=True)
    assert scene.weights() == [100, 50, 200]
    assert scene.view(B).weight_reason == "50% by response time"


def test_slow_start_climbs_to_what_the_load_allows() -> None:
    scene = Scene.started(f"{SLOW}\n    {AGENT}")
    flapped(scene, B)
    for _ in range(6):
        scene.say(B, AgentReading(0.5))
        scene.later(5)
    assert 20 < scene.weights()[1] < 40
    assert scene.view(B).weight_reason.startswith("slow start, 50% done, 5")
