"""What can be counted of documents and rounds."""

from pathlib import Path

from kernelbal.health.decision import Decision, Memory
from kernelbal.model.network import LinkState
from kernelbal.model.standing import Overlay
from kernelbal.plan.actions import EnsureLink, Outcome, Result
from kernelbal.plan.result import Plan
from kernelbal.reconcile.round import Report
from kernelbal.runtime.director.documents import Paths, parse
from kernelbal.runtime.director.rounds import RoundResult
from kernelbal.runtime.director.sizes import NO_ROUNDS, keys_of, size_of
from kernelbal.store.daemon import GoodDocuments
from tests.unit.runtime.director.bench import NODE, SITE, WEB

DOCUMENTS = parse(GoodDocuments(SITE.encode(), NODE.encode()), Paths(Path("site.yaml"), Path("node.yaml")))


def test_ipvs_services_are_known_by_name_and_names_by_service() -> None:
    keys = keys_of(DOCUMENTS)
    assert len(keys.all) == 1
    assert list(keys.names.values()) == ["web"]
    assert keys.by_name == {"web": keys.all}
    assert keys.all[0] == WEB or keys.all[0].mark


def test_a_site_is_counted() -> None:
    assert size_of(DOCUMENTS) == "virtual services 1, real servers 2, probes 2"


def test_rounds_are_added_up() -> None:
    up = EnsureLink(LinkState("eth0"))
    done, failed = Outcome(up, Result.DONE), Outcome(up, Result.FAILED, 1, "no")
    decision = Decision(Overlay(), Memory(), {}, {})
    report = Report(Plan(), (done, done, failed))
    tally = NO_ROUNDS.after(
        RoundResult(decision, report=report, repaired=(done,), error="no", took_s=0.5), 7.0
    )
    assert (tally.rounds, tally.changes, tally.repairs, tally.failures) == (1, 2, 1, 1)
    assert (tally.ended_at, tally.took_s, tally.error) == (7.0, 0.5, "no")
    again = tally.after(RoundResult(decision), 9.0)
    assert (again.rounds, again.changes, again.error) == (2, 2, "")
