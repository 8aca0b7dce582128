"""What is said about a decision, and what is not."""

import pytest

from kernelbal.health.changes import mode_event
from kernelbal.model.event import Severity, Topic
from kernelbal.model.health import Health, ProbeState
from kernelbal.model.overlay import Mode
from tests.unit.health.scene import A, B, Scene, key, site_of

NAMED = f"{{address: {A}, port: 8080, name: blue}}, {{address: {B}}}"


def test_an_event_names_the_real_server_and_the_reason() -> None:
    scene = Scene.started(servers=NAMED)
    scene.see(Health.DOWN, key(A, 8080), reason="timed out")
    (event,) = scene.later(1).events
    assert event.message == "real server blue (10.0.0.11:8080) of `web` is down: timed out"
    assert (event.service, event.server) == ("web", A)
    assert event.fields == (("port", "8080"), ("name", "blue"), ("reason", "timed out"))


def test_who_is_found_up_at_the_start_is_no_news_but_who_is_down_is() -> None:
    scene = Scene(site_of())
    scene.up(A)
    scene.down(B)
    scene.decide(starting=True)
    assert [(event.topic, event.server) for event in scene.last.events] == [(Topic.SERVER_DOWN, B)]


def test_who_is_up_for_the_first_time_later_is_news() -> None:
    scene = Scene(site_of())
    scene.up(A)
    scene.decide(starting=True)
    scene.up(B)
    assert [event.message for event in scene.later(1).events] == ["real server 10.0.0.12 of `web` is up"]


def test_a_weight_of_0_in_the_site_file_is_no_news() -> None:
    scene = Scene.started(servers=f"{{address: {A}}}, {{address: {B}, weight: 0}}")
    assert scene.last.events == ()
    assert scene.words() == ["serving", "quiesced"]


def test_a_warning_is_said_once() -> None:
    scene = Scene.started()
    (check,) = scene.plan.checks[key(A)]
    scene.states[check] = ProbeState(Health.UP, 1.0, warning="its certificate expires in 3 days")
    (event,) = scene.later(1).events
    assert (event.topic, event.severity) == (Topic.SERVER_WARNING, Severity.WARNING)
    assert event.message == "real server 10.0.0.11 of `web`: its certificate expires in 3 days"
    assert scene.later(1).events == ()


def test_of_warnings_that_change_each_time_one_a_minute_is_said() -> None:
    """An agent chooses its words, and a server its certificates."""
    scene = Scene.started()
    (check,) = scene.plan.checks[key(A)]
    said = []
    for number in range(120):
        warning = f"agent sent {number}" if number % 3 else ""
        scene.states[check] = ProbeState(Health.UP, 1.0, warning=warning)
        said += [event.message.rpartition(" ")[2] for event in scene.later(1).events]
    assert said == ["1", "61"]


@pytest.mark.parametrize(
    ("mode", "text"),
    [
        (Mode.SERVING, "serves again"),
        (Mode.SORRY, "uses its sorry server"),
        (Mode.REFUSING, "refuses clients"),
        (Mode.KEPT, "keeps all its real servers in service"),
        (Mode.WITHDRAWN, "withdraws its address"),
    ],
)
def test_each_mode_has_its_text(mode: Mode, text: str) -> None:
    event = mode_event(site_of("quorum: 2").virtual_services[0], mode, 1)
    assert event.message == f"virtual service `web` {text}: 1 of 3 real servers usable, quorum 2"
    gained = mode is Mode.SERVING
    assert event.topic is (Topic.SERVICE_QUORUM_GAINED if gained else Topic.SERVICE_QUORUM_LOST)
