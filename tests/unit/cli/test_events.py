"""`kernelbal events`: the last ones, and new ones as they happen."""

import json

import pytest

from kernelbal.cli.exit_codes import ExitCode
from tests.support.fake_control import AT, recorded
from tests.unit.cli.daemon import Daemon


def test_last_events_one_per_line(daemon: Daemon) -> None:
    daemon.control.events = [recorded(each, server=f"10.0.0.{each}") for each in range(1, 5)]
    said = daemon.say("events", "-n", "2")
    assert said.code == ExitCode.OK
    assert said.out.splitlines() == [
        f"{AT} warning real_server.down [web] real server 10.0.0.{each} is down: no answer" for each in (3, 4)
    ]


def test_topic_is_one_or_all_of_a_kind(daemon: Daemon) -> None:
    topics = ("real_server.down", "real_server.up", "config.loaded", "real_serverx.up")
    daemon.control.events = [recorded(i, topic) for i, topic in enumerate(topics, 1)]

    def seen(topic: str) -> list[int]:
        lines = daemon.say("events", "--json", "--topic", topic).out.splitlines()
        return [json.loads(each)["seq"] for each in lines]

    assert seen("real_server") == [1, 2]
    assert seen("config.loaded") == [3]


@pytest.mark.parametrize(
    ("topic", "known"),
    [("server", "real_server, virtual_service, config"), ("config.broken", "config.loaded, config.refused")],
)
def test_topic_that_no_event_has_is_refused(daemon: Daemon, topic: str, known: str) -> None:
    said = daemon.say("events", "--follow", "--topic", topic)
    assert said.code == ExitCode.USAGE
    assert known in " ".join(said.err.split())


def test_following_goes_on_after_the_last(daemon: Daemon) -> None:
    daemon.control.events = [recorded(1)]

    def happen() -> None:
        daemon.control.tell(recorded(2))
        daemon.control.end()

    daemon.loop.call_soon_threadsafe(daemon.loop.call_later, 0.2, happen)
    said = daemon.say("events", "--follow", "--json")
    assert [json.loads(line)["seq"] for line in said.out.splitlines()] == [1, 2]
