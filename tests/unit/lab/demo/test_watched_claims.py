"""The judge of the daemon's part: what holds is ok, and each thing that does not is a FAIL."""

from collections import Counter

import pytest

from kernelbal.lab.demo import watched_claims as claims
from kernelbal.lab.demo.events import Claim

ALL = {"rs1": 100, "rs2": 100, "rs3": 100}
DOWN = "real_server.down service=web server=10.0.0.12"
REVERTED = "drift.reverted service=web"
STARTED = "director.started pid=1"

GOOD = [
    claims.came_up(3.0, ALL),
    claims.failure_noticed("rs2", 0.9, DOWN),
    claims.others_answer("rs2", Counter(rs1=30, rs3=30), 60),
    claims.weight_climbed("rs2", [1, 17, 50, 83, 100], 100),
    claims.drained("rs1", Counter(rs2=30, rs3=30), 60, alive=3, held=3),
    claims.left("rs1", 1.0),
    claims.reverted("the service", 0.3, REVERTED),
    claims.broken_config_refused(78, ALL, ALL),
    claims.crash_survived(10, 10, Counter(rs1=20, rs2=20, rs3=20), 60),
    claims.nothing_flapped(ALL, ALL, [STARTED]),
    claims.stopped(0, ALL),
]

BAD = [
    claims.came_up(3.0, {}),
    claims.came_up(3.0, {**ALL, "rs3": 0}),
    claims.failure_noticed("rs2", 9.0, DOWN),
    claims.failure_noticed("rs2", 0.9, ""),
    claims.others_answer("rs2", Counter(rs1=30, rs3=29, timeout=1), 60),
    claims.others_answer("rs2", Counter(rs1=30, rs2=30), 60),
    claims.weight_climbed("rs2", [100], 100),
    claims.weight_climbed("rs2", [1, 50, 20, 80, 100], 100),
    claims.weight_climbed("rs2", [1, 20, 50, 80], 100),
    claims.weight_climbed("rs2", [], 100),
    claims.drained("rs1", Counter(rs1=1, rs2=30, rs3=29), 60, alive=3, held=3),
    claims.drained("rs1", Counter(rs2=30, rs3=30), 60, alive=2, held=3),
    claims.drained("rs1", Counter(rs2=30, rs3=30), 60, alive=0, held=0),
    claims.drained("rs1", Counter(rs2=30, timeout=30), 60, alive=3, held=3),
    claims.left("rs1", 20.0),
    claims.reverted("the service", 1.5, REVERTED),
    claims.reverted("the service", 0.3, ""),
    claims.broken_config_refused(0, ALL, ALL),
    claims.broken_config_refused(78, ALL, {}),
    claims.crash_survived(9, 10, Counter(rs1=60), 60),
    claims.crash_survived(10, 10, Counter({"rs1": 59, "connection refused": 1}), 60),
    claims.crash_survived(0, 0, Counter(rs1=60), 60),
    claims.nothing_flapped(ALL, {**ALL, "rs1": 1}, [STARTED]),
    claims.nothing_flapped(ALL, ALL, [STARTED, f"12:00 {DOWN}"]),
    claims.nothing_flapped(ALL, ALL, []),
    claims.stopped(1, ALL),
    claims.stopped(0, {}),
    claims.stopped(0, {**ALL, "rs1": 0}),
]


@pytest.mark.parametrize("claim", GOOD, ids=lambda claim: claim.text)
def test_what_holds_is_ok(claim: Claim) -> None:
    assert claim.ok, claim.seen


@pytest.mark.parametrize("claim", BAD, ids=lambda claim: claim.text)
def test_what_does_not_hold_is_a_fail(claim: Claim) -> None:
    assert not claim.ok, claim.seen


def test_verdicts_say_what_was_seen() -> None:
    assert "17" in claims.weight_climbed("rs2", [1, 17, 50, 83, 100], 100).seen
    assert claims.failure_noticed("rs2", 0.9, "").seen == "after 0.90 s; nothing in the log"
    assert claims.drained("rs1", Counter(rs2=2), 2, alive=1, held=1).seen == (
        "rs2 2; 1 of 1 held connections still answer"
    )
