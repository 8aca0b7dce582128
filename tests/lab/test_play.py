"""Every example keeps its claims on a real kernel, and whatever is broken is called FAIL."""

import io
from contextlib import redirect_stderr, redirect_stdout

import pytest

from kernelbal.cli import app
from kernelbal.lab.demo import play, stage
from kernelbal.lab.demo.events import Claim, CommandRan, Event, Finished
from kernelbal.lab.demo.names import ScenarioName
from kernelbal.lab.demo.play import play_all
from kernelbal.lab.demo.scenarios import Scenario
from kernelbal.lab.demo.stage import Stage
from kernelbal.lab.namespaces import Host
from tests.support.lab_demo import REQUESTS, scenario
from tests.support.realserver_by_hand import accept_direct, hold_address

pytestmark = [pytest.mark.needs_ipvs, pytest.mark.slow]


def played(wanted: Scenario) -> list[Event]:
    """Everything that a scenario says."""
    events: list[Event] = []
    play_all([wanted], REQUESTS, events.append)
    return events


def claims(wanted: Scenario) -> dict[str, Claim]:
    """The claims of a scenario, by what they say."""
    return {event.text: event for event in played(wanted) if isinstance(event, Claim)}


def failed(wanted: Scenario) -> set[str]:
    """What the claims say that did not hold."""
    return {text for text, claim in claims(wanted).items() if not claim.ok}


@pytest.mark.parametrize("name", [ScenarioName.NAT, ScenarioName.ONE_ARMED, ScenarioName.TUNNEL])
def test_every_claim_holds(name: ScenarioName) -> None:
    events = played(scenario(name))
    made = [event for event in events if isinstance(event, Claim)]
    assert [claim for claim in made if not claim.ok] == []
    assert len(made) == {"nat": 11, "one-armed": 12, "tunnel": 16}[name]
    assert isinstance(events[-1], Finished)


# --- what is broken is found ---


@pytest.fixture
def in_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs kernelbal's commands in this process: what is broken here are the hosts, not the commands."""
    start = stage.run

    def run(
        where: Stage, argv: list[str], shown: str, *, brief: bool, host: Host | None = None
    ) -> CommandRan:
        if argv[1:3] != ["-m", "kernelbal"] or host is not None:
            return start(where, argv, shown, brief=brief, host=host)
        said = io.StringIO()
        monkeypatch.setenv("KERNELBAL_STATE_DIR", str(where.state_dir))
        with where.lab.director.inside(), redirect_stdout(said), redirect_stderr(said):
            status = app.run(argv[3:])
        return CommandRan(command=shown, lines=tuple(said.getvalue().splitlines()), status=status)

    monkeypatch.setattr(stage, "run", run)


broken = pytest.mark.usefixtures("in_process")


def without_route_back(host: Host, virtual_addresses: tuple[str, ...]) -> None:
    """Takes the route through the director away from one real server, for IPv4."""
    if host.name == "rs2":
        host.run(["ip", "route", "del", "default"])


@broken
def test_real_server_without_route_back() -> None:
    assert failed(scenario(ScenarioName.NAT, without_route_back)) >= {
        "web: all 20 requests are answered",
        "web: real servers share the requests 5:3:2",
    }


def talkative(host: Host, virtual_addresses: tuple[str, ...]) -> None:
    """Holds the virtual addresses and lets ARP know."""
    for address in virtual_addresses:
        hold_address(host, address)


@broken
def test_real_server_that_answers_arp() -> None:
    assert "only the director answers ARP for 10.0.0.80" in failed(scenario(ScenarioName.DSR, talkative))


@broken
def test_real_server_without_tunnel() -> None:
    assert failed(scenario(ScenarioName.TUNNEL, accept_direct)) >= {
        "web: all 20 requests are answered",
        "web: replies go past the director",
        "web-ipv6: all 20 requests are answered",
        "web-ipv6: replies go past the director",
    }


def answers_through_director(host: Host, virtual_addresses: tuple[str, ...]) -> None:
    """Sends the replies of a direct real server to the director."""
    accept_direct(host, virtual_addresses)
    host.run(["ip", "route", "add", "10.0.0.100/32", "via", "10.0.0.1"])


@broken
def test_replies_that_take_the_wrong_way() -> None:
    assert "web: replies go past the director" in failed(scenario(ScenarioName.DSR, answers_through_director))


def with_gateway(host: Host, virtual_addresses: tuple[str, ...]) -> None:
    """Gives a real server the route that it should not need."""
    host.run(["ip", "route", "add", "10.0.0.100/32", "via", "10.0.0.1"])


@broken
def test_real_server_with_a_route_that_it_should_not_need() -> None:
    assert failed(scenario(ScenarioName.ONE_ARMED, with_gateway)) == {
        "no real server has a route through the director"
    }


@broken
def test_something_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    def leave_address(where: Stage) -> None:
        where.lab.director.run(["ip", "address", "add", "10.0.0.81/32", "dev", "eth0"])

    monkeypatch.setattr(play, "_look_around", leave_address)
    made = claims(scenario(ScenarioName.NAT))
    (left,) = (claim for claim in made.values() if not claim.ok)
    assert left.text == "release leaves the director as it was"
    assert "10.0.0.81" in left.seen


def broken_off(host: Host, virtual_addresses: tuple[str, ...]) -> None:
    """Asks for a sysctl that does not exist."""
    host.sysctl("net.ipv4.no_such_thing", 1)


def test_scenario_that_breaks_off() -> None:
    made = claims(scenario(ScenarioName.NAT, broken_off))
    assert list(made) == ["the scenario can be played"]
    assert "no_such_thing" in made["the scenario can be played"].seen
