"""Events survive the way out of the guest; nothing else passes for one."""

import pytest

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
    decode,
    encode,
)
from kernelbal.lab.errors import GuestFailed

TRIED = ServiceTried(
    service="web",
    url="http://10.0.0.80/",
    scheduler="wrr",
    wanted=200,
    asked=9,
    answers=(AnswerRow(real_server="rs1", weight=5, expected=100.0, answers=6, clients=("10.0.0.1",)),),
    failures=(Failure(reason="no answer in time", count=3),),
    packets=(PacketRow(host="client", sent=30, received=20),),
    ipvs_in=25,
    ipvs_out=20,
)
EVENTS: tuple[Event, ...] = (
    KernelFound(release="6.12.0", ipvs="IP Virtual Server version 1.2.1 (size=4096)"),
    ScenarioBegun(name="nat", title="NAT", topology="two-arm", site="examples/nat.yaml"),
    Doing(text="running"),
    CommandRan(command="kernelbal plan", lines=("+ ä", "- “b”\n"), status=0),
    TRIED,
    Claim(text="all is well", ok=True, seen="it is"),
    ScenarioEnded(name="nat", elapsed_s=1.5),
    Finished(elapsed_s=6.0),
)


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.event)
def test_event_survives(event: Event) -> None:
    line = encode(event)
    assert line.count("\n") == 1
    assert decode(line) == event


@pytest.mark.parametrize(
    "line", ["", "Kernel panic", "{}", '{"event": "other"}', '{"event": "doing", "text": "a", "more": 1}']
)
def test_other_lines_are_refused(line: str) -> None:
    with pytest.raises(GuestFailed, match="something else than events"):
        decode(line)
