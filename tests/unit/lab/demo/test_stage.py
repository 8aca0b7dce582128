"""What is run on a director is told, whatever became of it."""

from pathlib import Path
from typing import cast

from kernelbal.lab.demo import stage
from kernelbal.lab.demo.events import CommandRan, Doing, Event
from kernelbal.lab.demo.scenarios import SCENARIOS
from kernelbal.lab.namespaces import Host, NamespaceLab
from kernelbal.lab.process import Completed
from kernelbal.model.site import Site


class Director:
    """A director on which every program fails."""

    name = "director"

    @property
    def director(self) -> "Director":
        return self

    def run(self, argv: list[str], **options: object) -> Completed:
        self.argv, self.options = argv, options
        return Completed(argv, 3, "out\n", "err\n")


def test_command_is_announced_run_and_told() -> None:
    events: list[Event] = []
    lab = Director()
    where = stage.Stage(
        SCENARIOS[0], cast("NamespaceLab", lab), Site(), Path("/state"), requests=1, emit=events.append
    )
    ran = stage.kernelbal(where, "plan", *where.documents[:1], brief=True)
    assert ran == CommandRan(
        command="kernelbal plan examples/nat.yaml", lines=("out", "err"), status=3, brief=True
    )
    assert events == [Doing(text="running kernelbal plan examples/nat.yaml on director"), ran]
    assert lab.argv[1:] == ["-m", "kernelbal", "plan", "examples/nat.yaml"]
    environment = cast("dict[str, str]", lab.options["env"])
    assert environment["KERNELBAL_STATE_DIR"] == "/state"


def test_other_hosts_have_a_state_directory_of_their_own() -> None:
    events: list[Event] = []
    other = Director()
    other.name = "rs1"
    where = stage.Stage(
        SCENARIOS[0], cast("NamespaceLab", Director()), Site(), Path("/state"), requests=1, emit=events.append
    )
    ran = stage.kernelbal(where, "realserver", "verify", brief=True, host=cast("Host", other))
    assert ran.host == "rs1"
    assert cast("dict[str, str]", other.options["env"])["KERNELBAL_STATE_DIR"] == "/state/rs1"
