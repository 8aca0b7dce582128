"""The demo as text and as JSON."""

import pytest

from kernelbal.cli.demo_view import DemoView, demo_document
from kernelbal.lab.backends.base import Unavailable
from kernelbal.lab.backends.choose import Candidate
from kernelbal.lab.demo.events import (
    AnswerRow,
    Claim,
    CommandRan,
    Doing,
    Event,
    Failure,
    Finished,
    KernelFound,
    PacketRow,
    ScenarioBegun,
    ScenarioEnded,
    ServiceTried,
)
from kernelbal.lab.demo.outside import Selection
from tests.support.fake_backend import FakeBackend

SELECTION = Selection(
    FakeBackend("uml"), (Candidate(FakeBackend("netns"), Unavailable("the running kernel has no IPVS")),)
)
TRIED = ServiceTried(
    service="web-ipv6",
    url="http://[fd00::80]/",
    scheduler="rr",
    wanted=200,
    asked=9,
    answers=(
        AnswerRow(real_server="rs1", weight=1, expected=200 / 3, answers=6, clients=("fd00::100",)),
        AnswerRow(real_server="rs2", weight=1, expected=200 / 3, answers=0, clients=()),
    ),
    failures=(Failure(reason="no answer in time", count=3),),
    packets=(
        PacketRow(host="client", sent=30, received=20),
        PacketRow(host="director", sent=31, received=32),
    ),
    ipvs_in=25,
    ipvs_out=0,
)
EVENTS: tuple[Event, ...] = (
    KernelFound(release="6.12.0", ipvs="IP Virtual Server version 1.2.1 (size=4096)"),
    ScenarioBegun(name="dsr", title="Direct server return", topology="one-arm", site="examples/dsr.yaml"),
    Doing(text="running kernelbal plan"),
    CommandRan(command="kernelbal plan", lines=("+ service", "1 to add"), status=0),
    CommandRan(command="kernelbal apply", lines=("+ service", "1 to add", "applied"), status=0, brief=True),
    CommandRan(command="kernelbal release", lines=("- service", "error: no"), status=77, brief=True),
    TRIED,
    Claim(text="all is well", ok=True, seen="it is"),
    Claim(text="nothing is lost", ok=False, seen="3 lost"),
    ScenarioEnded(name="dsr", elapsed_s=1.54),
    Finished(elapsed_s=2.06),
)
TEXT = """\
back end netns: not usable: the running kernel has no IPVS
back end uml: used
kernel 6.12.0, IP Virtual Server version 1.2.1 (size=4096)

== Direct server return ==
   examples/dsr.yaml on the topology one-arm

director$ kernelbal plan
  + service
  1 to add

director$ kernelbal apply
  applied

director$ kernelbal release
  - service
  error: no
  (exit status 77)

client$ 9 requests to http://[fd00::80]/ (web-ipv6, rr)
answered by        weight  expected  answers  takes for the client
rs1                     1      66.7        6  fd00::100
rs2                     1      66.7        0
no answer in time                 0        3
packets   sent  received
client      30        20
director    31        32
ok    all is well (it is)
FAIL  nothing is lost (3 lost)

scenario  ok  FAIL  time
dsr        1     1  1.5 s
FAIL: 1 claim ok, 1 FAIL, after 2.1 s
"""


def shown(events: tuple[Event, ...]) -> None:
    """Show events from the beginning to the end of a demo."""
    with DemoView() as view:
        view.backend(SELECTION)
        for event in events:
            view.show(event)


def test_plain_text_in_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    shown(EVENTS)
    out, err = capsys.readouterr()
    assert out == TEXT
    assert err == "... running kernelbal plan\n"


def test_colours_in_a_terminal(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("COLUMNS", "120")
    shown(EVENTS)
    out = capsys.readouterr().out
    assert "\x1b[32mok\x1b[0m    all is well" in out
    assert "\x1b[31mFAIL\x1b[0m  nothing is lost" in out
    assert "\x1b[32m+\x1b[0m service" in out
    assert "http://[fd00::80]/ (web-ipv6, rr)" in out


def test_no_color_is_honoured(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("NO_COLOR", "1")
    shown(EVENTS)
    assert "\x1b[3" not in capsys.readouterr().out


def test_all_well(capsys: pytest.CaptureFixture[str]) -> None:
    shown((*EVENTS[:2], EVENTS[7], *EVENTS[9:]))
    assert capsys.readouterr().out.endswith("ok: 1 claim ok, 0 FAIL, after 2.1 s\n")


def test_document() -> None:
    document = demo_document(SELECTION, EVENTS)
    assert document["backend"] == "uml"
    assert document["passed_over"] == [{"name": "netns", "reason": "the running kernel has no IPVS"}]
    assert document["kernel"]["release"] == "6.12.0"
    assert (document["ok"], document["failed"], document["elapsed_s"]) == (1, 1, 2.1)
    (scenario,) = document["scenarios"]
    assert (scenario["name"], scenario["elapsed_s"]) == ("dsr", 1.5)
    assert [command["status"] for command in scenario["commands"]] == [0, 0, 77]
    assert scenario["services"][0]["answers"][0]["answers"] == 6
    assert scenario["claims"][1] == {"text": "nothing is lost", "ok": False, "seen": "3 lost"}
