"""Real servers of a scenario: the ARP problem shows, and what is not undone is called FAIL."""

from pathlib import Path

import pytest

from kernelbal.lab.demo import servers
from kernelbal.lab.demo.events import Claim, CommandRan, Event
from kernelbal.lab.demo.names import ScenarioName
from kernelbal.lab.demo.play import play_all
from kernelbal.lab.demo.stage import Stage
from kernelbal.lab.factory import LabFactory
from kernelbal.lab.namespaces import Host
from tests.support.lab_demo import REQUESTS, scenario

pytestmark = [pytest.mark.needs_ipvs, pytest.mark.slow]


def test_who_has_hears_every_holder(lab: LabFactory) -> None:
    made = lab("one-arm")
    for host in (made.director, made.real_servers[1]):
        host.run(["ip", "address", "add", "10.0.0.80/32", "dev", "lo"])
    answers = servers.who_has(made.client, "10.0.0.80")
    assert set(answers) == {servers.hardware_address(host) for host in (made.director, made.real_servers[1])}


def test_something_left_behind_on_a_real_server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    run = servers._run

    def leave_an_address(where: Stage, server: Host, command: str, *arguments: str) -> CommandRan:
        done = run(where, server, command, *arguments)
        if command == "undo" and server.name == "rs2":
            server.run(["ip", "address", "add", "10.0.0.81/32", "dev", "lo"])
        return done

    monkeypatch.setattr(servers, "_run", leave_an_address)
    events: list[Event] = []
    play_all([scenario(ScenarioName.DSR)], REQUESTS, events.append)
    (failed,) = [event for event in events if isinstance(event, Claim) and not event.ok]
    assert failed.text == "undo leaves every real server as it was, byte for byte"
    assert "rs2: + address" in failed.seen
