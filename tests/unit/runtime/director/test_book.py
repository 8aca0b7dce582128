"""What a director knows when it starts."""

from pathlib import Path

from kernelbal.health.decision import Memory, ServerMemory
from kernelbal.model.address import parse_address
from kernelbal.model.health import Health, ProbeState
from kernelbal.model.site.services import ServerKey
from kernelbal.runtime.director.book import new_book
from kernelbal.runtime.director.configuration import Origin, Start
from kernelbal.runtime.director.documents import Paths, parse
from kernelbal.store.daemon import GoodDocuments, Standings
from tests.unit.runtime.director.bench import NODE, SITE


def test_states_of_probes_that_are_no_more_are_forgotten() -> None:
    paths = Paths(Path("site.yaml"), Path("node.yaml"))
    documents = parse(GoodDocuments(SITE.encode(), NODE.encode()), paths)
    key = next(iter(documents.probes.probes))
    memory = Memory({ServerKey("web", parse_address("10.0.0.11")): ServerMemory("serving", up=True)})
    up = ProbeState(Health.UP, 5.0)
    book = new_book(Start(documents, Origin.FILES), {}, Standings("b", {key: up, "gone": up}, memory), 7.0)
    assert book.states == {key: up}
    assert (book.memory, book.started_at, book.force.at) == (memory, 7.0, 7.0)
    assert book.decision is None
