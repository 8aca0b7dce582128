"""Evidence of a demo that went well, to be spoiled in one place."""

from collections import Counter

from kernelbal.lab.demo.claims import Evidence
from kernelbal.lab.demo.counters import Packets, Reading
from kernelbal.lab.demo.visits import Visits
from kernelbal.lab.traffic import HttpAnswer

CLIENT = "10.0.0.100"
WEIGHTS = {"rs1": 5, "rs2": 3, "rs3": 2}
THROUGH = Reading(
    client=Packets(sent=1004, received=1002),
    director=Packets(sent=2006, received=2004),
    real_servers=Packets(sent=1003, received=1009),
    ipvs=Packets(sent=1000, received=1000),
)
AROUND = Reading(
    client=Packets(sent=1004, received=1002),
    director=Packets(sent=1005, received=1007),
    real_servers=Packets(sent=1003, received=1009),
    ipvs=Packets(sent=0, received=1000),
)


def visits(*counts: int, wanted: int = 200, client: str = CLIENT, **failures: int) -> Visits:
    """Answers of rs1, rs2, ... in this order, and failures by reason."""
    answers = Counter({HttpAnswer(f"rs{i}", client): count for i, count in enumerate(counts, 1) if count})
    return Visits(wanted, answers.total() + sum(failures.values()), answers, Counter(failures))


def evidence(visited: Visits | None = None, packets: Reading = THROUGH) -> Evidence:
    """Evidence for the service `web` with the weights 5, 3 and 2."""
    return Evidence("web", WEIGHTS, visited or visits(100, 60, 40), packets)
