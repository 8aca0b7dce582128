import pytest

from kernelbal.model.ipvs import ServiceFlag
from kernelbal.plan.explain.result import Availability, Certainty
from kernelbal.plan.explain.schedule import SchedulerInput, SchedulerServer, availability, schedule
from tests.unit.plan.explain.scene import attributes, counters, query, real_server

IN, PERHAPS, OUT = Availability.AVAILABLE, Availability.PERHAPS, Availability.QUIESCED


def server(
    number: int, weight: int = 1, active: int = 0, inactive: int = 0, state: Availability | None = None
) -> SchedulerServer:
    return SchedulerServer(real_server(number), weight, active, inactive, state or (IN if weight else OUT))


def pool(
    *servers: SchedulerServer, flags: int = 0, live: bool = True, client_port: int | None = None
) -> SchedulerInput:
    return SchedulerInput(query(client_port=client_port), flags, servers, live)


@pytest.mark.parametrize(
    ("scheduler", "servers", "expected"),
    [
        ("lc", [server(1, 1, 2, 0), server(2, 9, 1, 255), server(3, 9, 2, 0)], 2),
        ("lc", [server(1, 1, 1, 1), server(2, 9, 1, 0)], 2),
        ("wlc", [server(1, 1, 1, 0), server(2, 10, 9, 0)], 2),
        ("wlc", [server(1, 1, 0, 300), server(2, 1, 1, 0)], 2),
        ("sed", [server(1, 1, 0, 0), server(2, 10, 8, 0)], 2),
        ("nq", [server(1, 10, 1, 0), server(2, 1, 0, 99)], 2),
        ("nq", [server(1, 10, 8, 0), server(2, 1, 1, 0)], 1),
        ("ovf", [server(1, 5, 5, 0), server(2, 4, 0, 0)], 1),
        ("ovf", [server(1, 5, 6, 0), server(2, 4, 0, 0)], 2),
    ],
)
def test_leader_by_counters(scheduler: str, servers: list[SchedulerServer], expected: int) -> None:
    choice = schedule(scheduler, pool(*servers))
    assert (choice.destination, choice.certainty) == (real_server(expected), Certainty.NOW)


@pytest.mark.parametrize("scheduler", ["lc", "wlc", "sed", "nq", "ovf", "fo"])
def test_first_in_the_kernels_list_wins_a_tie(scheduler: str) -> None:
    assert schedule(scheduler, pool(server(2), server(1), server(3))).destination == real_server(2)


@pytest.mark.parametrize("scheduler", ["lc", "wlc", "sed", "nq", "ovf"])
def test_leader_needs_a_running_kernel(scheduler: str) -> None:
    choice = schedule(scheduler, pool(server(1), server(2), live=False))
    assert (choice.destination, choice.certainty) == (None, Certainty.OPEN)


def test_overflow_refuses_when_all_are_full() -> None:
    choice = schedule("ovf", pool(server(1, 1, 2), server(2, 1, 2)))
    assert (choice.destination, choice.certainty) == (None, Certainty.NOW)


def test_highest_weight_is_certain() -> None:
    choice = schedule("fo", pool(server(1, 1), server(2, 9), server(3, 99, state=Availability.OVERLOADED)))
    assert (choice.destination, choice.certainty) == (real_server(2), Certainty.CERTAIN)


@pytest.mark.parametrize("scheduler", ["rr", "wrr", "lblc", "lblcr", "twos", "made-up"])
def test_hidden_state_is_not_guessed(scheduler: str) -> None:
    choice = schedule(scheduler, pool(server(1), server(2)))
    assert (choice.destination, choice.certainty) == (None, Certainty.OPEN)
    assert choice.reason


@pytest.mark.parametrize("scheduler", ["rr", "wrr", "lblc", "wlc"])
@pytest.mark.parametrize("live", [True, False])
def test_only_one_left(scheduler: str, live: bool) -> None:
    choice = schedule(scheduler, pool(server(1, 0), server(2), live=live))
    assert choice.destination == real_server(2)


@pytest.mark.parametrize("scheduler", ["rr", "wlc", "sh", "mh", "dh", "fo"])
def test_nobody_available(scheduler: str) -> None:
    choice = schedule(scheduler, pool(server(1, 0), server(2, 0)))
    assert (choice.destination, choice.certainty) == (None, Certainty.CERTAIN)


def test_no_real_servers() -> None:
    assert schedule("rr", pool()).reason == "the service has no real servers"


def test_between_thresholds_lowers_the_certainty() -> None:
    choice = schedule("fo", pool(server(1, 9, state=PERHAPS), server(2)))
    assert (choice.destination, choice.certainty) == (real_server(1), Certainty.NOW)
    assert "upper threshold" in choice.reason


@pytest.mark.parametrize("scheduler", ["sh", "mh"])
def test_hash_of_a_port_that_is_not_known(scheduler: str) -> None:
    servers = (server(1), server(2))
    flags = int(ServiceFlag.SCHED2)
    without = schedule(scheduler, pool(*servers, flags=flags))
    assert (without.destination, without.certainty) == (None, Certainty.OPEN)
    assert "--client-port" in without.reason
    known = schedule(scheduler, pool(*servers, flags=flags, client_port=4711))
    assert known.certainty is Certainty.CERTAIN
    assert known.destination is not None


def test_maglev_of_a_live_kernel_with_a_quiesced_real_server_is_open() -> None:
    """The table goes on by its former weight, which the kernel does not tell."""
    servers = (server(1), server(2), server(3, 0))
    assert schedule("mh", pool(*servers)).certainty is Certainty.OPEN
    assert schedule("mh", pool(*servers, live=False)).certainty is Certainty.CERTAIN


@pytest.mark.parametrize("scheduler", ["sh", "mh", "dh"])
def test_hash_without_fallback_may_hit_one_that_is_out(scheduler: str) -> None:
    overloaded = Availability.OVERLOADED
    found = {
        schedule(scheduler, pool(server(1), server(2, state=overloaded))).destination,
        schedule(scheduler, pool(server(1, state=overloaded), server(2))).destination,
    }
    assert None in found
    assert found & {real_server(1), real_server(2)}


# --- who takes new connections ---


def test_without_thresholds_any_load_will_do() -> None:
    assert availability(attributes(1), counters(10_000)) == (Availability.AVAILABLE, "")


def test_weight_0_is_quiesced() -> None:
    state, why = availability(attributes(0, upper=5), counters())
    assert state is Availability.QUIESCED
    assert "weight 0" in why


@pytest.mark.parametrize(
    ("active", "inactive", "lower", "expected"),
    [
        (0, 0, 0, Availability.AVAILABLE),
        (74, 0, 0, Availability.AVAILABLE),
        (75, 0, 0, Availability.PERHAPS),
        (40, 35, 0, Availability.PERHAPS),
        (99, 0, 0, Availability.PERHAPS),
        (100, 0, 0, Availability.OVERLOADED),
        (1, 99, 0, Availability.OVERLOADED),
        (49, 0, 50, Availability.AVAILABLE),
        (50, 0, 50, Availability.PERHAPS),
    ],
)
def test_thresholds_count_active_and_inactive_connections(
    active: int, inactive: int, lower: int, expected: Availability
) -> None:
    state, why = availability(attributes(1, upper=100, lower=lower), counters(active, inactive))
    assert state is expected
    assert bool(why) is (expected is not Availability.AVAILABLE)
