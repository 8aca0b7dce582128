"""What follows from how a real server stands."""

import pytest

from kernelbal.health.decision import ServerMemory
from kernelbal.health.judge import Judged
from kernelbal.health.pool import Stand
from kernelbal.health.ramp import Ramp
from kernelbal.health.stand import memory_of, standing_of, view_of
from kernelbal.model.health import AgentReading, Health
from kernelbal.model.site.services import RealServer
from kernelbal.model.standing import Mode, ServerState, Standing
from tests.unit.health.scene import A, key, site_of

SERVER = site_of().virtual_services[0].real_servers[0]


def stand(word: str, weight: int = 0, server: RealServer = SERVER, **more: object) -> Stand:
    before = ServerMemory(ServerState.SERVING, 7.0, up=True)
    said = Judged(key(A), server, before, Health.UP, word, "because", reading=AgentReading(max_connections=5))
    return Stand(said, word, weight)._replace(**more)


@pytest.mark.parametrize(
    ("word", "quiesce", "remove"),
    [
        (ServerState.DOWN, Standing(0, upper_threshold=5), Standing(0, present=False, cut_at=0.0)),
        (ServerState.STANDBY, Standing(0, upper_threshold=5), Standing(0, present=False)),
        (ServerState.UNKNOWN, Standing(0, present=False), Standing(0, present=False)),
        (ServerState.QUIESCED, Standing(0, upper_threshold=5), Standing(0, upper_threshold=5)),
        (
            ServerState.DISABLED,
            Standing(0, present=False, cut_at=0.0),
            Standing(0, present=False, cut_at=0.0),
        ),
    ],
)
def test_what_the_kernel_is_to_hold(word: str, quiesce: Standing, remove: Standing) -> None:
    assert standing_of(site_of().virtual_services[0], stand(word)) == quiesce
    assert standing_of(site_of("on_down: remove").virtual_services[0], stand(word)) == remove


def test_who_has_a_weight_is_there() -> None:
    assert standing_of(site_of().virtual_services[0], stand(ServerState.SERVING, 100)) == Standing(
        100, upper_threshold=5
    )


def test_what_is_remembered() -> None:
    same = memory_of(stand(ServerState.SERVING, 100, in_service=True), 50.0)
    assert same == ServerMemory(ServerState.SERVING, 7.0, up=True, weight=100)
    ramping = memory_of(stand(ServerState.RAMPING, 1, in_service=True, ramp=Ramp(50.0, 0.25)), 50.0)
    assert ramping == ServerMemory(ServerState.RAMPING, 50.0, True, 50.0, 0.25, weight=1)


@pytest.mark.parametrize(
    ("mode", "reason"),
    [
        (Mode.SORRY, "the sorry server is in use"),
        (Mode.REFUSING, "clients are refused"),
        (Mode.WITHDRAWN, "the address is withdrawn"),
    ],
)
def test_reason_of_a_standby(mode: Mode, reason: str) -> None:
    view = view_of(site_of().virtual_services[0], stand(ServerState.STANDBY), 7.0, mode, 50.0)
    assert (view.state, view.reason, view.weight) == (ServerState.STANDBY, reason, 0)


def test_full_weight_has_no_reason() -> None:
    view = view_of(
        site_of().virtual_services[0],
        stand(ServerState.SERVING, 100, in_service=True),
        7.0,
        Mode.SERVING,
        50.0,
    )
    assert (view.weight_reason, view.ramp_left_s) == ("", None)
