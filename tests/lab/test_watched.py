"""The daemon keeps its claims on a real kernel, and one that cannot work is called FAIL."""

import pytest

from kernelbal.lab.demo.events import Claim, Event
from kernelbal.lab.demo.names import ScenarioName
from kernelbal.lab.demo.play import play_all
from kernelbal.lab.namespaces import Host
from tests.support.lab_demo import REQUESTS, Prepare, scenario

pytestmark = [pytest.mark.needs_ipvs, pytest.mark.slow]


def claims(prepare: Prepare | None = None) -> dict[str, Claim]:
    """The claims of the daemon's part, by what they say."""
    events: list[Event] = []
    play_all([scenario(ScenarioName.DAEMON, prepare)], REQUESTS, events.append)
    return {event.text: event for event in events if isinstance(event, Claim)}


def test_every_claim_holds() -> None:
    made = claims()
    assert [claim for claim in made.values() if not claim.ok] == []
    assert len(made) == 13


def unreachable(host: Host, virtual_addresses: tuple[str, ...]) -> None:
    """Takes one real server off its network."""
    if host.name == "rs3":
        host.run(["ip", "link", "set", "eth0", "down"])


def test_real_server_that_never_comes_up() -> None:
    made = claims(unreachable)
    assert list(made) == ["the scenario can be played"]
    assert "every real server is in service: not within" in made["the scenario can be played"].seen
