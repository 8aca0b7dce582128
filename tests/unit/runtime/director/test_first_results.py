"""Nothing flaps at the start and after a reload."""

import pytest

from kernelbal.health.probes import plan_probes
from kernelbal.model.address import parse_address
from kernelbal.model.health import Health, ProbePlan, ProbeState
from kernelbal.model.site.services import ServerKey
from kernelbal.runtime.director.first_results import PATIENCE_S, combined, inherit, longest_wait_s, unanswered
from tests.support.builders import site

SITE = """
virtual_services:
  - name: web
    address: 192.0.2.10
    ports: [80]
    forwarding: nat
    check: {tcp: {}, interval: 5s, timeout: 2s}
    real_servers: [{address: 10.0.0.11}, {address: 10.0.0.12}]
"""
A = ServerKey("web", parse_address("10.0.0.11"))
B = ServerKey("web", parse_address("10.0.0.12"))
UP, DOWN = ProbeState(Health.UP, 1.0), ProbeState(Health.DOWN, 2.0, "refused")


def plan(text: str = SITE) -> ProbePlan:
    return plan_probes(site(text))


def states(of: ProbePlan, a: ProbeState, b: ProbeState) -> dict[str, ProbeState]:
    return {of.checks[A][0]: a, of.checks[B][0]: b}


def test_first_round_waits_for_every_probe_and_a_state_from_before_counts() -> None:
    old = plan()
    assert unanswered(old.probes, {}) == 2
    assert unanswered(old.probes, states(old, UP, ProbeState())) == 1
    assert unanswered(old.probes, states(old, UP, DOWN)) == 0
    unable = ProbeState(unable="no such file")
    assert unanswered(old.probes, states(old, UP, unable)) == 0, "it will not get better by waiting"


def test_it_waits_for_the_longest_timeout_and_a_moment() -> None:
    assert longest_wait_s(plan().probes.values()) == pytest.approx(2 + PATIENCE_S, abs=0.01)
    assert longest_wait_s([]) == 0


def test_with_many_probes_it_waits_for_those_that_begin_last() -> None:
    (probe, _) = plan().probes.values()
    assert longest_wait_s([probe] * 3000) == 3.0 + 2.0 + PATIENCE_S
    assert longest_wait_s([probe] * 50_000) == 5.0 + 2.0 + PATIENCE_S, "its interval at most"


def test_a_probe_that_stays_keeps_its_state() -> None:
    old = plan()
    held = states(old, UP, DOWN)
    assert inherit(old, old, held, {A, B}, 9.0) == held


def test_a_changed_check_starts_where_its_real_server_stands() -> None:
    old, new = plan(), plan(SITE.replace("interval: 5s", "interval: 7s"))
    assert not old.probes.keys() & new.probes.keys()
    kept = inherit(old, new, states(old, UP, DOWN), {A, B}, 9.0)
    assert kept == states(new, ProbeState(Health.UP, 9.0), ProbeState(Health.DOWN, 9.0, "refused"))


def test_a_new_real_server_and_an_unknown_one_have_to_prove_themselves() -> None:
    old, new = plan(), plan(SITE.replace("5s", "7s"))
    assert inherit(old, new, states(old, UP, UP), {A}, 9.0).keys() == {new.checks[A][0]}
    assert inherit(old, new, states(old, ProbeState(), UP), {A, B}, 9.0).keys() == {new.checks[B][0]}


def test_a_real_server_that_was_not_checked_was_in_service() -> None:
    old = plan(SITE.replace("{tcp: {}, interval: 5s, timeout: 2s}", "none"))
    kept = inherit(old, plan(), {}, {A, B}, 9.0)
    assert {state.health for state in kept.values()} == {Health.UP}
    assert len(kept) == 2


def test_the_worst_of_several_checks_counts() -> None:
    held = {"a": UP, "b": DOWN, "c": ProbeState()}
    assert combined("abc", held) == DOWN
    assert combined("ac", held).health is Health.UNKNOWN
    assert combined("a", held).health is Health.UP
    assert combined((), held).health is Health.UP
