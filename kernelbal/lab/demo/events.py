"""What a demo says while it is played: one JSON document per line between the guest and whoever shows it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from kernelbal.lab.errors import GuestFailed

_QUOTED_CHARACTERS = 200


class _Event(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class KernelFound(_Event):
    """The kernel that everything runs on.

    Attributes:
        release: as `uname -r` prints it.
        ipvs: the version that IPVS gives itself.
    """

    event: Literal["kernel"] = "kernel"
    release: str
    ipvs: str


class ScenarioBegun(_Event):
    """A scenario begins."""

    event: Literal["scenario"] = "scenario"
    name: str
    title: str
    topology: str
    site: str


class Doing(_Event):
    """What is going on, for someone who waits."""

    event: Literal["doing"] = "doing"
    text: str


class CommandRan(_Event):
    """A command was run.

    Attributes:
        host: where.
        command: as a person would type it.
        lines: what it printed.
        status: its exit status.
        brief: only the end of the output says something new.
    """

    event: Literal["command"] = "command"
    host: str = "director"
    command: str
    lines: tuple[str, ...]
    status: int
    brief: bool = False


class AnswerRow(_Event):
    """What one real server answered; `expected` is its share by weight."""

    real_server: str
    weight: int
    expected: float
    answers: int
    clients: tuple[str, ...]


class Failure(_Event):
    """Requests that were not answered, and why."""

    reason: str
    count: int


class PacketRow(_Event):
    """Packets that a host sent and received meanwhile, on all its devices."""

    host: str
    sent: int
    received: int


class ServiceTried(_Event):
    """The client made its requests to one virtual service.

    Attributes:
        asked: requests that were made.
        wanted: requests that were to be made; fewer are made once several have failed.
        ipvs_in: packets that IPVS counted on their way to the real servers.
        ipvs_out: packets that IPVS counted on their way back.
    """

    event: Literal["service"] = "service"
    service: str
    url: str
    scheduler: str
    wanted: int
    asked: int
    answers: tuple[AnswerRow, ...]
    failures: tuple[Failure, ...]
    packets: tuple[PacketRow, ...]
    ipvs_in: int
    ipvs_out: int


class Claim(_Event):
    """Something that must be true, whether it is, and what was seen."""

    event: Literal["claim"] = "claim"
    text: str
    ok: bool
    seen: str


class ScenarioEnded(_Event):
    """A scenario is over."""

    event: Literal["scenario_ended"] = "scenario_ended"
    name: str
    elapsed_s: float


class Finished(_Event):
    """The demo has been played to its end."""

    event: Literal["finished"] = "finished"
    elapsed_s: float


Event = KernelFound | ScenarioBegun | Doing | CommandRan | ServiceTried | Claim | ScenarioEnded | Finished
_READER: TypeAdapter[Event] = TypeAdapter(Annotated[Event, Field(discriminator="event")])


def encode(event: Event) -> str:
    """Return an event as one line."""
    return event.model_dump_json() + "\n"


def decode(line: str) -> Event:
    """Return the event that a line holds.

    Raises:
        GuestFailed: it holds none.
    """
    try:
        return _READER.validate_json(line)
    except ValidationError as error:
        raise GuestFailed(
            f"the demo said something else than events: {line[:_QUOTED_CHARACTERS]!r}"
        ) from error
