"""From probes, orders, load and memory to what holds."""

import pytest

from kernelbal.model.event import Severity, Topic
from kernelbal.model.health import Health
from kernelbal.model.overlay import Admin, DesiredServer, Mode
from kernelbal.model.site import Site
from tests.unit.health.scene import A, B, C, Scene, key, site_of

QUORUM = "quorum: 2"
SORRY = "sorry_server: {address: 10.0.0.99}"
TOTAL = (A, B, C)


def test_when_all_is_well_everybody_serves_and_nothing_is_said() -> None:
    scene = Scene.started()
    assert scene.words() == ["serving"] * 3
    assert scene.weights() == [100] * 3
    assert scene.mode is Mode.SERVING
    assert scene.last.events == ()
    assert scene.last.next_at is None


def test_deciding_again_changes_nothing() -> None:
    scene = Scene.started()
    scene.down(B)
    first = scene.later(5)
    again = scene.later(5)
    assert again.overlay == first.overlay
    assert again.memory == first.memory
    assert again.events == ()


def test_a_site_without_virtual_services_needs_no_decision() -> None:
    scene = Scene(Site())
    assert scene.decide().overlay.servers == {}


# --- health ---


def test_one_that_goes_down_is_quiesced_and_keeps_its_connections() -> None:
    scene = Scene.started()
    scene.down(B)
    scene.later(1)
    assert scene.standing(B) == DesiredServer(0)
    assert scene.view(B).reason == "connection refused"
    (event,) = scene.last.events
    assert (event.topic, event.severity) == (Topic.SERVER_DOWN, Severity.WARNING)
    assert event.message == "real server 10.0.0.12 of `web` is down: connection refused"


@pytest.mark.parametrize("more", ["on_down: remove", "protocol: udp", "scheduler: dh"])
def test_one_that_goes_down_is_removed_at_once_where_quiescing_would_harm(more: str) -> None:
    scene = Scene.started(more)
    scene.down(B)
    scene.later(1)
    assert scene.standing(B) == DesiredServer(0, present=False, cut_at=0.0)


def test_one_that_comes_back_serves() -> None:
    scene = Scene.started()
    scene.down(B)
    scene.later(1)
    scene.up(B)
    scene.later(1)
    assert scene.words() == ["serving"] * 3
    assert scene.topics() == [Topic.SERVER_UP]


def test_one_that_was_never_checked_is_not_there() -> None:
    scene = Scene(site_of())
    scene.up(A, B)
    scene.decide(starting=True)
    assert scene.standing(C) == DesiredServer(0, present=False)
    assert scene.view(C).reason == "not checked yet"
    assert scene.view(C).health is Health.UNKNOWN


def test_one_whose_check_is_new_stays_as_it_was() -> None:
    scene = Scene.started()
    scene.states.clear()
    scene.up(A, C)
    scene.later(1)
    assert scene.words() == ["serving"] * 3
    assert scene.view(B).health is Health.UNKNOWN
    assert scene.last.events == ()


@pytest.mark.parametrize("more", ["", "all_down: withdraw\n    quorum: 3"])
def test_one_whose_check_is_new_stays_down_or_on_standby(more: str) -> None:
    scene = Scene.started(more)
    scene.down(B)
    before = scene.later(1)
    scene.states.clear()
    after = scene.later(1)
    assert after.overlay == before.overlay
    assert scene.later(1).overlay == before.overlay
    assert scene.view(B).reason == "not checked since its check changed; it was down before"


def test_without_a_check_it_is_up() -> None:
    scene = Scene(site_of(check="none: {}"))
    scene.decide(starting=True)
    assert scene.words() == ["serving"] * 3


def test_since_is_kept_while_the_state_lasts() -> None:
    scene = Scene.started()
    scene.down(B)
    scene.later(1)
    since_at = scene.view(B).since_at
    scene.later(100)
    assert scene.view(B).since_at == since_at == 1001.0
    assert scene.view(A).since_at == 1000.0


# --- quorum and modes ---


def test_below_quorum_the_sorry_server_answers_and_who_is_up_stands_by() -> None:
    scene = Scene.started(f"{QUORUM}\n    {SORRY}")
    scene.down(A, B)
    scene.later(1)
    assert scene.mode is Mode.SORRY
    assert scene.words() == ["down", "down", "standby"]
    assert scene.standing(C) == DesiredServer(0)
    assert scene.view(C).reason == "the sorry server is in use"
    assert Topic.SERVICE_QUORUM_LOST in scene.topics()


def test_quorum_comes_back_for_all_at_once() -> None:
    scene = Scene.started(f"{QUORUM}\n    {SORRY}\n    slow_start: 60s")
    scene.down(A, B)
    scene.later(100)
    scene.up(B)
    scene.later(100)
    assert scene.weights() == [0, 100, 100]
    assert scene.topics() == [Topic.SERVER_UP, Topic.SERVICE_QUORUM_GAINED]


@pytest.mark.parametrize(
    ("more", "mode"),
    [
        ("", Mode.REFUSING),
        ("all_down: refuse", Mode.REFUSING),
        (f"all_down: refuse\n    {SORRY}", Mode.REFUSING),
        (SORRY, Mode.SORRY),
        ("all_down: withdraw", Mode.WITHDRAWN),
        ("all_down: keep", Mode.KEPT),
    ],
)
def test_when_all_are_down(more: str, mode: Mode) -> None:
    scene = Scene.started(more)
    scene.down(*TOTAL)
    scene.later(1)
    assert scene.mode is mode
    assert scene.last.services["web"].usable == 0


def test_kept_real_servers_have_their_weight_although_they_are_down() -> None:
    scene = Scene.started("all_down: keep")
    scene.order(A, Admin.DISABLE)
    scene.down(*TOTAL)
    scene.later(1)
    assert scene.words() == ["disabled", "down", "down"]
    assert scene.weights() == [0, 100, 100]
    assert scene.view(B).weight_reason == "kept in service: too few real servers are usable"
    scene.up(B)
    scene.later(1)
    assert scene.mode is Mode.SERVING
    assert scene.weights() == [0, 100, 0]


def test_a_new_virtual_service_is_no_news_before_its_first_probes() -> None:
    scene = Scene(site_of())
    assert scene.decide().events == ()
    assert scene.mode is Mode.REFUSING
    scene.down(*TOTAL)
    scene.later(1)
    assert scene.topics().count(Topic.SERVICE_QUORUM_LOST) == 1


# --- orders ---


def test_a_drain_leaves_until_its_deadline() -> None:
    scene = Scene.started()
    scene.order(B, timeout_s=60)
    scene.later(0)
    assert scene.standing(B) == DesiredServer(0, present=False, cut_at=1060.0)
    assert scene.words() == ["serving", "draining", "serving"]
    assert scene.view(B).reason == "drained by root: new disk"
    assert scene.view(B).everywhere
    assert scene.topics() == [Topic.SERVER_DRAINING]
    assert scene.last.next_at == 1060.0
    scene.later(60)
    assert scene.words() == ["serving", "drained", "serving"]
    assert scene.topics() == [Topic.SERVER_DRAINED]
    assert scene.last.next_at is None


def test_a_deadline_moves_with_the_order_and_not_with_the_wall_clock() -> None:
    scene = Scene.started()
    scene.order(B, timeout_s=60)
    scene.decide()
    scene.wall += 3600
    scene.decide()
    assert scene.standing(B).cut_at == 1060.0
    scene.order(B, timeout_s=300)
    scene.later(10)
    assert scene.standing(B).cut_at == 1300.0


def test_a_drain_that_nobody_waits_for_is_over() -> None:
    scene = Scene.started()
    scene.order(B)
    scene.drained = frozenset({key(B)})
    scene.decide()
    assert scene.words()[1] == "draining", "it was only now told to drain"
    scene.later(1)
    assert scene.words()[1] == "drained"
    scene.drained = frozenset()
    scene.later(1)
    assert scene.words()[1] == "drained"


def test_a_drain_that_holds_stays_at_weight_0() -> None:
    scene = Scene.started()
    scene.order(B, hold=True)
    scene.later(0)
    assert scene.standing(B) == DesiredServer(0)
    scene.later(1000)
    assert scene.standing(B) == DesiredServer(0)
    assert scene.words()[1] == "draining"


def test_disabling_cuts_at_once() -> None:
    scene = Scene.started()
    scene.order(B, Admin.DISABLE)
    scene.later(1)
    assert scene.standing(B) == DesiredServer(0, present=False, cut_at=0.0)
    assert scene.topics() == [Topic.SERVER_DISABLED]
    scene.enable(B)
    scene.later(1)
    assert scene.words()[1] == "serving"
    assert scene.topics() == [Topic.SERVER_ENABLED]


def test_an_order_counts_more_than_health() -> None:
    scene = Scene.started()
    scene.order(B)
    scene.down(B)
    scene.later(1)
    assert scene.words()[1] == "draining"
    assert scene.view(B).health is Health.DOWN
    assert scene.standing(B).cut_at == 1060.0


def test_a_dead_one_that_drains_is_cut_where_quiescing_would_harm() -> None:
    scene = Scene.started("protocol: udp")
    scene.order(B)
    scene.down(B)
    scene.later(1)
    assert scene.standing(B) == DesiredServer(0, present=False, cut_at=0.0)


# --- restarts ---


def test_nothing_flaps_when_the_daemon_starts_again() -> None:
    scene = Scene.started("slow_start: 60s")
    scene.down(B)
    scene.later(10)
    scene.up(B)
    scene.order(C)
    scene.later(10)
    before = scene.later(20)
    again = scene.decide(starting=True)
    assert again.overlay == before.overlay
    assert again.events == ()


def test_paths_of_probes_are_passed_on() -> None:
    scene = Scene(site_of(forwarding="dsr"))
    assert scene.decide().overlay.paths == scene.plan.paths
    assert len(scene.plan.paths) == 3


def test_thousands_at_once_are_one_decision() -> None:
    servers = ", ".join(f"{{address: 10.{i >> 8}.{i & 255}.1}}" for i in range(2000))
    scene = Scene.started(servers=servers)
    scene.see(Health.DOWN, *scene.plan.checks, reason="timed out")
    scene.later(1)
    assert len(scene.last.events) == 2001
