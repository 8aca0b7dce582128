"""What follows from the decision about a real server."""

import pytest

from kernelbal.health.decision import ServerMemory
from kernelbal.health.evaluation import ServerEvaluation
from kernelbal.health.pool import ServerDecision
from kernelbal.health.ramp import Ramp
from kernelbal.health.server_decision import desired_server, memory_of, view_of
from kernelbal.model.health import AgentReading, Health
from kernelbal.model.overlay import DesiredServer, Mode, ServerState
from kernelbal.model.site.services import RealServer
from tests.unit.health.scene import A, key, site_of

SERVER = site_of().virtual_services[0].real_servers[0]


def decided(word: str, weight: int = 0, server: RealServer = SERVER, **more: object) -> ServerDecision:
    before = ServerMemory(ServerState.SERVING, 7.0, up=True)
    said = ServerEvaluation(
        key(A), server, before, Health.UP, word, "because", reading=AgentReading(max_connections=5)
    )
    return ServerDecision(said, word, weight)._replace(**more)


@pytest.mark.parametrize(
    ("word", "quiesce", "remove"),
    [
        (ServerState.DOWN, DesiredServer(0, upper_threshold=5), DesiredServer(0, present=False, cut_at=0.0)),
        (ServerState.STANDBY, DesiredServer(0, upper_threshold=5), DesiredServer(0, present=False)),
        (ServerState.UNKNOWN, DesiredServer(0, present=False), DesiredServer(0, present=False)),
        (ServerState.QUIESCED, DesiredServer(0, upper_threshold=5), DesiredServer(0, upper_threshold=5)),
        (
            ServerState.DISABLED,
            DesiredServer(0, present=False, cut_at=0.0),
            DesiredServer(0, present=False, cut_at=0.0),
        ),
    ],
)
def test_what_the_kernel_is_to_hold(word: str, quiesce: DesiredServer, remove: DesiredServer) -> None:
    assert desired_server(site_of().virtual_services[0], decided(word)) == quiesce
    assert desired_server(site_of("on_down: remove").virtual_services[0], decided(word)) == remove


def test_who_has_a_weight_is_there() -> None:
    assert desired_server(site_of().virtual_services[0], decided(ServerState.SERVING, 100)) == DesiredServer(
        100, upper_threshold=5
    )


def test_what_is_remembered() -> None:
    same = memory_of(decided(ServerState.SERVING, 100, in_service=True), 50.0)
    assert same == ServerMemory(ServerState.SERVING, 7.0, up=True, weight=100)
    ramping = memory_of(decided(ServerState.RAMPING, 1, in_service=True, ramp=Ramp(50.0, 0.25)), 50.0)
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
    view = view_of(site_of().virtual_services[0], decided(ServerState.STANDBY), 7.0, mode, 50.0)
    assert (view.state, view.reason, view.weight) == (ServerState.STANDBY, reason, 0)


def test_full_weight_has_no_reason() -> None:
    view = view_of(
        site_of().virtual_services[0],
        decided(ServerState.SERVING, 100, in_service=True),
        7.0,
        Mode.SERVING,
        50.0,
    )
    assert (view.weight_reason, view.ramp_left_s) == ("", None)
