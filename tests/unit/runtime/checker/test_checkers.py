"""One checker for the network and one for scripts, as one."""

import asyncio
import os
import re
from pathlib import Path

import pytest

from kernelbal.model.health import Health, ProbeState, Timing
from kernelbal.model.site.check import NoCheck, ScriptCheck
from kernelbal.runtime.checker.checkers import Checkers
from kernelbal.runtime.checker.wire import CheckerReport
from kernelbal.runtime.privileges import NETWORK, SCRIPTS
from tests.support.news import News
from tests.unit.runtime.checker.desk import probe

TIMING = Timing(0.2, 2.0, 1, 1)
NONE = probe(NoCheck(), key="none", timing=TIMING)
SCRIPT = probe(
    ScriptCheck(argv=("/bin/true",), user="root" if os.geteuid() == 0 else None, allow_root=True),
    key="script",
    timing=TIMING,
)


class Both(News):
    """Checkers, with what they have reported."""

    def __init__(self) -> None:
        super().__init__()
        self.states: dict[str, ProbeState] = {}
        self.last = CheckerReport(0.0)
        self.lost: list[str] = []
        self.checkers = Checkers(self._take, self._lose)

    def _take(self, report: CheckerReport) -> None:
        self.states |= report.states
        self.last = report
        self.note()

    def _lose(self, reason: str) -> None:
        self.lost.append(reason)
        self.note()

    async def until_known(self, *keys: str) -> None:
        await self.until(lambda: self.states.keys() == {*keys} and self.last.probes == len(keys))


def processes(part: str) -> list[Path]:
    """Checkers of a kind that this process has started."""
    own = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().split(b"\0")
            parent = (process / "stat").read_text().rpartition(")")[2].split()[1]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if parent == str(os.getpid()) and b"kernelbal.runtime.checker" in words and part.encode() in words:
            own.append(process)
    return own


def field(process: Path, name: str) -> str:
    found = re.search(rf"^{name}:\s+(\S+)", (process / "status").read_text(), re.MULTILINE)
    assert found is not None
    return found[1]


def test_a_checker_of_scripts_is_started_with_the_first_script_and_both_report_as_one() -> None:
    async def play() -> None:
        both = Both()
        assert both.checkers.last_report_at is None
        both.checkers.set_probes({"none": NONE}, {})
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(both.checkers.run())
            await both.until_known("none")
            assert (len(processes("network")), processes("scripts")) == (1, [])
            assert both.checkers.alive
            both.checkers.set_probes({"none": NONE, "script": SCRIPT}, {})
            assert not both.checkers.alive, "one that is needed is not there yet"
            await both.until_known("none", "script")
            assert {state.health for state in both.states.values()} == {Health.UP}
            assert both.checkers.last_report_at == both.last.at
            assert both.checkers.alive
            os.kill(int(processes("scripts")[0].name), 9)
            await both.until(lambda: bool(both.lost))
            running.cancel()
        assert both.lost == ["the checker of scripts ended (exit status -9)"]
        assert both.checkers.restarts == 1

    asyncio.run(play())


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_each_keeps_only_the_privileges_it_needs() -> None:
    async def play() -> None:
        both = Both()
        both.checkers.set_probes({"none": NONE, "script": SCRIPT}, {})
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(both.checkers.run())
            await both.until_known("none", "script")
            (network,), (scripts,) = processes("network"), processes("scripts")
            for process, kept in ((network, NETWORK), (scripts, SCRIPTS)):
                for name in ("CapEff", "CapPrm"):
                    assert int(field(process, name), 16) == sum(1 << number for number in kept)
            assert (field(network, "Seccomp"), field(network, "NoNewPrivs")) == ("2", "1")
            running.cancel()

    asyncio.run(play())
