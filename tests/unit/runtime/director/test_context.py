"""The state of a director that starts."""

from pathlib import Path

from kernelbal.health.decision import Memory, ServerMemory
from kernelbal.model.address import parse_address
from kernelbal.model.health import Health, ProbeState
from kernelbal.model.overlay import ServerState
from kernelbal.model.site.services import ServerKey
from kernelbal.runtime.director.context import begin
from kernelbal.runtime.director.documents import Paths, parse
from kernelbal.store.daemon import DaemonState, GoodDocuments, HealthRecord
from tests.support.director_harness import NODE, SITE


def test_states_of_probes_that_are_no_more_are_forgotten(folder: Path) -> None:
    paths = Paths(folder / "site.yaml", folder / "node.yaml")
    documents = parse(GoodDocuments(SITE.encode(), NODE.encode()), paths)
    key = next(iter(documents.probes.probes))
    memory = Memory(
        {ServerKey("web", parse_address("10.0.0.11")): ServerMemory(ServerState.SERVING, up=True)}
    )
    up = ProbeState(Health.UP, 5.0)
    directory = DaemonState(folder / "state", lambda: "b")
    directory.save_health(HealthRecord("b", {key: up, "gone": up}, memory))
    state = begin(paths, directory, 7.0)
    assert state.states == {key: up}
    assert (state.memory, state.started_at, state.force.at) == (memory, 7.0, 7.0)
    assert state.decision is None
