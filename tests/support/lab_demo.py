"""Scenarios of the demo for tests: small, and broken where a test wants them to be."""

from collections.abc import Callable
from dataclasses import replace

from kernelbal.lab.demo.names import ScenarioName
from kernelbal.lab.demo.scenarios import SCENARIOS, Scenario
from kernelbal.lab.namespaces import Host

REQUESTS = 20
Prepare = Callable[[Host, tuple[str, ...]], None]


def scenario(name: ScenarioName, prepare: Prepare | None = None) -> Scenario:
    """A scenario of the demo, with another preparation of the real servers when one is given."""
    (found,) = (scenario for scenario in SCENARIOS if scenario.name is name)
    return replace(found, prepare=prepare, realserver=None) if prepare else found
