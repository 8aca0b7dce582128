"""Runs `kernelbal realserver` on a lab's real servers, as an operator would."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kernelbal.lab.demo import snapshot
from kernelbal.lab.namespaces import Host
from kernelbal.lab.process import Completed
from tests.lab.commands import run_here


@dataclass
class ServerOperator:
    """Somebody at a real server, with a state directory of its own."""

    host: Host
    folder: Path

    def run(self, command: str, *options: str, code: int = 0) -> Completed:
        """Run a command and demand its exit code."""
        argv = ["realserver", command, "--state-dir", str(self.folder / self.host.name), *options]
        done = run_here(self.host, argv)
        said = f"{self.host.name} {command}: {done.returncode}\n{done.stdout}{done.stderr}"
        assert done.returncode == code, said
        return done

    def apply(self, *options: str) -> None:
        """Apply, and see that nothing is left to do."""
        self.run("apply", "--persist", "none", *options)
        assert self.changes(*options) == []

    def changes(self, *options: str) -> list[str]:
        """What a plan would do now."""
        done = self.run("plan", "--json", "--persist", "none", *options)
        document: dict[str, Any] = json.loads(done.stdout)
        return [f"{step['sign']} {step['text']}" for step in document["steps"]]

    def undo(self, *virtual: str) -> None:
        """Undo."""
        self.run("undo", *virtual)

    def look(self) -> snapshot.Snapshot:
        """Everything that could have been changed."""
        return snapshot.take(self.host)
