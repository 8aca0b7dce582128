"""`python -m bench.health.director TARGETS PORT`: the director's side of the checker, alone.

Runs the checker as the daemon does, takes its reports, and answers each line on standard input with a line of
JSON: process id of the checker, its lateness, how many targets are up, and how often a checker was lost.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys

from bench.health.workload import probes
from kernelbal.model.health import Health
from kernelbal.runtime.checker.supervisor import CheckerSupervisor
from kernelbal.runtime.checker.wire import CheckerReport


def _complain(reason: str) -> None:
    sys.stderr.write(f"{reason}\n")


class Director:
    """Takes reports as the daemon does: the last state of each probe."""

    def __init__(self) -> None:
        self._health: dict[str, Health] = {}
        self._late_s = 0.0
        self.supervisor = CheckerSupervisor(self._take, _complain)

    def _take(self, report: CheckerReport) -> None:
        self._late_s = report.late_p99_s
        for key, state in report.states.items():
            self._health[key] = state.health

    def answer(self) -> str:
        """Return what is known just now."""
        up = sum(health is Health.UP for health in self._health.values())
        return json.dumps([self.supervisor.pid, self._late_s, up, self.supervisor.restarts])


async def attend(director: Director) -> None:
    """Answer until standard input ends, and end the checker."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(director.supervisor.run())
        while await reader.readline():
            sys.stdout.write(director.answer() + "\n")
            sys.stdout.flush()
        running.cancel()


def main(argv: list[str]) -> None:
    """Check as many targets as `argv` says on the port that it says."""
    director = Director()
    director.supervisor.set_probes(probes(int(argv[0]), int(argv[1])), {})
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(attend(director))


if __name__ == "__main__":
    main(sys.argv[1:])
