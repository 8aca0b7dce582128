"""A scenario on a topology that is up, and the commands that are run on its hosts."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from kernelbal.lab.demo.events import CommandRan, Doing, Event
from kernelbal.lab.demo.scenarios import EXAMPLES

if TYPE_CHECKING:
    from kernelbal.lab.demo.scenarios import Scenario
    from kernelbal.lab.namespaces import Host, NamespaceLab
    from kernelbal.model.site import Site

COMMAND_LIMIT_S: Final = 300.0
"""A command takes a second; on an emulated processor some ten."""
PROGRAM: Final = (sys.executable, "-m", "kernelbal")
Emit = Callable[[Event], None]


@dataclass(frozen=True, slots=True)
class Stage:
    """A scenario on a topology that is up."""

    scenario: Scenario
    lab: NamespaceLab
    site: Site
    state_dir: Path
    requests: int
    emit: Emit

    def doing(self, text: str) -> None:
        """Say what is going on."""
        self.emit(Doing(text=text))

    @property
    def documents(self) -> tuple[str, str]:
        """The example's site and node documents, from the checkout's root."""
        return f"{EXAMPLES}/{self.scenario.site}", f"{EXAMPLES}/{self.scenario.node}"


def kernelbal(stage: Stage, *arguments: str, brief: bool, host: Host | None = None) -> CommandRan:
    """Run kernelbal and report what it printed; see `run`."""
    return run(stage, [*PROGRAM, *arguments], f"kernelbal {' '.join(arguments)}", brief=brief, host=host)


def run(stage: Stage, argv: list[str], shown: str, *, brief: bool, host: Host | None = None) -> CommandRan:
    """Run a program and report what it printed.

    Args:
        stage: the scenario.
        host: where; on the director unless another is named.
        argv: program and arguments.
        shown: as a person would type it.
        brief: only the end of the output says something new.
    """
    where = host or stage.lab.director
    stage.doing(f"running {shown} on {where.name}")
    state_dir = stage.state_dir / where.name if host else stage.state_dir
    environment = {**os.environ, "KERNELBAL_STATE_DIR": str(state_dir)}
    done = where.run(argv, check=False, timeout_s=COMMAND_LIMIT_S, env=environment)
    quiet = brief and done.returncode == 0
    lines = tuple((done.stdout if quiet else done.stdout + done.stderr).splitlines())
    ran = CommandRan(host=where.name, command=shown, lines=lines, status=done.returncode, brief=brief)
    stage.emit(ran)
    return ran
