"""`kernelbal events`: the last ones, and new ones as they happen."""

import json

import pytest

from kernelbal.cli.exit_codes import ExitCode
from tests.support.cli_harness import DaemonCli
from tests.support.fake_control import AT, recorded


def test_last_events_one_per_line(daemon: DaemonCli) -> None:
    daemon.control.events = [recorded(each, server=f"10.0.0.{each}") for each in range(1, 5)]
    done = daemon.run("events", "-n", "2")
    assert done.code == ExitCode.OK
    assert done.out.splitlines() == [
        f"{AT} warning real_server.down [web] real server 10.0.0.{each} is down: no answer" for each in (3, 4)
    ]


def test_topic_is_one_or_all_of_a_kind(daemon: DaemonCli) -> None:
    topics = ("real_server.down", "real_server.up", "config.loaded", "real_serverx.up")
    daemon.control.events = [recorded(i, topic) for i, topic in enumerate(topics, 1)]

    def seen(topic: str) -> list[int]:
        lines = daemon.run("events", "--json", "--topic", topic).out.splitlines()
        return [json.loads(each)["seq"] for each in lines]

    assert seen("real_server") == [1, 2]
    assert seen("config.loaded") == [3]


@pytest.mark.parametrize(
    ("topic", "known"),
    [("server", "real_server, virtual_service, config"), ("config.broken", "config.loaded, config.refused")],
)
def test_topic_that_no_event_has_is_refused(daemon: DaemonCli, topic: str, known: str) -> None:
    done = daemon.run("events", "--follow", "--topic", topic)
    assert done.code == ExitCode.USAGE
    assert known in " ".join(done.err.split())


def test_following_goes_on_after_the_last(daemon: DaemonCli) -> None:
    daemon.control.events = [recorded(1)]

    def happen() -> None:
        daemon.control.emit(recorded(2))
        daemon.control.end()

    daemon.loop.call_soon_threadsafe(daemon.loop.call_later, 0.2, happen)
    done = daemon.run("events", "--follow", "--json")
    assert [json.loads(line)["seq"] for line in done.out.splitlines()] == [1, 2]
