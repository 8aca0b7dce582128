"""When a real server that left the site file leaves the kernel."""

import pytest

from kernelbal.model.ipvs import DestinationCounters, Drain, DrainKey, ServiceFlag, ServiceKey
from kernelbal.plan.drain import REMOVE, SETTLE_S, Drainer, Leave, open_connections, with_fallback
from kernelbal.plan.kind import PendingDrain
from tests.support.builders import by_mark, connected, real, service, virtual, weighing

WEB = service("192.0.2.10", 80)
RS = real("10.0.0.11")
KEY = DrainKey(WEB, RS)
NOW = 1000.0
UNDER_WAY = {KEY: Drain(990.0, 1050.0)}


def _drainer(
    counters: DestinationCounters | None,
    *,
    known: dict[DrainKey, Drain] | None = None,
    now: float = NOW,
    cut: bool = False,
) -> Drainer:
    found = {WEB: {RS: counters}} if counters else {}
    return Drainer(found, known or {}, now, cut, {}, [])


@pytest.mark.parametrize("counters", [connected(0), None], ids=["idle", "not counted"])
def test_idle_real_server_is_quiesced_first_as_connections_may_come_before_it_is_gone(
    counters: DestinationCounters | None,
) -> None:
    drainer = _drainer(counters)
    assert drainer.leave(KEY, weighing(100), 60) == Leave(quiesce=True, drain_s=60.0)
    assert drainer.drains == {KEY: Drain(NOW, NOW + 60)}


@pytest.mark.parametrize(
    ("quiesced_s", "goes"), [(0.0, False), (SETTLE_S - 0.1, False), (SETTLE_S, True)], ids=str
)
def test_idle_real_server_goes_once_handshakes_have_had_time_to_end(quiesced_s: float, goes: bool) -> None:
    drainer = _drainer(connected(0), known={KEY: Drain(NOW - quiesced_s, NOW + 60)})
    action = drainer.leave(KEY, weighing(0), 60)
    assert (action == REMOVE) is goes
    assert bool(drainer.drains) is bool(drainer.pending) is not goes


def test_idle_real_server_that_takes_no_connections_anyway_goes_at_once() -> None:
    drainer = _drainer(connected(0))
    assert drainer.leave(KEY, weighing(0), 60) == REMOVE
    assert (drainer.drains, drainer.pending) == ({}, [])


def test_real_server_with_connections_is_quiesced_until_the_deadline() -> None:
    drainer = _drainer(connected(3))
    assert drainer.leave(KEY, weighing(100), 60) == Leave(quiesce=True, drain_s=60.0)
    assert drainer.drains == {KEY: Drain(NOW, NOW + 60)}
    assert drainer.pending == []


def test_quiesced_real_server_is_waited_for() -> None:
    drainer = _drainer(connected(3), known=UNDER_WAY)
    assert drainer.leave(KEY, weighing(0), 60) is None
    assert drainer.drains == UNDER_WAY
    assert drainer.pending == [PendingDrain(KEY, 3, 50.0)]


def test_new_weight_from_elsewhere_is_taken_back_and_the_deadline_stays() -> None:
    drainer = _drainer(connected(3), known=UNDER_WAY)
    assert drainer.leave(KEY, weighing(7), 600) == Leave(quiesce=True, drain_s=50.0)
    assert drainer.drains == {KEY: Drain(NOW, 1050.0)}


@pytest.mark.parametrize(
    ("now", "goes"), [(1049.9, False), (1050.0, True), (1050.1, True)], ids=["before", "at", "after"]
)
def test_deadline_ends_every_drain(now: float, goes: bool) -> None:
    action = _drainer(connected(3), known=UNDER_WAY, now=now).leave(KEY, weighing(0), 60)
    assert (action == REMOVE) is goes


def test_last_connection_ends_a_drain_early() -> None:
    drainer = _drainer(connected(0, inactive=4), known=UNDER_WAY)
    assert drainer.leave(KEY, weighing(0), 60) == REMOVE
    assert drainer.drains == {}


@pytest.mark.parametrize(("cut", "drain_s"), [(True, 60.0), (False, 0.0)], ids=["cut", "no drain"])
def test_connections_are_cut_only_on_request(cut: bool, drain_s: float) -> None:
    drainer = _drainer(connected(3), cut=cut)
    assert drainer.leave(KEY, weighing(100), drain_s) == REMOVE


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        (service("192.0.2.10", 80), 2),
        (service("2001:db8::10", 80), 2),
        (service("192.0.2.10", 53, "udp"), 7),
        (service("192.0.2.10", 9, "sctp"), 7),
        (by_mark(5), 7),
    ],
    ids=str,
)
def test_inactive_connections_count_unless_all_are_tcp(key: ServiceKey, expected: int) -> None:
    assert open_connections(key, connected(2, inactive=5)) == expected


@pytest.mark.parametrize(
    ("scheduler", "flags"),
    [("sh", ServiceFlag.SCHED1), ("mh", ServiceFlag.SCHED1), ("wlc", ServiceFlag.NONE)],
)
def test_hashes_can_fall_back(scheduler: str, flags: ServiceFlag) -> None:
    fallen = with_fallback(virtual(scheduler=scheduler).attributes)
    assert fallen == virtual(scheduler=scheduler, flags=flags).attributes


# --- deadlines that somebody sets ---


def test_own_deadline_counts_instead_of_the_usual_time() -> None:
    drainer = _drainer(connected(3))
    assert drainer.leave(KEY, weighing(100), 60, NOW + 5) == Leave(quiesce=True, drain_s=5.0)
    assert drainer.drains == {KEY: Drain(NOW, NOW + 5)}


@pytest.mark.parametrize("deadline_at", [NOW + 5, NOW + 500])
def test_deadline_of_a_drain_that_is_under_way_can_be_moved(deadline_at: float) -> None:
    drainer = _drainer(connected(3), known=UNDER_WAY)
    assert drainer.leave(KEY, weighing(0), 60, deadline_at) is None
    assert drainer.drains == {KEY: Drain(990.0, deadline_at)}
    assert drainer.pending == [PendingDrain(KEY, 3, deadline_at - NOW)]


@pytest.mark.parametrize("cut_at", [0.0, NOW])
def test_deadline_that_has_passed_cuts_at_once(cut_at: float) -> None:
    drainer = _drainer(connected(3), known=UNDER_WAY)
    assert drainer.leave(KEY, weighing(100), 60, cut_at) == REMOVE
    assert drainer.drains == {}
