"""Events as log lines."""

import io
import logging

import pytest
from msgspec import convert

from kernelbal.model.status import Recorded
from kernelbal.runtime.director.logline import Log, SafeFormatter, format_line, terminal_line


def recorded(message: str = "connection refused", **changes: object) -> Recorded:
    values = {
        "seq": 1,
        "at": "2024-01-01T00:00:00Z",
        "topic": "real_server.down",
        "severity": "warning",
        "message": message,
        "service": "web",
        "server": "10.0.0.11",
        "fields": {"probe": "http"},
    }
    return convert({**values, **changes}, Recorded)


def test_a_line_holds_everything_as_words() -> None:
    assert format_line(recorded()) == (
        'real_server.down service=web server=10.0.0.11 probe=http message="connection refused"'
    )
    assert (
        format_line(recorded("ok", service="", fields={})) == "real_server.down server=10.0.0.11 message=ok"
    )


@pytest.mark.parametrize("evil", ["a\nb", "a\x1b[31mb", 'say "no"', "a\u2028b"])
def test_nobody_can_forge_a_line(evil: str) -> None:
    line = format_line(recorded(evil))
    assert line.isprintable()
    assert len(line.splitlines()) == 1


@pytest.mark.parametrize(("severity", "number"), [("error", 3), ("warning", 4), ("notice", 5), ("info", 6)])
def test_under_systemd_a_line_begins_with_its_priority(severity: str, number: int) -> None:
    stream = io.StringIO()
    Log(stream, priorities=True).write(recorded(severity=severity))
    assert stream.getvalue().startswith(f"<{number}>real_server.down ")


def test_elsewhere_it_begins_with_the_time() -> None:
    stream = io.StringIO()
    log = Log(stream, priorities=False)
    log.write(recorded())
    log.note("round.changed changes=1", "2024-01-01T00:00:01Z")
    first, second = stream.getvalue().splitlines()
    assert first.startswith("2024-01-01T00:00:00Z real_server.down ")
    assert second == "2024-01-01T00:00:01Z round.changed changes=1"


def test_at_a_terminal_the_words_say_it_all() -> None:
    stream = io.StringIO()
    log = Log(stream, priorities=False, terminal=True)
    log.write(recorded("real server 10.0.0.11 of `web` is down: connection refused"))
    log.note("round.changed changes=1", "2024-01-01T00:00:01Z")
    assert stream.getvalue().splitlines() == [
        "2024-01-01T00:00:00Z warning real_server.down [web] "
        "real server 10.0.0.11 of `web` is down: connection refused",
        "2024-01-01T00:00:01Z info    round.changed changes=1",
    ]


@pytest.mark.parametrize("evil", ["a\nb", "a\x1b[31mb"])
def test_nobody_can_forge_a_line_for_people(evil: str) -> None:
    assert terminal_line(recorded(evil)).isprintable()


def test_record_of_a_library_forges_no_line() -> None:
    error = ValueError("x\n<0>panic\x1b[2J")
    parts = {"name": "lib", "msg": "a %s", "args": ("\n<0>b",), "exc_info": (ValueError, error, None)}
    written = SafeFormatter(priorities=True).format(logging.makeLogRecord(parts)).split("\n")
    assert written[0] == r"<4>lib a \n<0>b"
    assert {line[:3] for line in written} == {"<4>"}
    assert written[-1] == r"<4><0>panic\x1b[2J"


def test_note_is_one_line() -> None:
    stream = io.StringIO()
    Log(stream, priorities=True).note("a\n<0>b", "now")
    assert stream.getvalue() == "<6>a\\n<0>b\n"


def test_a_log_that_is_gone_disturbs_nobody() -> None:
    stream = io.StringIO()
    stream.close()
    Log(stream, priorities=True).write(recorded())
