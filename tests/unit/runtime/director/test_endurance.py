"""A director for days in virtual time: flapping real servers and reloads leave memory and log flat.

`KERNELBAL_ENDURANCE_HOURS=168` runs a week; without it, three hours.
"""

import asyncio
import gc
import os
import sys
from pathlib import Path
from random import Random

import pytest

from kernelbal.model.health import Health
from tests.support.director_harness import DirectorHarness, play

HOURS = max(3, int(os.environ.get("KERNELBAL_ENDURANCE_HOURS", "3")))
SERVICES, SERVERS = (20, 50) if HOURS > 3 else (4, 25)
FLAP_EVERY_S, RECOVERS_AFTER_S = 6.0, 30.0
MOST_GROWTH_BYTES = 5 * 1024 * 1024
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def site(scheduler: str) -> str:
    services = "".join(
        f"""
  - name: web{service}
    address: 192.0.2.{service + 10}
    ports: [80]
    forwarding: nat
    one_armed: true
    scheduler: {scheduler}
    check: {{tcp: {{}}, interval: 5s, timeout: 2s, rise: 1, fall: 1}}
    real_servers: [{", ".join(f"{{address: 10.0.{service}.{n + 1}}}" for n in range(SERVERS))}]"""
        for service in range(SERVICES)
    )
    return f"virtual_services:{services}\n"


def memory_bytes() -> int:
    """Resident memory of this process."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE_BYTES


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


class Figures:
    """What is measured at the end of each hour."""

    def __init__(self) -> None:
        self.memory: list[int] = []
        self.descriptors: list[int] = []
        self.lines = 0
        self.events = 0

    def take(self, harness: DirectorHarness) -> None:
        self.lines += harness.log.getvalue().count("\n")
        harness.log.seek(0)
        harness.log.truncate()
        harness.kernel.performed.clear()
        self.memory.append(memory_bytes())
        self.descriptors.append(descriptors())
        self.events = max(event.seq for event in harness.journal.recent(0, 10**6))

    @property
    def growth_bytes(self) -> int:
        """How much memory grew after the first hour: between the means of the two halves of the rest."""
        rest = self.memory[1:]
        half = max(1, len(rest) // 2)
        first, second = rest[:half], rest[-half:]
        return sum(second) // len(second) - sum(first) // len(first)


async def flap_for_an_hour(harness: DirectorHarness, random: Random) -> int:
    """Let real servers fail and recover; return how often one changed."""
    names = [".".join(map(str, probe.target.server)) for probe in harness.checker.probes.values()]
    end_at = harness.loop.now + 3600
    down: dict[str, float] = {}
    changes = 0
    while harness.loop.now < end_at:
        failed = random.choice(names)
        recovered = [name for name, at in down.items() if harness.loop.now >= at]
        harness.report({failed: Health.DOWN, **dict.fromkeys(recovered, Health.UP)})
        changes += (failed not in down) + len(recovered)
        for name in recovered:
            del down[name]
        down[failed] = harness.loop.now + RECOVERS_AFTER_S
        await asyncio.sleep(FLAP_EVERY_S)
    harness.report(dict.fromkeys(names, Health.UP))
    return changes + len(down)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "node.yaml").write_text("name: lb1\ninterfaces: {outside: eth0, inside: eth1}\n")
    (tmp_path / "site.yaml").write_text(site("rr"))
    return tmp_path


def test_memory_descriptors_and_log_stay_flat(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    figures, changes = Figures(), 0

    async def scene(harness: DirectorHarness) -> None:
        nonlocal changes
        await harness.begin()
        random = Random(1)
        for hour in range(HOURS):
            changes += await flap_for_an_hour(harness, random)
            harness.write(site("wlc" if hour % 2 else "rr"))
            answer = await harness.director.reload("root")
            assert answer.loaded
            figures.take(harness)

    play(scene, folder)
    sizes = sorted({size // 2**20 for size in figures.memory})
    with capsys.disabled():
        sys.stdout.write(
            f"\n{HOURS} h, {SERVICES * SERVERS} probes, {changes} changes, {figures.events} events,"
            f" {figures.lines} log lines; {sizes} MiB,"
            f" grew by {figures.growth_bytes // 1024} KiB from the second hour on;"
            f" descriptors {sorted(set(figures.descriptors))}\n"
        )
    assert changes >= HOURS * 600, "it has flapped"
    assert figures.growth_bytes < MOST_GROWTH_BYTES
    assert len(set(figures.descriptors[1:])) == 1
    assert figures.lines <= 2 * figures.events
