"""The demo's command on a real kernel: its exit status says whether every claim holds."""

import json
import os

import pytest

from kernelbal.cli import demo as command
from kernelbal.lab.backends.base import GuestCommand
from kernelbal.lab.demo import outside
from kernelbal.lab.demo.events import Event, encode
from kernelbal.lab.demo.names import ScenarioName
from kernelbal.lab.demo.outside import Selection
from kernelbal.lab.demo.play import play_all
from kernelbal.lab.demo.scenarios import Scenario
from kernelbal.lab.namespaces import Host
from tests.support.fake_backend import FakeBackend
from tests.support.lab_demo import REQUESTS, Prepare, scenario
from tests.support.realserver_by_hand import accept_direct

pytestmark = [pytest.mark.needs_ipvs, pytest.mark.slow]

CLAIMS = 17
WITHOUT_PREPARATION = 12


def in_this_guest(wanted: Scenario) -> FakeBackend:
    """A back end that plays a scenario right here, whatever it is told to run."""

    def work(command: GuestCommand, output: int) -> int:
        play_all([wanted], REQUESTS, lambda event: _write(output, event))
        return 0

    return FakeBackend(work=work)


def _write(descriptor: int, event: Event) -> None:
    os.write(descriptor, encode(event).encode())


def without_virtual_address(host: Host, virtual_addresses: tuple[str, ...]) -> None:
    """Prepares all real servers but one."""
    if host.name != "rs3":
        accept_direct(host, virtual_addresses)


@pytest.mark.parametrize(
    ("prepare", "status", "failed"),
    [
        pytest.param(None, 0, set(), id="all-well"),
        pytest.param(
            without_virtual_address,
            1,
            {
                "web: all 20 requests are answered",
                "web: real servers share the requests 5:3:2",
                "web-ipv6: all 20 requests are answered",
                "web-ipv6: real servers share the requests 1:1:1",
            },
            id="real-server-without-virtual-address",
        ),
    ],
)
def test_exit_status_tells(
    prepare: Prepare | None,
    status: int,
    failed: set[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    backend = in_this_guest(scenario(ScenarioName.DSR, prepare))
    monkeypatch.setattr(outside, "select_backend", lambda wanted: Selection(backend, ()))
    assert command.demo(as_json=True) == status
    document = json.loads(capsys.readouterr().out)
    (told,) = document["scenarios"]
    assert {claim["text"] for claim in told["claims"] if not claim["ok"]} >= failed
    assert document["failed"] == len([claim for claim in told["claims"] if not claim["ok"]])
    assert document["ok"] + document["failed"] == (WITHOUT_PREPARATION if prepare else CLAIMS)
    assert bool(document["failed"]) == bool(status)
