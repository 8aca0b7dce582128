"""How far a drain is."""

from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from kernelbal.cli.drain_progress import WINDOW_S, DrainProgress, connections_left
from tests.support.fake_control import server_status


def looked(*looks: tuple[float, int]) -> DrainProgress:
    progress = DrainProgress()
    for now, left in looks:
        progress.look(left, now)
    return progress


def test_eta_follows_the_rate_of_the_decrease() -> None:
    assert looked((0, 100), (10, 80)).eta_s == 40.0
    assert looked((0, 100)).eta_s is None
    assert looked((0, 100), (10, 100)).eta_s is None
    assert looked((0, 5), (3, 9)).eta_s is None
    assert looked((0, 0)).eta_s == 0.0


def test_only_the_last_minute_counts() -> None:
    looks = [(0.0, 10_000), *((1.0 + i, 100 - i) for i in range(int(WINDOW_S) + 1))]
    assert looked(*looks).eta_s == 40.0


def test_text() -> None:
    assert looked((0, 100), (10, 80)).text(75) == "80 of 100 connections left, ETA 40s, cut in 1m15s"
    assert looked((0, 5), (1, 0)).text(75) == "0 of 5 connections left"


def test_inactive_connections_of_tcp_have_ended() -> None:
    server = structs.replace(server_status(), active=2, inactive=50)
    assert connections_left("tcp", server) == 2
    assert connections_left("udp", server) == 52


@given(st.lists(st.tuples(st.floats(0, 50), st.integers(0, 10**6)), min_size=1, max_size=30))
def test_eta_is_never_negative(steps: list[tuple[float, int]]) -> None:
    now, progress = 0.0, DrainProgress()
    for step, left in steps:
        now += step
        progress.look(left, now)
    assert progress.eta_s is None or progress.eta_s >= 0
    assert progress.left <= progress.most
